"""Keras layers: a function of `kcorr.ops` plus the configuration worth saving."""

from kcorr.layers.cost_volume import CostVolume as CostVolume
from kcorr.layers.hog import HogDescriptor as HogDescriptor
from kcorr.layers.resize import Resize as Resize
from kcorr.layers.resize import ResizeFlow as ResizeFlow
from kcorr.layers.spatial import SoftArgmax as SoftArgmax
from kcorr.layers.spatial import SpatialSoftmax as SpatialSoftmax
from kcorr.layers.warp import TPSWarp as TPSWarp
from kcorr.layers.warp import Warp as Warp
