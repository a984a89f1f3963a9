"""Turn a TensorFlow 1 checkpoint of the authors of DDFlow and SelFlow into a .keras file."""

from pathlib import Path

from kcorr.cli.errors import CommandError, one_line
from kcorr.cli.networks import quiet_start

DESCRIPTION = """\
Read a checkpoint that the authors of DDFlow and SelFlow released (PREFIX.index and
PREFIX.data-00000-of-00001) and write the network as a .keras file, or its weights as .weights.h5.
Which of the two it is, the file tells."""
EXAMPLES = """\
examples:
  kcorr import-checkpoint models/KITTI/model.ckpt ddflow_kitti.keras
  kcorr flow a.png b.png --model ddflow_kitti.keras"""


def add_arguments(parser):
    """PREFIX OUT, and --standardise."""
    parser.add_argument("prefix", metavar="PREFIX", help="path without .index")
    parser.add_argument(
        "output", metavar="OUT.keras", help="a name ending in .keras or .weights.h5"
    )
    parser.add_argument(
        "--standardise",
        action="store_true",
        help="the network brings each picture to mean 0 and variance 1 first, which SelFlow's "
        "Sintel/supervise_finetune expects and no other (kept in .keras only)",
    )


def run(args):
    """Runs `kcorr import-checkpoint`."""
    if not args.output.endswith((".keras", ".weights.h5")):
        raise CommandError(f"{args.output}: expected a name that ends in .keras or .weights.h5")
    prefix = args.prefix.removesuffix(".index")
    if not Path(f"{prefix}.index").is_file():
        raise CommandError(
            f"{prefix}.index: no such file; expected the prefix of a TensorFlow checkpoint, "
            "PREFIX.index and PREFIX.data-00000-of-00001"
        )
    if not Path(args.output).parent.is_dir():
        raise CommandError(f"{args.output}: the folder {Path(args.output).parent} does not exist")
    with quiet_start():
        from kcorr.models import from_authors_checkpoint
    try:
        network = from_authors_checkpoint(prefix, standardise=args.standardise)
    except ValueError as error:
        raise CommandError(one_line(error)) from error
    from kcorr.io import atomic_write

    with atomic_write(args.output) as temporary:
        if args.output.endswith(".keras"):
            network.save(temporary)
        else:
            network.save_weights(temporary, overwrite=True)
    print(f"{args.output}: {network.name} with {network.count_params():,} parameters")
