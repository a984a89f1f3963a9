"""What a user did wrong, as one line."""


class CommandError(Exception):
    """Bad input: shown as one line on stderr, exit status 2, no traceback.

    The message names the thing, says what is wrong with it and what was expected.
    """


def one_line(error):
    """The text of any exception on one line."""
    text = " ".join(str(error).split())
    return text or type(error).__name__
