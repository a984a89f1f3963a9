"""Compare flow or disparity with ground truth, by the benchmarks' own definitions."""

import json
import math
from pathlib import Path

from kcorr.cli.errors import CommandError
from kcorr.cli.folders import check_outputs
from kcorr.cli.matching import counterparts, single

DESCRIPTION = """\
Compare predicted flow with ground truth: .flo, KITTI's 16-bit .png, .pfm or .npy; two files, or two
folders whose files are matched by name (sub/frame_0001.flo belongs to sub/frame_0001.png).

  EPE   endpoint error in pixels
  Fl    percent of pixels with more than 3 px and more than 5 % error (KITTI 2015)
  D1    the same for disparity
  all, noc, occ   all known pixels, those visible in the other frame, those hidden in it

Both averages are printed, because they differ: the mean of the pictures' means, and the mean over
all pixels of all pictures. Unknown ground truth does not count; a pixel without a prediction counts
as an infinite error."""
EXAMPLES = """\
examples:
  kcorr evaluate out/flow.flo truth.flo
  kcorr evaluate results/ kitti/training/flow_occ --noc kitti/training/flow_noc --json result.json
  kcorr evaluate results/ kitti/training/flow_occ --html result.html
  kcorr evaluate results/ sintel/training/flow --occlusion sintel/training/occlusions"""

_STRATA = ("all", "noc", "occ")
_ORDER = (".flo", ".npy", ".pfm", ".png")


def add_arguments(parser):
    """PREDICTION GROUND_TRUTH and options."""
    parser.add_argument("prediction", metavar="PREDICTION", help="a file or a folder")
    parser.add_argument("truth", metavar="GROUND_TRUTH", help="a file or a folder")
    parser.add_argument(
        "--occlusion",
        metavar="PATH",
        help="true occlusion: pictures that are not black where the pixel is hidden",
    )
    parser.add_argument(
        "--noc",
        metavar="PATH",
        help="ground truth of visible pixels only (KITTI's flow_noc); the others are hidden",
    )
    parser.add_argument(
        "--predicted-occlusion",
        metavar="PATH",
        help="predicted occlusion as pictures; adds its F-measure",
    )
    parser.add_argument(
        "--disparity", action="store_true", help="the files hold disparity: EPE, D1"
    )
    parser.add_argument("--json", metavar="FILE", help="also write everything to this file")
    parser.add_argument(
        "--html",
        metavar="FILE",
        help="also write a page with all tables and with pictures of the largest errors",
    )
    parser.add_argument(
        "--pictures",
        metavar="N",
        type=_count,
        default=8,
        help="pictures drawn in the page, the worst ones first (default: 8)",
    )


def run(args):
    """Runs `kcorr evaluate`."""
    if args.occlusion and args.noc:
        raise CommandError("--occlusion and --noc say the same thing; expected one of them")
    if args.predicted_occlusion and not (args.occlusion or args.noc):
        raise CommandError("--predicted-occlusion needs the truth: expected --occlusion or --noc")
    outputs = [output for output in (args.json, args.html) if output]
    for output in outputs:
        if not Path(output).absolute().parent.is_dir():
            raise CommandError(f"{output}: the folder {Path(output).parent} does not exist")
    from kcorr.metrics import FlowEvaluation

    evaluation = FlowEvaluation()
    matched = _matched(args)
    inputs = [path for files in matched for what, path in files.items() if what != "name"]
    check_outputs(outputs, inputs)
    for files in matched:
        _add(evaluation, files, args)
    result = evaluation.result()
    content = _content(evaluation.images, result, args.disparity)
    if args.json:
        from kcorr.io import atomic_write

        with atomic_write(args.json) as temporary:
            temporary.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")
    if args.html:
        from kcorr.cli.evaluation_page import write_page

        write_page(args.html, content, _worst(matched, evaluation.images, args), args)
    print(_table(evaluation.images, result, "D1" if args.disparity else "Fl"))


def _matched(args):
    """One dict of paths a picture: name, truth, prediction, and the optional ones."""
    from kcorr.io import IMAGE_SUFFIXES

    flows = _ORDER[1:] if args.disparity else _ORDER
    others = {
        "prediction": (args.prediction, flows),
        "noc": (args.noc, flows),
        "occlusion": (args.occlusion, IMAGE_SUFFIXES),
        "predicted_occlusion": (args.predicted_occlusion, IMAGE_SUFFIXES),
    }
    others = {what: other for what, other in others.items() if other[0] is not None}
    paths = {"GROUND_TRUTH": args.truth} | {what: path for what, (path, _) in others.items()}
    for path in paths.values():
        if not Path(path).exists():
            raise CommandError(f"{path}: no such file or folder")
    folder = Path(args.truth).is_dir()
    for path in paths.values():
        if Path(path).is_dir() != folder:
            kinds = ("a folder", "a file") if folder else ("a file", "a folder")
            raise CommandError(
                f"{args.truth} is {kinds[0]} and {path} is {kinds[1]}; expected two files or two "
                "folders"
            )
    if not folder:
        files = {what: Path(path) for what, (path, _) in others.items()}
        return [{"name": Path(args.truth).stem, "truth": Path(args.truth)} | files]
    truths = single(args.truth, flows)
    found = {
        what: counterparts(path, truths, suffixes, what.replace("_", " "))
        for what, (path, suffixes) in others.items()
    }
    return [
        {"name": key, "truth": truth} | {what: files[key] for what, files in found.items()}
        for key, truth in truths.items()
    ]


def _worst(matched, images, args):
    """Of the matched pictures those that are drawn, by falling endpoint error."""
    errors = [-math.inf if image["epe_all"] is None else image["epe_all"] for image in images]
    order = sorted(range(len(matched)), key=lambda index: -errors[index])
    return [(matched[index], _read(matched[index], args)) for index in order[: args.pictures]]


def _add(evaluation, files, args):
    """Counts one picture."""
    evaluation.update(**_read(files, args), name=files["name"])


def _read(files, args):
    """Reads one picture's files and checks that their sizes agree.

    Returns:
        The arguments of `FlowEvaluation.update`; the flow is NaN where it is unknown.
    """
    import numpy as np

    from kcorr.io import read_image

    read = _read_disparity if args.disparity else _read_flow
    truth, valid = read(files["truth"])
    prediction, known = read(files["prediction"])
    _same_size(files["prediction"], prediction, files["truth"], truth)
    occlusion = {}
    if "noc" in files:
        visible = read(files["noc"])[1]
        _same_size(files["noc"], visible, files["truth"], truth)
        occlusion["occlusion"] = 1 - visible
    for what in ("occlusion", "predicted_occlusion"):
        if what in files:
            hidden = read_image(files[what], channels=1) > 0
            _same_size(files[what], hidden, files["truth"], truth)
            occlusion[what] = hidden
    prediction = np.where(known > 0, prediction, np.nan)
    return {"flow": prediction, "target": truth, "valid": valid} | occlusion


def _count(text):
    """A whole number from 0."""
    import argparse

    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no count; expected a whole number from 0")
    return int(text)


def _read_flow(path):
    from kcorr.io import read_flow

    return read_flow(path)


def _read_disparity(path):
    """A disparity as horizontal flow: its error and D1 are then those of a flow."""
    import numpy as np

    from kcorr.io import read_disparity

    disparity, valid = read_disparity(path)
    return np.concatenate([-disparity, np.zeros_like(disparity)], axis=-1), valid


def _same_size(path, array, other, like):
    (h, w), (height, width) = array.shape[:2], like.shape[:2]
    if (h, w) != (height, width):
        raise CommandError(f"{path} is {w}x{h}; expected {width}x{height} like {other}")


def _table(images, result, outliers):
    """Aligned text: one line a picture, then the two averages."""
    strata = [one for one in _STRATA if one == "all" or result["pixels_noc"] + result["pixels_occ"]]
    columns = [f"epe_{one}" for one in strata] + [f"fl_{one}" for one in strata]
    head = [f"EPE {one}" for one in strata] + [f"{outliers} {one} %" for one in strata]
    rows = [["picture", *head]]
    if len(images) > 1:
        rows += [[image["name"], *(_number(image[key]) for key in columns)] for image in images]
    for label, average in (("mean of pictures", "per_image"), ("all pixels", "per_pixel")):
        if len(images) > 1 or average == "per_pixel":
            label = label if len(images) > 1 else images[0]["name"]
            rows.append([label, *(_number(result[f"{key}_{average}"]) for key in columns)])
    lines = _aligned(rows)
    if len(images) > 1:
        lines.insert(len(lines) - 2, "-" * len(lines[0]))
    pictures = f"{len(images)} picture{'s' if len(images) > 1 else ''}"
    lines.append(f"{pictures}, {result['pixels_all']} pixels with ground truth")
    if result["occlusion_f"] is not None:
        lines.append(f"occlusion F {result['occlusion_f']:.4f}")
    if result["missing"]:
        lines.append(f"{result['missing']} of them without a prediction: an infinite error each")
    return "\n".join(lines)


def _aligned(rows):
    """Lines of columns as wide as their widest cell, the first one flush left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for name, *cells in rows:
        cells = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
        lines.append("  ".join([name.ljust(widths[0]), *cells]))
    return lines


def _number(value):
    return "-" if value is None else f"{value:.3f}"


def _content(images, result, disparity):
    """What the JSON file holds."""
    from kcorr.io import plain_json

    kind = "disparity" if disparity else "flow"
    return plain_json({"kind": kind, "result": result, "images": images})
