"""Quasi-dense matches of two pictures, and dense flow made of them."""

from pathlib import Path

from kcorr.cli.arguments import add_max_side, check_max_side
from kcorr.cli.errors import CommandError, one_line
from kcorr.cli.networks import add_model_arguments

DESCRIPTION = """\
Match pictures A and B of one size by deep matching: points of A, one every 8 pixels, are found in B
by the scores of ever larger patches around them. Beside each other:

  matches.txt        a line x1 y1 x2 y2 score for each match, as the DeepMatching and EpicFlow
                     programs exchange them; pixels with (0, 0) at the centre of the top left one
  matches.png        both pictures with their matches: what belongs together has one colour
  matches.flo        with --dense: the flow from A to B, interpolated along the edges of A
  matches_flow.png   with --dense: the flow as colours of the Middlebury wheel

Matches are those that both pictures agree on. Pictures without texture have few or none."""
EXAMPLES = """\
examples:
  kcorr match a.png b.png -o out/matches.txt
  kcorr match a.png b.png -o out/matches.txt --dense --radius 160
  kcorr match a.jpg b.jpg --dense average --refine --max-side 1024
  kcorr match a.png b.png --model matching        # a CNN that learned: better, slower
  kcorr match a.png b.png --model runs/matching/cnn_both/network.keras --exact"""

# What needs no weights: the descriptors of the released programs.
_FRESH = {"hog": "deep_matching_hog", "hog_gpu": "deep_matching_hog"}
_EXTRA = "pip install 'kcorr[matching]'"


def add_arguments(parser):
    """A B and options."""
    parser.add_argument("first", metavar="A", help="picture 1")
    parser.add_argument("second", metavar="B", help="picture 2, of the same size")
    parser.add_argument(
        "-o",
        "--output",
        default="matches.txt",
        metavar="FILE",
        help="the matches; the other files lie beside it (default: %(default)s)",
    )
    add_model_arguments(
        parser,
        default="hog",
        also="hog or hog_gpu, the descriptors of the released programs, which need no weights; or ",
    )
    parser.add_argument(
        "--radius",
        type=int,
        metavar="PX",
        help="largest displacement, in pixels that the network sees (default: the network's, 80)",
    )
    cells = parser.add_mutually_exclusive_group()
    cells.add_argument(
        "--cell",
        type=int,
        metavar="PX",
        help="cells of B of so many pixels have one match each (default: the network's, 8)",
    )
    cells.add_argument(
        "--exact",
        dest="cell",
        action="store_const",
        const=1,
        help="--cell 1: a match is the best one of its very pixel of B",
    )
    add_max_side(parser)
    parser.add_argument(
        "--dense",
        nargs="?",
        const="affine",
        choices=("affine", "average"),
        help="also write dense flow: affine motions about the matches (default), or averages",
    )
    parser.add_argument(
        "--refine",
        action="store_true",
        help="with --dense: end with a few variational steps, for the last pixel or two (OpenCV)",
    )


def run(args):
    """Runs `kcorr match`."""
    paths = _check(args)
    import time

    from kcorr.cli.pairs import read_pair

    first, second = read_pair(args.first, args.second)
    network = _network(args)
    from kcorr.models import predict_matches

    network = _searching(args, network, first.shape[:2])
    start = time.perf_counter()
    matches = predict_matches(network, first, second, max_side=args.max_side)
    flow = _dense(args, matches, first, second)
    seconds = time.perf_counter() - start
    _write(paths, first, second, matches, flow)
    height, width = first.shape[:2]
    print(f"{paths['matches']}: {width}x{height}, {_summary(matches)}, {seconds:.1f} s")


def _check(args):
    """Refuses what can be refused without reading a picture; {kind: path} of the output."""
    for path in (args.first, args.second):
        if not Path(path).exists():
            raise CommandError(f"{path}: no such file or folder")
    check_max_side(args.max_side)
    for name in ("radius", "cell"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise CommandError(f"--{name} is {value}; expected a whole number from 1")
    if args.refine and not args.dense:
        raise CommandError("--refine is for the flow of --dense; expected both")
    paths = _paths(args)
    if args.dense:
        _need("--dense", scipy="scipy", skimage="scikit-image")
    if args.refine:
        _need("--refine", cv2="OpenCV")
    return paths


def _paths(args):
    """{kind: path} of all files, none of which is a folder or an input."""
    from kcorr.cli.folders import check_output_folder, check_outputs

    output = Path(args.output)
    # "." and "/" have no name that a suffix could be put behind.
    if output.name in ("", ".."):
        raise CommandError(f"{output}: is a folder; expected a file for the output")
    paths = {"matches": output, "picture": output.with_suffix(".png")}
    if args.dense:
        paths["flow"] = output.with_suffix(".flo")
        paths["color"] = output.with_name(f"{output.stem}_flow.png")
    # Not only the same names: .PNG and .png are one file to some systems.
    if output.suffix.lower() in (".png", ".flo"):
        raise CommandError(
            f"{output}: its matches are text, and {output.suffix.lower()} is the name of what lies "
            "beside them; expected a name such as matches.txt"
        )
    check_outputs(paths.values(), (args.first, args.second))
    check_output_folder(output.parent)
    return paths


def _need(option, **packages):
    """Refuses an option whose packages are not there: {name of the module: of the package}."""
    import importlib

    for module, package in packages.items():
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise CommandError(f"{option} needs {package}: {_EXTRA}") from error


def _network(args):
    from kcorr.cli.networks import load_network, quiet_start

    if args.model not in _FRESH or args.network is not None:
        return load_network(args.model, args.network, gives="matches")
    with quiet_start():
        from kcorr.models import build
    return build(_FRESH[args.model], descriptor=args.model)


def _searching(args, network, size):
    """The network with --radius and --cell, if pictures of this size can be matched so."""
    from kcorr.models.match_memory import check_matching_memory
    from kcorr.models.match_predict import check_matched_size

    pictures = f"{args.first} and {args.second}"
    try:
        seen = check_matched_size(network, size, args.max_side)
    except ValueError as error:
        raise CommandError(f"{pictures}: {one_line(error)}") from error
    if args.radius is not None or args.cell is not None:
        network = _with_search(args, network, seen)
    try:
        check_matching_memory(network, seen)
    except MemoryError as error:
        text = one_line(error).replace("max_side or radius", "--max-side or --radius")
        raise CommandError(f"{pictures}: {text}") from error
    return network


def _with_search(args, network, seen):
    """The network with --radius and --cell, for pictures that it sees at this (height, width)."""
    from kcorr.models.match_predict import with_search

    try:
        searching = with_search(network, args.radius, args.cell)
    except ValueError as error:
        given = " and ".join(f"--{x}" for x in ("radius", "cell") if getattr(args, x) is not None)
        raise CommandError(f"{given}: {one_line(error)}") from error
    # Beyond that there is nothing to find, and memory grows with the square of the radius.
    largest = max(*seen, network.config["radius"])
    if (args.radius or 0) > largest:
        raise CommandError(
            f"--radius is {args.radius}; expected at most {largest} for pictures seen at "
            f"{seen[1]}x{seen[0]}"
        )
    return searching


def _dense(args, matches, first, second):
    """The interpolated flow, or None without --dense."""
    if not args.dense:
        return None
    if not len(matches):
        raise CommandError(
            f"{args.first} and {args.second} have no matches to make dense flow of; expected "
            "pictures with more texture, or no --dense"
        )
    from kcorr.models import interpolate_matches, refine_flow

    flow = interpolate_matches(matches, first, method=args.dense)
    return refine_flow(flow, first, second) if args.refine else flow


def _write(paths, first, second, matches, flow):
    """All files. Everything is computed before anything is written."""
    from kcorr.cli.folders import make_output_folder
    from kcorr.cli.pictures import save
    from kcorr.io import write_image, write_matches
    from kcorr.viz import match_sheet

    drawn = match_sheet(first, second, matches, flow)
    make_output_folder(paths["matches"].parent)
    write_matches(paths["matches"], matches)
    write_image(paths["picture"], drawn)
    if flow is not None:
        save({kind: paths[kind] for kind in ("flow", "color")}, first, {"flow": flow})


def _summary(matches):
    if not len(matches):
        return "no matches (is there texture in both pictures?)"
    import numpy as np

    length = np.hypot(*(matches[:, 2:4] - matches[:, :2]).T)
    return (
        f"{len(matches)} match{'' if len(matches) == 1 else 'es'}, motion "
        f"{np.median(length):.2f} px (median), {length.max():.1f} (largest)"
    )
