"""Pictures: numpy arrays in, uint8 [h, w, 3] out. Needs numpy and pillow, never TensorFlow.

Flows are [h, w, 2] in (x, y) pixels, masks and maps [h, w] or [h, w, 1], images uint8 or float
in [0, 1]. A flow that is not finite or beyond 1e9 in size is unknown, as in `.flo` files, and is
drawn black; motion zero is drawn white.
"""

from kcorr.viz._arrays import as_uint8, flow_scale
from kcorr.viz.animation import flicker, video_writer
from kcorr.viz.arrows import draw_arrows
from kcorr.viz.errors import error_map, error_map_legend
from kcorr.viz.flow_color import color_wheel_legend, flow_to_color, flow_to_color_authors
from kcorr.viz.heat import disparity_to_color, heat
from kcorr.viz.label_color import label_basis, labels_to_color
from kcorr.viz.many_matches import color_matches, match_sheet
from kcorr.viz.object_frames import (
    draw_axis,
    draw_symmetry,
    symmetry_line,
    unroll_sphere,
    upright_frame,
)
from kcorr.viz.overlays import difference, occlusion_overlay, overlay
from kcorr.viz.points import draw_matches, draw_points, point_colors
from kcorr.viz.report import report_html, write_report
from kcorr.viz.runs import Run, read_run, take_evaluation
from kcorr.viz.sheet import side_by_side
from kcorr.viz.warped import before_after, mean_difference, warped_flicker

__all__ = [
    "Run",
    "as_uint8",
    "before_after",
    "color_matches",
    "color_wheel_legend",
    "difference",
    "disparity_to_color",
    "draw_arrows",
    "draw_axis",
    "draw_matches",
    "draw_points",
    "draw_symmetry",
    "error_map",
    "error_map_legend",
    "flicker",
    "flow_scale",
    "flow_to_color",
    "flow_to_color_authors",
    "heat",
    "label_basis",
    "labels_to_color",
    "match_sheet",
    "mean_difference",
    "occlusion_overlay",
    "overlay",
    "point_colors",
    "read_run",
    "report_html",
    "side_by_side",
    "symmetry_line",
    "take_evaluation",
    "unroll_sphere",
    "upright_frame",
    "video_writer",
    "warped_flicker",
    "write_report",
]
