"""What `kcorr flow` writes for one pair: files, and a line of numbers."""

import numpy as np

from kcorr import io, viz
from kcorr.cli.errors import CommandError, one_line


def save(paths, image, result, max_flow=None):
    """Writes the files of one pair.

    Args:
        paths: {kind: path} of what to write, of flow, color, occlusion, warped, overlay,
            mask. The folders exist.
        image: [h, w, 3], frame 1.
        result: of `kcorr.models.predict`.
        max_flow: see `kcorr.viz.flow_to_color`; None scales by this flow.

    Returns:
        {kind: picture} of what was drawn.

    Raises:
        CommandError: a flow that the chosen format cannot hold.
    """
    flow = result["flow"]
    max_flow = max_flow or viz.flow_scale(flow)
    draw = {
        "color": lambda: viz.flow_to_color(flow, max_flow, clip=True),
        "occlusion": lambda: viz.occlusion_overlay(image, result["occlusion"]),
        "mask": lambda: result["occlusion"] > 0,
        "warped": lambda: np.clip(result["warped"], 0, 1),
        "overlay": lambda: viz.overlay(image, flow, max_flow=max_flow),
    }
    # The flow first: it is the only file that a value can keep from being written.
    if "flow" in paths:
        try:
            io.write_flow(paths["flow"], flow)
        except io.FormatError as error:
            text = one_line(error).replace("(clip=True to clip)", "(--format flo holds any flow)")
            raise CommandError(text) from error
    drawn = {kind: draw[kind]() for kind in paths if kind in draw}
    for kind, picture in drawn.items():
        io.write_image(paths[kind], picture)
    return drawn


def needs_backward(kinds):
    """Whether the flow from frame 2 to frame 1 is needed, which doubles the work."""
    return "occlusion" in kinds or "mask" in kinds


class Summary:
    """Numbers over all pairs, for the line at the end."""

    def __init__(self):
        self._medians, self._largest, self._occluded = [], 0.0, []

    def add(self, result):
        """Counts one pair."""
        length = np.hypot(result["flow"][..., 0], result["flow"][..., 1])
        self._medians.append(float(np.median(length)))
        self._largest = max(self._largest, float(length.max()))
        if "occlusion" in result:
            self._occluded.append(float(result["occlusion"].mean()))

    def text(self, seconds):
        """The line, without what it is about."""
        motion = f"motion {np.median(self._medians):.2f} px (median), {self._largest:.1f} (largest)"
        hidden = f", {100 * np.mean(self._occluded):.1f} % occluded" if self._occluded else ""
        return f"{motion}{hidden}, {seconds:.1f} s"
