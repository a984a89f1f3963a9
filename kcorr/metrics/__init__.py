"""Metrics: the benchmarks' definitions in numpy, and as Keras metrics.

The numpy functions and the evaluations import nothing but numpy, so that `kcorr evaluate` starts
at once; the Keras metrics are resolved on first use (PEP 562).
"""

import importlib

from kcorr.metrics.boundaries import boundary_distance as boundary_distance
from kcorr.metrics.disparity import DisparityEvaluation as DisparityEvaluation
from kcorr.metrics.evaluation import FlowEvaluation as FlowEvaluation
from kcorr.metrics.flow import disparity_error_map as disparity_error_map
from kcorr.metrics.flow import disparity_outliers as disparity_outliers
from kcorr.metrics.flow import endpoint_error_map as endpoint_error_map
from kcorr.metrics.flow import flow_outliers as flow_outliers
from kcorr.metrics.flow import kitti2012_outliers as kitti2012_outliers
from kcorr.metrics.flow import occlusion_counts as occlusion_counts
from kcorr.metrics.flow import occlusion_f_score as occlusion_f_score
from kcorr.metrics.official import official_scores as official_scores

_KERAS = ("DisparityOutliers", "EndPointError", "FlowOutliers", "OcclusionFScore")


def __getattr__(name):
    if name in _KERAS:
        return getattr(importlib.import_module("kcorr.metrics.trackers"), name)
    raise AttributeError(f"module 'kcorr.metrics' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_KERAS])
