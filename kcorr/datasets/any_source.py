"""Opens whatever unlabelled frames a user has: what `--data_dir` of the recipes takes."""

import logging
from pathlib import Path

from kcorr.datasets import folders, video
from kcorr.datasets._frame_memory import FrameMemory
from kcorr.datasets._windows import checked_strides, windows
from kcorr.datasets.cuts import THRESHOLD
from kcorr.datasets.source import Concat, Windows
from kcorr.io import FormatError

_LOG = logging.getLogger("kcorr")


def open_source(
    path,
    stride=1,
    *,
    cut_threshold=THRESHOLD,
    cache_bytes=2**30,
    damaged="error",
    name=None,
    frames=2,
    ends="skip",
    on_error="raise",
):
    """Opens a video, a folder of frames, a folder of videos, or a list of those, as frame pairs.

    A folder may hold both kinds, and sub-folders: every sub-folder with pictures and every video
    is a sequence of its own. Pairs and windows cross neither a sequence's end nor a hard cut.

    Args:
        path: a path, or a list of paths.
        stride: distance of the two frames of a pair; or several, `(1, 2, 4)`, for the pairs of the
            first, then those of the second, and so on. Each video is decoded once for all.
        cut_threshold: see `kcorr.datasets.CutFinder`; None looks for no cuts.
        cache_bytes: memory for the frames of all videos together, which are compressed as far as
            need be, see `VideoFrames`.
        damaged: "error" or "keep", for broken videos, see `VideoFrames`.
        name: what `names` begin with; by default a video's file name, and nothing for a folder.
            Of a list, each entry gets as much of its path as tells it from the others.
        frames, ends: windows of more than two frames, see `kcorr.datasets.Windows`.
        on_error: "raise" stops at a video that cannot be read, "skip" leaves it out with a warning
            that counts. (A picture that cannot be read raises when its record is read.)

    Returns:
        A source of `{image1, image2}`; of `{image0 ... image4}` for `frames=5`.

    Raises:
        FileNotFoundError: a path that does not exist, or a folder without pictures and videos.
        ValueError: a file that is no video, an empty list, nothing to pair at one of the strides,
            or a wrong argument.
        kcorr.io.FormatError: a broken video. With "skip" a ValueError if none can be read.
    """
    strides = checked_strides(stride)
    windows(0, frames, strides[0], ends=ends)  # refuses wrong ones before anything is decoded
    if on_error not in ("raise", "skip"):
        raise ValueError(f"on_error is {on_error!r}, expected 'raise' or 'skip'")
    lost = None if on_error == "raise" else []
    options = {
        "cut_threshold": cut_threshold,
        "cache_bytes": FrameMemory(cache_bytes),
        "damaged": damaged,
    }
    paths = [Path(one) for one in (path if isinstance(path, (list, tuple)) else [path])]
    if not paths:
        raise ValueError("open_source got an empty list, expected at least one path")
    labels = [name] if len(paths) == 1 else [_join(name, label) for label in distinct_ends(paths)]
    opened = [_open(one, options, label, lost) for one, label in zip(paths, labels, strict=True)]
    if lost and not any(opened):
        raise ValueError(f"none of the {len(lost)} videos can be read; the last: {lost[-1]}")
    sources = []
    for apart in strides:
        for one, sequences in zip(paths, opened, strict=True):
            source = Concat(Windows(film, frames, apart, ends=ends) for film in sequences)
            if sequences and not source.names:
                lacking = f"no {frames} frames of one shot, each {apart} behind the one before"
                if frames == 2:
                    lacking = f"no two frames of one shot are {apart} apart, nothing to pair"
                raise ValueError(f"{one}: {lacking}")
            sources.append(source)
    return Concat(sources)


def _open(path, options, name, lost):
    """The frame sequences of one path; none where all videos are lost.

    `lost` gathers a line for each video that cannot be read; None: such a one raises.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    if path.is_file():
        if path.suffix.lower() not in video.SUFFIXES:
            kinds = ", ".join(sorted(video.SUFFIXES))
            raise ValueError(f"{path}: expected a folder, or a video ({kinds})")
        return _open_video(path, options, name, lost)
    files = [file for inner in folders.files_by_folder(path, video.SUFFIXES) for file in inner]
    pictures = folders.picture_sequences(path)
    if not (files or pictures):
        raise FileNotFoundError(f"{path}: neither pictures nor videos in this folder")
    sequences = []
    if pictures:
        sequences += folders.frame_sequences(path, options["cut_threshold"], name or "")
    for file in files:
        label = _join(name, file.relative_to(path).as_posix())
        sequences += _open_video(file, options, label, lost)
    return sequences


def _open_video(path, options, name, lost):
    """A list of the video's frames; an empty one where they are lost."""
    try:
        return [video.VideoFrames(path, **options, name=name)]
    except (FormatError, OSError) as error:
        if lost is None:
            raise
        lost.append(str(error))
        _LOG.warning("skipped %s (%d unreadable so far)", error, len(lost))
        return []


def _join(name, inside):
    return f"{name}/{inside}" if name else inside


def distinct_ends(paths):
    """As many last parts of each path as make all of them different, as texts.

    Raises:
        ValueError: one path is there twice.
    """
    places = [path.absolute() for path in paths]
    for count in range(1, max(len(place.parts) for place in places) + 1):
        ends = ["/".join(place.parts[-count:]).lstrip("/") for place in places]
        if len(set(ends)) == len(ends):
            return ends
    twice = next(place for place in places if places.count(place) > 1)
    raise ValueError(f"{twice} is given twice, expected each path once")
