"""The one error that every reader of this package raises for a file it cannot understand."""


class FormatError(ValueError):
    """A file (or an array for a file) does not have the format that was asked for.

    The message is one line: the file, what is wrong, what was expected.
    """

    def __init__(self, path, wrong, expected=None):
        line = f"{path}: {wrong}"
        if expected:
            line += f"; expected {expected}"
        super().__init__(line)
