"""Pure tensor functions, written in keras.ops. `kcorr.ops.grid` states the coordinate law."""

from kcorr.ops.correlation import all_pairs_correlation as all_pairs_correlation
from kcorr.ops.correlation import local_correlation as local_correlation
from kcorr.ops.correlation import unit_length as unit_length
from kcorr.ops.grid import pixel_grid as pixel_grid
from kcorr.ops.resize import resize as resize
from kcorr.ops.resize import resize_flow as resize_flow
from kcorr.ops.sample import backward_warp as backward_warp
from kcorr.ops.sample import sample_points as sample_points
