"""Files of two folders that belong together: the same relative path without its suffix."""

import os
from pathlib import Path

from kcorr.cli.errors import CommandError


def listing(folder, suffixes):
    """{relative path without suffix: [files]} of a folder and its sub-folders, in natural order.

    Files and folders that start with a dot are not looked at.
    """
    from kcorr.datasets import natural_key

    found = {}
    for where, inner, files in os.walk(folder, followlinks=True):
        inner[:] = [one for one in inner if not one.startswith(".")]
        for file in files:
            path = Path(where, file)
            if path.suffix.lower() in suffixes and not file.startswith("."):
                key = path.relative_to(folder).with_suffix("").as_posix()
                found.setdefault(key, []).append(path)
    return {key: sorted(found[key]) for key in sorted(found, key=natural_key)}


def single(folder, suffixes):
    """`listing` with exactly one file a name.

    Raises:
        CommandError: no file, or two that differ only in their suffix.
    """
    files = listing(folder, suffixes)
    if not files:
        raise CommandError(f"{folder}: holds no file to read; expected {' '.join(suffixes)}")
    for twins in files.values():
        if len(twins) > 1:
            raise CommandError(
                f"{twins[0]}: {twins[1].name} has the same name; expected one file a name"
            )
    return {key: one for key, [one] in files.items()}


def counterparts(folder, wanted, suffixes, what):
    """The files of `folder` that belong to `wanted`.

    Args:
        folder: where to look.
        wanted: {key: path} of `single`.
        suffixes: in order of preference; the wanted file's own suffix comes first.
        what: what they are called in an error.

    Returns:
        {key: path}.

    Raises:
        CommandError: one is missing.
    """
    there = listing(folder, suffixes)
    missing = [key for key in wanted if key not in there]
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        kinds = " ".join(suffixes)
        raise CommandError(
            f"{Path(folder, missing[0])}: no {what} for {wanted[missing[0]]}{more}; expected a "
            f"file of this name with one of {kinds}"
        )
    found = {}
    for key, path in wanted.items():
        own = path.suffix.lower()
        order = sorted(suffixes, key=lambda suffix, own=own: suffix != own)
        found[key] = min(there[key], key=lambda one, order=order: order.index(one.suffix.lower()))
    return found
