"""Folders of pictures as frame pairs or as single pictures."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kcorr.datasets._windows import checked_stride
from kcorr.datasets.cuts import THRESHOLD, CutFinder
from kcorr.datasets.natural import natural_key
from kcorr.datasets.source import Concat, Source, Windows, checked_index
from kcorr.io import IMAGE_SUFFIXES, FormatError, read_image
from kcorr.schema import IMAGE1


class FrameFolder(Source):
    """A folder of pictures, read as the frames of a film or as independent pictures.

    Frames are in natural order (frame_2 before frame_10). Every sub-folder is a sequence of its
    own. No pair or longer window crosses a hard cut, and where the size of the pictures changes, a
    new sequence starts. Looking for cuts reads every picture once when the source is made (in a few
    threads); `cut_threshold=None` spares that, and sizes are then only compared when a record is
    read.

    A picture that cannot be read does not stop the source from being made: reading its records
    raises, so that a pipeline can skip and count it.

    Args:
        path: the folder. Files that start with a dot are not looked at.
        stride: distance of the two frames of a pair.
        independent: True gives records `{image1}` of single pictures and no pairs.
        cut_threshold: see `kcorr.datasets.CutFinder`; None looks for no cuts.
        name: what `names` begin with; nothing by default.
        frames, ends: windows of more than two frames, see `kcorr.datasets.Windows`.

    Attributes:
        names: path of image1 in the folder, and "+stride" unless they are single pictures.

    Raises:
        FileNotFoundError: no such folder, or no picture in it.
        ValueError: a bad stride, `frames` or `ends`, or too few pictures for a single record.
    """

    def __init__(
        self,
        path,
        stride=1,
        *,
        independent=False,
        cut_threshold=THRESHOLD,
        name="",
        frames=2,
        ends="skip",
    ):
        self.path = Path(path)
        checked_stride(stride)
        if independent:
            sequences = _named_sequences(self.path, name)
            self._records = Concat([_Pictures(files, names) for files, names in sequences])
        else:
            sequences = frame_sequences(self.path, cut_threshold, name)
            self._records = Concat(Windows(one, frames, stride, ends=ends) for one in sequences)
        self.names = self._records.names
        if not self.names:
            raise ValueError(
                f"{self.path}: no {'two' if frames == 2 else frames} pictures make a "
                f"{'pair' if frames == 2 else 'window'} at stride {stride}; single pictures are "
                "read with independent=True"
            )

    def _read(self, index):
        return self._records[index]


def frame_sequences(path, cut_threshold=THRESHOLD, name=""):
    """A `PictureSequence` for each (sub-)folder of pictures, as `FrameFolder` reads them.

    Args:
        path: the folder.
        cut_threshold, name: see `FrameFolder`.

    Raises:
        FileNotFoundError: no such folder, or no picture in it.
    """
    return [
        PictureSequence(files, names, cut_threshold)
        for files, names in _named_sequences(Path(path), name)
    ]


def picture_sequences(path):
    """Lists the pictures of a folder and its sub-folders.

    Args:
        path: the folder.

    Returns:
        One list of paths for each (sub-)folder that holds pictures, all in natural order.

    Raises:
        FileNotFoundError: no such folder.
    """
    return files_by_folder(path, IMAGE_SUFFIXES)


def files_by_folder(path, suffixes):
    """Lists files with one of the suffixes: one naturally ordered list for each folder.

    Raises:
        FileNotFoundError: no such folder.
    """
    if not Path(path).is_dir():
        raise FileNotFoundError(f"{path}: no such folder")
    found = {}
    for folder, inner, files in os.walk(path, followlinks=True):
        inner[:] = [one for one in inner if not one.startswith(".")]
        wanted = [
            Path(folder, file)
            for file in files
            if Path(file).suffix.lower() in suffixes and not file.startswith(".")
        ]
        if wanted:
            found[folder] = sorted(wanted, key=lambda file: natural_key(file.name))
    return [found[folder] for folder in sorted(found, key=natural_key)]


def _named_sequences(path, name):
    """(paths, record names) of the pictures of each folder."""
    sequences = picture_sequences(path)
    if not sequences:
        kinds = ", ".join(IMAGE_SUFFIXES)
        raise FileNotFoundError(f"{path}: no picture in this folder, expected {kinds}")
    prefix = f"{name}/" if name else ""
    return [
        (files, [prefix + file.relative_to(path).as_posix() for file in files])
        for files in sequences
    ]


class _Pictures(Source):
    def __init__(self, files, names):
        self._files, self.names = files, names

    def _read(self, index):
        return {IMAGE1: read_image(self._files[index])}


class PictureSequence:
    """A frame sequence for `Pairs`: pictures in the order of a film.

    Args:
        files: paths.
        names: of the frames.
        cut_threshold: see `kcorr.datasets.CutFinder`; None looks for no cuts.
        damaged: "keep" leaves a picture that cannot be read to whoever reads the frame, "error"
            raises where cuts are looked for.

    Raises:
        OSError, kcorr.io.FormatError: with "error", a picture that cannot be read.
    """

    def __init__(self, files, names, cut_threshold=THRESHOLD, damaged="keep"):
        self.files, self.names = files, names
        read = read_image if damaged == "error" else _readable
        self.cuts = [] if cut_threshold is None else self._find_cuts(cut_threshold, read)

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        return read_image(self.files[checked_index(index, len(self), "the folder")])

    def _find_cuts(self, threshold, read):
        finder = CutFinder(threshold)
        cuts = []
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            # In blocks: map() would hold every decoded picture that is ahead of the comparison.
            for start in range(0, len(self.files), 32):
                images = pool.map(read, self.files[start : start + 32])
                for index, image in enumerate(images, start):
                    if image is not None and finder.starts_shot(image):
                        cuts.append(index)
        return cuts


def _readable(path):
    try:
        return read_image(path)
    except (FormatError, OSError):
        return None  # reading the record will say what is wrong
