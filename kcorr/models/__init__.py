"""Networks: dict in, dict out, saved and exported alone."""

from kcorr.models.authors import from_authors_checkpoint as from_authors_checkpoint
from kcorr.models.ddflow import DDFlowNet as DDFlowNet
from kcorr.models.disparity import depth_of_disparity as depth_of_disparity
from kcorr.models.disparity import disparity_of_flow as disparity_of_flow
from kcorr.models.disparity import predict_disparity as predict_disparity
from kcorr.models.disparity import rectification_problem as rectification_problem
from kcorr.models.flownet import FlowNetC as FlowNetC
from kcorr.models.flownet import FlowNetS as FlowNetS
from kcorr.models.hourglass import HourglassNet as HourglassNet
from kcorr.models.landmarks import LandmarkNet as LandmarkNet
from kcorr.models.object_frame import ObjectFrameNet as ObjectFrameNet
from kcorr.models.object_predict import ObjectPredictor as ObjectPredictor
from kcorr.models.object_predict import match_object_points as match_object_points
from kcorr.models.object_predict import predict_labels as predict_labels
from kcorr.models.object_predict import predict_landmarks as predict_landmarks
from kcorr.models.pairs import flows_of_pairs as flows_of_pairs
from kcorr.models.predict import Predictor as Predictor
from kcorr.models.predict import predict as predict
from kcorr.models.pwc import PWCNet as PWCNet
from kcorr.models.recurrent import RecurrentFlowNet as RecurrentFlowNet
from kcorr.models.registry import build as build
from kcorr.models.selflow import SelFlowNet as SelFlowNet
from kcorr.models.spynet import SpyNet as SpyNet
from kcorr.models.virtual_points import VirtualPoints as VirtualPoints
from kcorr.models.virtual_points import fit_virtual_points as fit_virtual_points
from kcorr.models.zoo import load as load
