"""Optical flow of two pictures, of a video or of a folder of frames."""

from pathlib import Path

from kcorr.cli.arguments import add_max_side, check_max_side, some_of
from kcorr.cli.errors import CommandError
from kcorr.cli.networks import add_model_arguments, add_recurrent_arguments

DESCRIPTION = """\
Compute optical flow and draw it.

Of two pictures, into the folder DIR:
  flow.flo        the flow, in pixels from FRAME1 to FRAME2 (--format: flow.npy, flow.pfm, or
                  KITTI's 16-bit flow_kitti.png)
  flow.png        the flow as colours of the Middlebury wheel
  occlusion.png   FRAME1 with what FRAME2 hides in orange: what the flow there and back does not
                  lead home; where a picture is blurred this may be visible but uncertain
  warped.png      FRAME2 pulled back onto FRAME1
  overlay.png     FRAME1 with what moved in colour, and arrows

Of three pictures the same, from the middle one to the last: networks of three frames, such as
SelFlow, see the first one too. In a video they see the frames around each pair by themselves.

Of a video or a folder of frames, for each pair of consecutive frames that no hard cut parts:
  flow/NUMBER.flo  color/NUMBER.png  occlusion/NUMBER.png  warped/NUMBER.png  overlay/NUMBER.png
  and flow.mp4, the overlays as a video. NUMBER is that of the first frame; a folder's files keep
  the names of their first frames."""
EXAMPLES = """\
examples:
  kcorr flow a.png b.png -o out
  kcorr flow street.mp4 -o out --frames 100:200 --max-side 640
  kcorr flow frames/ -o out --save flow,overlay
  kcorr flow a4k.png b4k.png -o out --model runs/mine/network.keras --low-memory"""

DEFAULT_KINDS = ("flow", "color", "occlusion", "warped", "overlay", "video")
KINDS = (*DEFAULT_KINDS, "mask")
_FORMATS = ("flo", "png", "npy", "pfm")
_OF_SEQUENCES = ("stride", "frames", "fps", "damaged")


def add_arguments(parser):
    """[FRAME0] FRAME1 FRAME2, or VIDEO or FOLDER, and options."""
    parser.add_argument(
        "inputs", nargs="+", metavar="INPUT", help="[FRAME0] FRAME1 FRAME2, or a video, or a folder"
    )
    parser.add_argument(
        "-o", "--output", default="out", metavar="DIR", help="output folder (default: %(default)s)"
    )
    add_model_arguments(parser)
    parser.add_argument("--format", choices=_FORMATS, default="flo", help="of the flow file")
    parser.add_argument(
        "--save",
        type=some_of(KINDS),
        default=DEFAULT_KINDS,
        metavar="KIND,KIND",
        help=f"what to write, of {', '.join(KINDS)}; mask is the occlusion in black and white "
        "(default: all but mask)",
    )
    add_max_side(parser)
    parser.add_argument(
        "--protocol",
        choices=("selflow", "bilinear"),
        help="the network sees each side enlarged to a multiple of 64: selflow resizes pictures "
        "and flow by nearest neighbours, as SelFlow's authors test (not with --max-side), bilinear "
        "interpolates (default: sizes as they are)",
    )
    parser.add_argument(
        "--max-flow",
        type=float,
        metavar="PX",
        help="motion that gets full colour (default: by the flow; in a video it adapts slowly)",
    )
    group = parser.add_argument_group("videos and folders")
    group.add_argument("--stride", type=int, metavar="N", help="distance of two frames (default 1)")
    group.add_argument(
        "--frames", type=_span, metavar="A:B", help="only frames A to B - 1, counted from 0"
    )
    group.add_argument(
        "--fps", type=float, help="of flow.mp4 (default: the video's own; 25 for a folder)"
    )
    group.add_argument(
        "--damaged",
        choices=("error", "keep"),
        help="keep uses the frames before the damage of a broken video (default: error)",
    )
    add_recurrent_arguments(parser)


def run(args):
    """Runs `kcorr flow`."""
    _check(args)
    if len(args.inputs) == 1:
        from kcorr.cli.sequences import run_sequence

        run_sequence(args)
    else:
        from kcorr.cli.pairs import run_pair

        run_pair(args)


def _check(args):
    """Refuses what can be refused without reading anything."""
    if len(args.inputs) > 3:
        raise CommandError(
            f"{len(args.inputs)} inputs; expected two or three pictures, one video or one folder "
            "of frames"
        )
    for path in args.inputs:
        if not Path(path).exists():
            raise CommandError(f"{path}: no such file or folder")
    if len(args.inputs) > 1:
        count = "two" if len(args.inputs) == 2 else "three"
        for name in _OF_SEQUENCES:
            if getattr(args, name) is not None:
                raise CommandError(f"--{name} is for a video or a folder; got {count} pictures")
    check_max_side(args.max_side)
    if args.protocol == "selflow" and args.max_side is not None:
        raise CommandError(
            "--protocol selflow sees pictures enlarged; expected it without --max-side, or "
            "--protocol bilinear"
        )
    if args.max_flow is not None and not 0 < args.max_flow < float("inf"):
        raise CommandError(f"--max-flow is {args.max_flow:g}; expected a number above 0")
    if args.fps is not None and not 0.001 <= args.fps <= 1000:
        raise CommandError(f"--fps is {args.fps:g}; expected 0.001 to 1000")
    if args.stride is not None and args.stride < 1:
        raise CommandError(f"--stride is {args.stride}; expected a whole number from 1")


def _span(text):
    """ "A:B" -> (A, B), B None for the end."""
    from argparse import ArgumentTypeError

    start, colon, stop = text.partition(":")
    if not colon or not all(part == "" or part.isdecimal() for part in (start, stop)):
        raise ArgumentTypeError(f"{text!r} is no range; expected A:B, A: or :B")
    start, stop = int(start or 0), int(stop) if stop else None
    if stop is not None and stop <= start:
        raise ArgumentTypeError(f"{text!r} holds no frame; expected A below B")
    return start, stop
