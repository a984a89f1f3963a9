"""Outputs: refused early where they cannot or must not be written; folders are created late."""

import contextlib
import os
import stat
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


def check_outputs(outputs, inputs, wanted="name"):
    """Refuses files that would take the place of a folder, or of something that is read.

    Args:
        outputs: paths of all files that a command may write.
        inputs: paths of all files that it reads; what is not there is none.
        wanted: what a user gives to have others: another "name" or another "folder".

    Raises:
        CommandError: an output is a folder, or an input under this or another of its names.
    """
    # Not by names: links, and capitals on some systems, make several of one file.
    read = set()
    for path in inputs:
        with contextlib.suppress(OSError):
            status = os.stat(path)
            read.add((status.st_dev, status.st_ino))
    for path in outputs:
        try:
            status = os.stat(path)
        except OSError:
            continue  # not there, or not to be reached: writing says which
        if stat.S_ISDIR(status.st_mode):
            raise CommandError(f"{path}: is a folder; expected a file for the output")
        if (status.st_dev, status.st_ino) in read:
            raise CommandError(f"{path}: is an input; expected another {wanted} for the output")


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
