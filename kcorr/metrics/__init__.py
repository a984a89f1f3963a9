"""Metrics: the benchmarks' definitions in numpy, and as Keras metrics.

The numpy functions and the evaluations import nothing but numpy, so that `kcorr evaluate` starts
at once; what needs Keras is resolved on first use (PEP 562).
"""

import importlib

from kcorr.metrics.boundaries import boundary_distance as boundary_distance
from kcorr.metrics.dense_matching import densify_matches as densify_matches
from kcorr.metrics.dense_matching import matching_accuracy as matching_accuracy
from kcorr.metrics.disparity import DisparityEvaluation as DisparityEvaluation
from kcorr.metrics.evaluation import FlowEvaluation as FlowEvaluation
from kcorr.metrics.flow import disparity_error_map as disparity_error_map
from kcorr.metrics.flow import disparity_outliers as disparity_outliers
from kcorr.metrics.flow import endpoint_error_map as endpoint_error_map
from kcorr.metrics.flow import flow_outliers as flow_outliers
from kcorr.metrics.flow import kitti2012_outliers as kitti2012_outliers
from kcorr.metrics.flow import occlusion_counts as occlusion_counts
from kcorr.metrics.flow import occlusion_f_score as occlusion_f_score
from kcorr.metrics.matching import cell_of as cell_of
from kcorr.metrics.matching import cycle_errors as cycle_errors
from kcorr.metrics.matching import labels_at as labels_at
from kcorr.metrics.matching import match_points as match_points
from kcorr.metrics.matching import matching_scores as matching_scores
from kcorr.metrics.matching import nearest_points as nearest_points
from kcorr.metrics.matching import plane_reflection as plane_reflection
from kcorr.metrics.matching import procrustes_angle as procrustes_angle
from kcorr.metrics.matching import symmetric_transfer_errors as symmetric_transfer_errors
from kcorr.metrics.official import official_scores as official_scores
from kcorr.metrics.points import inter_ocular_error as inter_ocular_error
from kcorr.metrics.points import mean_shape as mean_shape
from kcorr.metrics.points import point_errors as point_errors
from kcorr.metrics.regression import LandmarkRegression as LandmarkRegression
from kcorr.metrics.regression import few_shot as few_shot
from kcorr.metrics.regression import fit_point_vectors as fit_point_vectors
from kcorr.metrics.symmetry import axis_angles as axis_angles
from kcorr.metrics.symmetry import errors_up_to_symmetry as errors_up_to_symmetry
from kcorr.metrics.symmetry import powers_of as powers_of

_KERAS = {
    "DisparityOutliers": "trackers",
    "EndPointError": "trackers",
    "FlowOutliers": "trackers",
    "OcclusionFScore": "trackers",
    "equivariance_errors": "equivariance",
}


def __getattr__(name):
    if name in _KERAS:
        return getattr(importlib.import_module(f"kcorr.metrics.{_KERAS[name]}"), name)
    raise AttributeError(f"module 'kcorr.metrics' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_KERAS])
