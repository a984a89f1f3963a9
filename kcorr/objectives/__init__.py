"""How methods learn: objectives with the one train_step, schedules, callbacks."""

from kcorr.objectives.averages import ValidateAverage as ValidateAverage
from kcorr.objectives.averages import averaged as averaged
from kcorr.objectives.board import Board as Board
from kcorr.objectives.checkpoints import Checkpoints as Checkpoints
from kcorr.objectives.distill_flow import ChallengedFlow as ChallengedFlow
from kcorr.objectives.distilled import DistilledFlow as DistilledFlow
from kcorr.objectives.fine_tuned import FineTunedFlow as FineTunedFlow
from kcorr.objectives.flow import UnsupervisedFlow as UnsupervisedFlow
from kcorr.objectives.flow2stereo import DistilledStereo as DistilledStereo
from kcorr.objectives.flow2stereo import Flow2Stereo as Flow2Stereo
from kcorr.objectives.logs import JsonLines as JsonLines
from kcorr.objectives.objective import Objective as Objective
from kcorr.objectives.pictures import Pictures as Pictures
from kcorr.objectives.pictures import draw_batch as draw_batch
from kcorr.objectives.progress import Progress as Progress
from kcorr.objectives.schedules import constant as constant
from kcorr.objectives.schedules import cosine as cosine
from kcorr.objectives.schedules import piecewise as piecewise
from kcorr.objectives.schedules import ramp as ramp
from kcorr.objectives.selflow import HallucinatedFlow as HallucinatedFlow
from kcorr.objectives.steps import StepCallback as StepCallback
from kcorr.objectives.steps import StopAt as StopAt
from kcorr.objectives.supervised import SupervisedFlow as SupervisedFlow
