"""Points of one picture of an object, found in another picture of it or of its like."""

import math
import os
from pathlib import Path

from kcorr.cli.arguments import add_size, check_size
from kcorr.cli.errors import CommandError
from kcorr.cli.networks import add_model_arguments

DESCRIPTION = """\
Find points of picture A in picture B: where the labels of an object frame or an embedding, which
learned without annotations, are most similar. Into the folder DIR:

  matches.csv   x1,y1,x2,y2,similarity: the points in A, their matches in B, in pixels with (0, 0)
                at the centre of the top left pixel, and the inner product of their labels
  matches.png   both pictures side by side, and lines between the points

The pictures' sizes may differ. The object should be about as large in them as in those that the
network learned from, which recipes.object_frame makes out of any folder of pictures."""
EXAMPLES = """\
examples:
  kcorr match-points a.jpg b.jpg --points "31,40;60.5,41" -o out --model runs/faces/network.keras
  kcorr match-points a.jpg b.jpg --points points.csv -o out --model saved_models/faces

points.csv:
  x,y
  31,40
  60.5,41"""

_TABLE, _DRAWING = "matches.csv", "matches.png"
_HEADER = ["x", "y"]
_LINES = "a line x,y for each point"


def add_arguments(parser):
    """A B, --points and options."""
    parser.add_argument("first", metavar="A", help="the picture that the points are in")
    parser.add_argument("second", metavar="B", help="the picture that they are looked for in")
    parser.add_argument(
        "--points",
        required=True,
        metavar="FILE|X,Y;X,Y",
        help="points in pixels of A: a .csv file with a line x,y for each, or the numbers",
    )
    parser.add_argument(
        "-o", "--output", default="out", metavar="DIR", help="output folder (default: %(default)s)"
    )
    parser.add_argument(
        "--directions",
        action="store_true",
        help="compare where labels point, whatever their length (similarity: their cosine); more "
        "exact for networks that learned from a folder of pictures, whose background counts, too",
    )
    add_model_arguments(parser, default=None)
    add_size(parser)


def run(args):
    """Runs `kcorr match-points`."""
    for path in (args.first, args.second):
        if not Path(path).exists():
            raise CommandError(f"{path}: no such file or folder")
    check_size(args.size)
    points = _read_points(args.points)
    import time

    import numpy as np

    from kcorr.cli.folders import check_output_folder, check_outputs
    from kcorr.cli.networks import load_network
    from kcorr.cli.object_pictures import refuse_too_small
    from kcorr.io import read_image

    images = {path: read_image(path) for path in (args.first, args.second)}
    sizes = {path: image.shape[:2] for path, image in images.items()}
    _check_inside(points, args.first, sizes[args.first])
    check_output_folder(args.output)
    outputs = [Path(args.output, name) for name in (_TABLE, _DRAWING)]
    check_outputs(outputs, (args.first, args.second, args.points), "folder")
    network = load_network(args.model, args.network, gives="labels")
    from kcorr.models import ObjectPredictor

    predictor = ObjectPredictor(network, args.size, compiled=False)
    refuse_too_small(sizes, predictor)
    start = time.perf_counter()
    first, second = images[args.first], images[args.second]
    normalise = "cosine" if args.directions else "none"
    result = predictor.match(first, second, np.array(points), normalise)
    seconds = time.perf_counter() - start
    _write(Path(args.output), first, second, points, result)
    count = f"{len(points)} point{'s' if len(points) > 1 else ''}"
    similarity = float(np.median(result["similarity"]))
    print(f"{Path(args.output)}: {count}, similarity {similarity:.3g} (median), {seconds:.1f} s")


def _read_points(text):
    """[(x, y), ...] of --points."""
    path = Path(text)
    if path.suffix.lower() == ".csv" or os.path.exists(text):
        return _read_table(path)
    points = []
    for part in text.strip().strip(";").split(";"):
        point = _as_point(part.split(","))
        if point is None:
            raise CommandError(
                f"--points: {part.strip()!r} is no point; expected X,Y;X,Y (numbers of pixels), or "
                "a .csv file"
            )
        points.append(point)
    return points


def _read_table(path):
    """The points of a file; its first line may be the names of the columns, x and y."""
    from kcorr.io import FormatError, read_table

    rows = read_table(path)
    if rows and [cell.lower() for cell in rows[0][1]] == _HEADER:
        rows = rows[1:]
    points = []
    for line, row in rows:
        point = _as_point(row)
        if point is None:
            raise FormatError(path, f"line {line}: {','.join(row)!r} is no point", _LINES)
        points.append(point)
    if not points:
        raise FormatError(path, "no point in this file", _LINES)
    return points


def _as_point(cells):
    """(x, y), or None for what is not two finite numbers."""
    try:
        point = tuple(float(cell) for cell in cells)
    except ValueError:
        return None
    return point if len(point) == 2 and all(map(math.isfinite, point)) else None


def _check_inside(points, path, size):
    height, width = size
    for number, (x, y) in enumerate(points, start=1):
        # A pixel's square reaches half a pixel to each side of its middle.
        if not (-0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5):
            raise CommandError(
                f"--points: point {number}, {x:g},{y:g}, lies outside {path}; expected x from 0 to "
                f"{width - 1} and y from 0 to {height - 1}"
            )


def _write(output, first, second, points, result):
    """Both files. Everything is computed before anything is written."""
    from kcorr import viz
    from kcorr.cli.folders import make_output_folder
    from kcorr.cli.object_pictures import drawing_scale
    from kcorr.io import atomic_write, write_image

    scale = drawing_scale(first.shape, second.shape)
    drawn = viz.draw_matches(first, second, points, result["points2"], scale=scale)
    lines = ["x1,y1,x2,y2,similarity"]
    for here, there, alike in zip(points, result["points2"], result["similarity"], strict=True):
        lines.append(",".join(f"{value:.6g}" for value in (*here, *there, *alike)))
    folder = make_output_folder(output)
    write_image(folder / _DRAWING, drawn)
    with atomic_write(folder / _TABLE) as temporary:
        temporary.write_text("\n".join([*lines, ""]), encoding="utf-8")
