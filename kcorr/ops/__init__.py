"""Pure tensor functions, written in keras.ops. `kcorr.ops.grid` states the coordinate law."""

from kcorr.ops.census import census_distance as census_distance
from kcorr.ops.census import census_transform as census_transform
from kcorr.ops.compose import compose_flow as compose_flow
from kcorr.ops.compose import invert_flow as invert_flow
from kcorr.ops.correlation import all_pairs_correlation as all_pairs_correlation
from kcorr.ops.correlation import local_correlation as local_correlation
from kcorr.ops.correlation import unit_length as unit_length
from kcorr.ops.grid import pixel_grid as pixel_grid
from kcorr.ops.occlusion import fb_occlusion as fb_occlusion
from kcorr.ops.reduce import masked_mean as masked_mean
from kcorr.ops.resize import resize as resize
from kcorr.ops.resize import resize_flow as resize_flow
from kcorr.ops.sample import backward_warp as backward_warp
from kcorr.ops.sample import sample_points as sample_points
from kcorr.ops.spatial import soft_argmax as soft_argmax
from kcorr.ops.spatial import spatial_softmax as spatial_softmax
from kcorr.ops.splat import forward_splat as forward_splat
from kcorr.ops.splat import range_map as range_map
from kcorr.ops.tps import tps_evaluate as tps_evaluate
from kcorr.ops.tps import tps_fit as tps_fit
from kcorr.ops.tps import tps_grid as tps_grid
from kcorr.ops.tps import tps_interpolate as tps_interpolate
from kcorr.ops.tps import tps_warp as tps_warp
