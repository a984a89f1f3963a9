"""What the benchmark readers share: finding a tree's files, and saying what is missing."""

from pathlib import Path

import numpy as np

from kcorr.io import FormatError, read_image

_SHOWN = 5


def missing_tree(root, missing, layout, origin):
    """The error for a data set that is not there, or not complete.

    Args:
        root: folder that was given.
        missing: paths below it that were looked for and not found.
        layout: the expected tree, as text.
        origin: where the data comes from.

    Returns:
        A FileNotFoundError to raise.
    """
    more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    listed = ", ".join(str(one) for one in missing[:_SHOWN])
    tree = "\n".join("  " + line for line in layout.strip("\n").splitlines())
    return FileNotFoundError(f"{root}: missing {listed}{more}\nexpected:\n{tree}\nfrom: {origin}")


def absent(root, files):
    """Which of the relative paths are not there; reads each folder once, not each file."""
    listings = {}
    for folder in {str(Path(file).parent) for file in files}:
        where = Path(root, folder)
        listings[folder] = {p.name for p in where.iterdir()} if where.is_dir() else set()
    return [file for file in files if Path(file).name not in listings[str(Path(file).parent)]]


def mask_of(image):
    """0/255 picture `[h, w, 3]` as a float32 mask `[h, w, 1]`: 1 where it is bright."""
    return (image[..., :1] > 127).astype(np.float32)


def read_window(keys, paths):
    """{key: picture}; a picture that stands under several keys is read once."""
    images = {path: read_image(path) for path in dict.fromkeys(paths)}
    return {key: images[path] for key, path in zip(keys, paths, strict=True)}


def same_size(name, record):
    """Returns the record, or raises FormatError when its arrays differ in height or width."""
    sizes = {key: f"{value.shape[1]}x{value.shape[0]}" for key, value in record.items()}
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{key} {size}" for key, size in sizes.items())
        raise FormatError(name, f"the files differ in size ({listed})")
    return record
