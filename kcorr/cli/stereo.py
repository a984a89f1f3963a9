"""Disparity and depth of a rectified stereo pair."""

import math
import sys
from pathlib import Path

from kcorr.cli.arguments import add_max_side, check_max_side, some_of
from kcorr.cli.errors import CommandError
from kcorr.cli.networks import add_model_arguments, add_recurrent_arguments

DESCRIPTION = """\
Compute the disparity of a rectified stereo pair, x_left - x_right in pixels of the left picture, as
horizontal flow, and draw it. Into the folder DIR:

  disparity.png        KITTI's 16-bit grey format (pixels times 256)
  disparity.pfm        the same as floating point
  disparity_color.png  dark violet is far, pale yellow is near
  occlusion.png        LEFT with what the right camera does not see in orange
  depth.pfm depth.npy  with --focal and --baseline: focal * baseline / disparity; infinite where
                       the disparity is 0

Vertical motion is ignored; where there is too much of it, or where most points move to the right,
a line on stderr says that the pair is not rectified or swapped."""
EXAMPLES = """\
examples:
  kcorr stereo left.png right.png -o out
  kcorr stereo left.png right.png -o out --focal 721.5 --baseline 0.54     # KITTI: metres"""

KINDS = ("png", "pfm", "color", "occlusion", "depth")
_FILES = {
    "png": "disparity.png",
    "pfm": "disparity.pfm",
    "color": "disparity_color.png",
    "occlusion": "occlusion.png",
}
_DEPTH_FILES = ("depth.pfm", "depth.npy")
_PNG_TOP = 65535  # in steps of 1/256 pixel


def add_arguments(parser):
    """LEFT RIGHT and options."""
    parser.add_argument("left", metavar="LEFT", help="the left camera's picture")
    parser.add_argument("right", metavar="RIGHT", help="the right camera's picture")
    parser.add_argument(
        "-o", "--output", default="out", metavar="DIR", help="output folder (default: %(default)s)"
    )
    add_model_arguments(parser)
    parser.add_argument("--focal", type=float, metavar="F", help="focal length in pixels")
    parser.add_argument(
        "--baseline", type=float, metavar="B", help="distance of the cameras, in the depth's unit"
    )
    parser.add_argument(
        "--offset",
        type=float,
        metavar="PX",
        help="x of the right principal point minus that of the left one (default: 0)",
    )
    parser.add_argument(
        "--save",
        type=some_of(KINDS),
        metavar="KIND,KIND",
        help=f"what to write, of {', '.join(KINDS)} (default: all)",
    )
    add_max_side(parser)
    parser.add_argument(
        "--max-disparity",
        type=float,
        metavar="PX",
        help="disparity of the brightest colour (default: by the picture)",
    )
    add_recurrent_arguments(parser)


def run(args):
    """Runs `kcorr stereo`."""
    kinds = _checked_kinds(args)
    import time

    from kcorr.cli.folders import check_output_folder, check_outputs, make_output_folder
    from kcorr.cli.networks import load_network, recurrent_options
    from kcorr.cli.pairs import read_pair

    left, right = read_pair(args.left, args.right)
    check_output_folder(args.output)
    names = [name for kind in kinds for name in _names(kind)]
    check_outputs([Path(args.output, name) for name in names], (args.left, args.right), "folder")
    network = load_network(args.model, args.network, **recurrent_options(args))
    from kcorr.models import predict_disparity, rectification_problem

    start = time.perf_counter()
    result = predict_disparity(network, left, right, "occlusion" in kinds, args.max_side)
    seconds = time.perf_counter() - start
    warnings = [rectification_problem(result["flow"])]
    if "png" in kinds and not _fits_png(result["disparity"]):
        warnings.append(_too_large(result["disparity"], args))
        kinds.remove("png")
    writers = _writers(left, result, kinds, args)
    folder = make_output_folder(args.output)
    for name, write in writers.items():
        write(folder / name)
    for line in filter(None, warnings):
        print(f"kcorr stereo: warning: {line}", file=sys.stderr)
    print(f"{Path(args.output)}: {_summary(result)}, {seconds:.1f} s")


def _checked_kinds(args):
    """What to write; refuses what can be refused without reading anything."""
    for path in (args.left, args.right):
        if not Path(path).exists():
            raise CommandError(f"{path}: no such file or folder")
    check_max_side(args.max_side)
    for name in ("focal", "baseline", "max_disparity"):
        value = getattr(args, name)
        if value is not None and not 0 < value < math.inf:
            option = name.replace("_", "-")
            raise CommandError(f"--{option} is {value:g}; expected a number above 0")
    if args.offset is not None and not math.isfinite(args.offset):
        raise CommandError(f"--offset is {args.offset:g}; expected a number of pixels")
    wanted = args.save or KINDS
    given = [name for name in ("focal", "baseline") if getattr(args, name) is not None]
    if len(given) == 1 or (args.offset is not None and not given):
        raise CommandError("depth needs both --focal and --baseline; expected them together")
    if not given and args.save and "depth" in args.save:
        raise CommandError("--save depth needs --focal and --baseline")
    return [kind for kind in wanted if kind != "depth" or given]


def _names(kind):
    return _DEPTH_FILES if kind == "depth" else (_FILES[kind],)


def _writers(left, result, kinds, args):
    """{file name: function of its path}. Everything is computed before anything is written."""
    from kcorr import io, viz

    disparity = result["disparity"]
    writers = {}
    for kind in kinds:
        if kind in ("png", "pfm"):
            writers[_FILES[kind]] = lambda path: io.write_disparity(path, disparity)
        elif kind == "depth":
            writers |= _depth_writers(disparity, args)
        else:
            picture = (
                viz.occlusion_overlay(left, result["occlusion"])
                if kind == "occlusion"
                else _drawn(disparity, args.max_disparity)
            )
            writers[_FILES[kind]] = lambda path, picture=picture: io.write_image(path, picture)
    return writers


def _depth_writers(disparity, args):
    import numpy as np

    from kcorr import io
    from kcorr.models import depth_of_disparity

    depth = depth_of_disparity(disparity, args.focal, args.baseline, args.offset or 0.0)

    def write_npy(path):
        with io.atomic_write(path) as temporary:
            np.save(temporary, depth)

    writers = (lambda path: io.write_pfm(path, depth), write_npy)
    return dict(zip(_DEPTH_FILES, writers, strict=True))


def _fits_png(disparity):
    return round(_largest(disparity) * 256) <= _PNG_TOP


def _too_large(disparity, args):
    """A line about a disparity.png that is not written; an error where it was asked for."""
    text = f"reaches {_largest(disparity):g} px, and a 16-bit PNG holds {_PNG_TOP / 256:.6g}"
    path = Path(args.output, _FILES["png"])
    if args.save:
        raise CommandError(f"{path}: the disparity {text}; --save pfm holds any disparity")
    return f"{path} is not written: the disparity {text}"


def _drawn(disparity, largest):
    import numpy as np

    from kcorr import viz

    # Scaled like a flow's colours: a few wrong pixels must not make everything else dark.
    flow = np.concatenate([disparity, np.zeros_like(disparity)], axis=-1)
    # 0 would be drawn as unknown, but here it is known to be far.
    return viz.disparity_to_color(np.maximum(disparity, 1e-6), largest or viz.flow_scale(flow))


def _summary(result):
    import numpy as np

    disparity = result["disparity"]
    height, width = disparity.shape[:2]
    known = disparity[np.isfinite(disparity)]
    median = float(np.median(known)) if known.size else 0.0
    text = f"{width}x{height}, disparity {median:.2f} px (median), {_largest(disparity):.1f}"
    if "occlusion" not in result:
        return f"{text} (largest)"
    return f"{text} (largest), {100 * result['occlusion'].mean():.1f} % occluded"


def _largest(disparity):
    """The largest known value, 0 where there is none."""
    return float(disparity.max(where=abs(disparity) < math.inf, initial=0.0))
