"""Convert flow and disparity files: .flo, KITTI .png, .pfm, .npy."""

import math
from pathlib import Path

from kcorr.cli.errors import CommandError, one_line
from kcorr.cli.folders import check_output_folder, check_outputs, make_output_folder
from kcorr.cli.matching import single

DESCRIPTION = """\
Convert a flow or disparity file into the format of the other name's suffix. Of a folder, every file
is converted into a folder of the same shape; --to names the format then.

  flow       .flo  .png (16-bit RGB)   .pfm (3 channels)  .npy ([h, w, 2] or [h, w, 3])
  disparity        .png (16-bit grey)  .pfm (1 channel)   .npy ([h, w] or [h, w, 1])

Unknown pixels stay unknown in every format. A .png holds steps of 1/64 pixel (disparity: 1/256)."""
EXAMPLES = """\
examples:
  kcorr convert flow.flo flow_kitti.png
  kcorr convert results/ submission/ --to png --clip"""

_FORMATS = ("flo", "npy", "pfm", "png")


def add_arguments(parser):
    """IN OUT and options."""
    parser.add_argument("source", metavar="IN", help="a file or a folder")
    parser.add_argument("output", metavar="OUT", help="a file or a folder")
    parser.add_argument("--to", choices=_FORMATS, help="format of the files in a folder")
    parser.add_argument(
        "--kind",
        choices=("flow", "disparity"),
        help="what the files hold (default: what they look like)",
    )
    parser.add_argument(
        "--clip",
        action="store_true",
        help="values beyond the range of a .png become its nearest ones (default: an error)",
    )


def run(args):
    """Runs `kcorr convert`."""
    source, target = Path(args.source), Path(args.output)
    if not source.exists():
        raise CommandError(f"{source}: no such file or folder")
    if source.is_dir():
        _convert_folder(source, target, args)
        return
    if args.to and target.suffix.lower() != f".{args.to}":
        raise CommandError(f"{target}: does not end in .{args.to}; --to is for folders")
    check_outputs([target], [source])
    print(_convert(source, target, args))


def _convert_folder(source, target, args):
    if not args.to:
        raise CommandError(f"{source}: is a folder; expected --to with one of {' '.join(_FORMATS)}")
    files = single(source, tuple(f".{one}" for one in _FORMATS))
    check_output_folder(target)
    outputs = {path: target / f"{key}.{args.to}" for key, path in files.items()}
    check_outputs(outputs.values(), outputs, "folder")
    for done, (path, output) in enumerate(outputs.items()):
        try:
            _convert(path, output, args, make_folder=True)
        except (CommandError, OSError, ValueError) as error:
            raise CommandError(f"{one_line(error)} ({done} of {len(files)} converted)") from error
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"{done} of {len(files)} files are converted") from None
    print(f"{target}: {len(files)} files converted to .{args.to}")


def _convert(source, target, args, make_folder=False):
    """Converts one file; returns a line about it."""
    from kcorr import io

    kind, values, valid = _read(source, args.kind)
    suffixes = io.FLOW_SUFFIXES if kind == "flow" else io.DISPARITY_SUFFIXES
    if target.suffix.lower() not in suffixes:
        raise CommandError(
            f"{target}: the suffix {target.suffix!r} names no {kind} format; expected one of "
            f"{' '.join(suffixes)}"
        )
    if make_folder:
        make_output_folder(target.parent)
    write = io.write_flow if kind == "flow" else io.write_disparity
    try:
        write(target, values, valid, clip=args.clip)
    except io.FormatError as error:
        text = one_line(error).replace("(clip=True to clip)", "(--clip writes the nearest ones)")
        raise CommandError(text) from error
    height, width = values.shape[:2]
    known = math.floor(1000 * valid.mean()) / 10  # 100 only where nothing is unknown
    return f"{target}: {kind} {width}x{height}, {known:.1f} % known"


def _read(path, kind):
    """(kind, values, valid); without a kind whichever of the two readers understands the file."""
    from kcorr import io

    readers = {"flow": io.read_flow, "disparity": io.read_disparity}
    if kind:
        return kind, *readers[kind](path)
    complaints = []
    for name, read in readers.items():
        try:
            return name, *read(path)
        except io.FormatError as error:
            complaints.append(one_line(error))
    if path.suffix.lower() in io.DISPARITY_SUFFIXES and complaints[0] != complaints[1]:
        wrong = complaints[1].removeprefix(f"{path}: ")
        raise CommandError(f"{complaints[0]}; nor is it a disparity: {wrong}")
    raise CommandError(complaints[0])
