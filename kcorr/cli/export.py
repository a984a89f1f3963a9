"""Write a network as a SavedModel for TensorFlow Serving."""

from pathlib import Path

from kcorr.cli.errors import CommandError, one_line
from kcorr.cli.folders import check_output_folder
from kcorr.cli.networks import (
    add_network_argument,
    add_recurrent_arguments,
    load_network,
    recurrent_options,
)

DESCRIPTION = """\
Write a network as a SavedModel: a new version folder with signatures, warm-up requests and a model
card. A flow network has the signatures serving_default, serving_float, flow_and_occlusion and,
where it has a pyramid, features (three_frames where it sees three), a network of landmarks
serving_default and landmarks, an object frame serving_default, label and match_points, a network
of matches serving_default and match."""
EXAMPLES = """\
examples:
  kcorr export ddflow saved_models/ddflow
  kcorr export runs/mine/network.keras saved_models/mine --version 7"""


def add_arguments(parser):
    """MODEL DIRECTORY."""
    parser.add_argument(
        "model", metavar="MODEL", help="a shipped network, a .keras or a .weights.h5 file"
    )
    parser.add_argument("output", metavar="DIRECTORY", help="for example saved_models/NAME")
    add_network_argument(parser)
    parser.add_argument(
        "--version",
        dest="number",
        type=int,
        metavar="N",
        help="number of the version (default: one above the highest there)",
    )
    add_recurrent_arguments(parser)


def run(args):
    """Runs `kcorr export`."""
    if args.number is not None and args.number < 1:
        raise CommandError(f"--version is {args.number}; expected a whole number from 1")
    if Path(args.model).is_dir():
        raise CommandError(
            f"{args.model}: is a folder; expected a shipped network, a .keras or .weights.h5 file"
        )
    check_output_folder(args.output)
    network = load_network(args.model, args.network, gives=None, **recurrent_options(args))
    from kcorr.export import export_network

    try:
        written = export_network(network, args.output, version=args.number)
    except ValueError as error:
        raise CommandError(one_line(error)) from error
    print(written)
