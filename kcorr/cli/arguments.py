"""Options that several commands take."""

from argparse import ArgumentTypeError

from kcorr.cli.errors import CommandError


def add_max_side(parser):
    """--max-side; `check_max_side` refuses what is too small."""
    parser.add_argument(
        "--max-side",
        type=int,
        metavar="N",
        help="the network sees pictures shrunk to this longest side (default: full size)",
    )


def check_max_side(value):
    """Refuses a --max-side below what networks take."""
    _check_side("--max-side", value)


def add_size(parser):
    """--size, of commands on pictures of objects; `check_size` refuses what is too small."""
    parser.add_argument(
        "--size",
        type=int,
        metavar="N",
        help="the network sees pictures scaled to this shorter side (default: the size that it "
        "learned from; where the model does not tell, pictures as they are)",
    )


def check_size(value):
    """Refuses a --size below what networks take."""
    _check_side("--size", value)


def _check_side(option, value):
    if value is not None and value < 16:
        raise CommandError(f"{option} is {value}; expected a whole number from 16")


def some_of(known):
    """A type that reads KIND,KIND into a tuple and refuses what is not in `known`."""

    def kinds(text):
        named = [kind.strip() for kind in text.split(",")]
        unknown = [kind for kind in named if kind not in known]
        if unknown:
            # argparse shows the text of this error type, unlike that of a ValueError.
            raise ArgumentTypeError(
                f"{unknown[0]!r} is unknown; expected some of {','.join(known)}"
            )
        return tuple(named)

    return kinds
