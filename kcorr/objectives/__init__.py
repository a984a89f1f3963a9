"""How methods learn: objectives with the one train_step, schedules, callbacks."""

from kcorr.objectives.checkpoints import Checkpoints as Checkpoints
from kcorr.objectives.distilled import DistilledFlow as DistilledFlow
from kcorr.objectives.flow import UnsupervisedFlow as UnsupervisedFlow
from kcorr.objectives.objective import Objective as Objective
from kcorr.objectives.supervised import SupervisedFlow as SupervisedFlow
