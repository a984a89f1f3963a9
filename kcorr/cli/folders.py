"""Output folders, checked early and created late."""

import os
from pathlib import Path

from kcorr.cli.errors import CommandError


def check_output_folder(path):
    """Refuses a folder that cannot be there or cannot be written, without creating anything.

    Raises:
        CommandError: it, or what it would lie in, is a file or not writable.
    """
    path = Path(path)
    existing = path
    while not os.path.lexists(existing) and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir():
        what = "is" if existing == path else f"{existing} is"
        raise CommandError(f"{path}: {what} a file; expected a folder for the output")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise CommandError(
            f"{path}: the folder {existing.absolute()} is not writable; expected one that is, "
            "for the output"
        )


def make_output_folder(path):
    """Creates a folder and its parents; an existing one is fine.

    Raises:
        CommandError: it cannot be created.
    """
    check_output_folder(path)
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(
            f"{path}: this folder cannot be created ({error.strerror or error}); expected one that "
            "can, for the output"
        ) from error
    return Path(path)
