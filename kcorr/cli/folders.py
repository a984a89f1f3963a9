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
        raise CommandError(f"{path}: {existing} is a file; expected an output folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise CommandError(
            f"{path}: the folder {existing.absolute()} is not writable; expected an output folder "
            "that can be written"
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
            f"{path}: the output folder cannot be created ({error.strerror or error}); expected "
            "one that can be written"
        ) from error
    return Path(path)
