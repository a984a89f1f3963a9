"""Landmarks of an object, found without labels, in pictures of it."""

from pathlib import Path

from kcorr.cli.arguments import add_size, check_size
from kcorr.cli.errors import CommandError
from kcorr.cli.networks import add_model_arguments

DESCRIPTION = """\
Find the landmarks of an object in each picture and draw them. Into the folder DIR:

  NAME_landmarks.png   the picture NAME with its landmarks; the same landmark has the same colour in
                       all pictures (small pictures are enlarged; of two pictures of one name the
                       second is NAME_2)
  landmarks.csv        a line for each picture: its path from DIR, then x and y of each landmark in
                       pixels, (0, 0) at the centre of the top left pixel

Pictures in DIR that are called NAME_landmarks.png are taken for drawings of an earlier run: where
DIR is looked through for pictures they are passed over, and new drawings replace them.

The object should be about as large in the picture as in those that the network learned from, which
recipes.landmarks makes out of any folder of pictures. Nothing is written before all is computed."""
EXAMPLES = """\
examples:
  kcorr landmarks face.jpg -o out --model runs/faces/network.keras
  kcorr landmarks photos/ -o out --model saved_models/faces --size 100"""

_DRAWING = "_landmarks.png"
_TABLE = "landmarks.csv"


def add_arguments(parser):
    """IMAGE... and options."""
    parser.add_argument(
        "images", nargs="+", metavar="IMAGE", help="a picture, or a folder: all pictures in it"
    )
    parser.add_argument(
        "-o", "--output", default="out", metavar="DIR", help="output folder (default: %(default)s)"
    )
    add_model_arguments(parser, default=None)
    add_size(parser)


def run(args):
    """Runs `kcorr landmarks`."""
    for path in args.images:
        if not Path(path).exists():
            raise CommandError(f"{path}: no such file or folder")
    check_size(args.size)
    import time

    from kcorr.cli.folders import check_output_folder, check_outputs
    from kcorr.cli.networks import load_network
    from kcorr.cli.object_pictures import refuse_too_small
    from kcorr.io import image_size

    output = Path(args.output)
    pictures = _pictures(args.images, output)
    drawings = {path: output / f"{name}{_DRAWING}" for path, name in _names(pictures).items()}
    sizes = {path: image_size(path) for path in pictures}
    check_output_folder(output)
    check_outputs([*drawings.values(), output / _TABLE], pictures, "folder")
    network = load_network(args.model, args.network, gives="landmarks")
    from kcorr.models import ObjectPredictor

    predictor = ObjectPredictor(network, args.size, compiled=len(pictures) > 4)
    refuse_too_small(sizes, predictor)
    start = time.perf_counter()
    found = _found(pictures, predictor)
    seconds = time.perf_counter() - start
    _write(found, drawings, output)
    print(f"{output}: {_summary(list(found.values()))}, {seconds:.1f} s")


def _pictures(inputs, output):
    """All pictures, each of them once, but not what an earlier run drew."""
    from kcorr.datasets.folders import picture_sequences

    found = {}
    for path in map(Path, inputs):
        if not path.is_dir():
            found.setdefault(path.resolve(), path)
            continue
        there = [file for files in picture_sequences(path) for file in files]
        there = [file for file in there if not _is_drawn(file, output)]
        if not there:
            raise CommandError(f"{path}: no picture in this folder; expected some")
        for file in there:
            found.setdefault(file.resolve(), file)
    return list(found.values())


def _is_drawn(file, output):
    return file.name.endswith(_DRAWING) and file.parent.resolve() == output.resolve()


def _found(pictures, predictor):
    """{path: what `predict_landmarks` returns}."""
    import contextlib

    from kcorr.cli.progress import progress
    from kcorr.io import read_image

    with contextlib.ExitStack() as stack:
        paths = progress(pictures, len(pictures), "landmarks", stack)
        return {path: predictor.landmarks(read_image(path)) for path in paths}


def _write(found, drawings, output):
    """Draws each picture to its path of `drawings`, and writes the table last."""
    import csv

    from kcorr import viz
    from kcorr.cli.folders import make_output_folder
    from kcorr.cli.object_pictures import drawing_scale
    from kcorr.io import atomic_write, read_image, write_image

    folder = make_output_folder(output)
    for path, result in found.items():
        # Read again: all pictures of a large folder would not fit into memory.
        image = read_image(path)
        drawn = viz.draw_points(image, result["points"], scale=drawing_scale(image.shape))
        write_image(drawings[path], drawn)
    count = len(next(iter(found.values()))["points"])
    with (
        atomic_write(folder / _TABLE) as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as file,
    ):
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["image", *(f"p{k}_{axis}" for k in range(count) for axis in "xy")])
        for path, result in found.items():
            places = [f"{value:.6g}" for value in result["points"].ravel()]
            table.writerow([_relative(path, folder), *places])


def _names(paths):
    """{path: its stem}, with a number where there is another of this name."""
    names, taken = {}, set()
    for path in paths:
        name, number = path.stem, 1
        while name.casefold() in taken:
            number += 1
            name = f"{path.stem}_{number}"
        taken.add(name.casefold())
        names[path] = name
    return names


def _relative(path, folder):
    """The path from the table's folder, as `kcorr.datasets.PointFolder` wants it."""
    import os

    # Resolved: ".." behind a symbolic link leads elsewhere.
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()


def _summary(results):
    import numpy as np

    pictures = f"{len(results)} picture{'s' if len(results) > 1 else ''}"
    confidence = np.median(np.concatenate([result["confidence"] for result in results]))
    count = len(results[0]["points"])
    return f"{pictures}, {count} landmark{'s' if count > 1 else ''} each, confidence " + (
        f"{confidence:.2f} (median)"
    )
