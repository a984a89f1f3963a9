"""The page of `kcorr evaluate --html`: its tables, and its pictures of the largest errors."""

from pathlib import Path

import numpy as np

from kcorr import viz

_LARGEST = 900  # pixels of a picture's longer side in the page


def write_page(path, content, worst, args):
    """Writes the page.

    Args:
        path: of the .html.
        content: what `kcorr evaluate --json` writes.
        worst: iterable of (files, arrays) of the pictures to draw: "name" of files, and flow
            (NaN where unknown), target, valid and perhaps occlusion of arrays.
        args: of the command, for the name of the page.
    """
    name = Path(args.prediction).resolve()
    run = viz.Run(name.stem if name.is_file() else name.name)
    viz.take_evaluation(run, content)
    run.flags = {
        "prediction": args.prediction,
        "ground truth": args.truth,
        **{
            option: getattr(args, option)
            for option in ("occlusion", "noc", "predicted_occlusion")
            if getattr(args, option)
        },
    }
    drawn = [
        (files["name"], caption, _reduced(picture))
        for files, arrays in worst
        for caption, picture in _draw(arrays, content["kind"]).items()
    ]
    run.pictures = drawn
    viz.write_report(path, [run], f"{run.name} against {Path(args.truth).name}")


def _draw(arrays, kind):
    """{caption: picture} of one prediction and its truth, in one scale."""
    flow, target, valid = arrays["flow"], arrays["target"], arrays["valid"]
    known = np.isfinite(flow).all(-1)
    error = viz.error_map(flow, target, valid, arrays.get("occlusion"))
    dark = ", darker where hidden" if "occlusion" in arrays else ""
    error_caption = f"error: blue below 3 px or 5 %, red above{dark}"
    if kind == "disparity":
        true, said = -target[..., 0], -flow[..., 0]
        # The truth's own scale: one wild value of the prediction would darken both.
        scale = max(1.0, float(true[valid[..., 0] > 0].max(initial=0)))
        return {
            f"truth, up to {scale:.3g} px": viz.disparity_to_color(true, scale, valid),
            "prediction, the same scale": viz.disparity_to_color(said, scale, known),
            error_caption: error,
        }
    scale = viz.flow_scale(target, valid=valid)
    return {
        f"truth, full colour at {scale:.3g} px": viz.flow_to_color(target, scale, valid, clip=True),
        "prediction, the same scale": viz.flow_to_color(flow, scale, clip=True),
        error_caption: error,
    }


def _reduced(picture):
    """A picture of at most `_LARGEST` pixels a side: every n-th pixel, as colours stand for bins
    and motions that must not be mixed."""
    step = -(-max(picture.shape[:2]) // _LARGEST)
    return picture[::step, ::step]
