"""Types of options that several commands take; argparse shows what they complain about."""

from argparse import ArgumentTypeError


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
