"""Frames to learn from without labels: benchmarks' trees by their papers' protocol, or anything."""

from pathlib import Path

from kcorr.datasets._windows import checked_strides
from kcorr.datasets.any_source import distinct_ends, open_source
from kcorr.datasets.chairs import FlyingChairs
from kcorr.datasets.kitti import CAMERAS, KITTIMultiView
from kcorr.datasets.source import Concat, Source, Subset
from kcorr.schema import IMAGES

_KITTI_SPLITS = ("training", "testing")


def open_unlabelled(path, stride=1, *, frames=2, cache_bytes=2**30, on_error="raise"):
    """Opens frames to learn from: `open_source`, but for the benchmarks that it would misread.

    KITTI's multi-view extension: both cameras of the splits that are there, without frames 9 to 12
        of a scene, among which the networks are measured (`KITTIMultiView`). Its root, a split or
        one camera's folder.
    MPI-Sintel: both renderings of the training scenes, `clean` and `final`, not the drawn masks
        beside them. Its root, or `training`. Scenes have no cuts.
    FlyingChairs: the training pairs of its list; all pairs where there is no list. Its root.

    Args:
        path: a path, or a list of paths.
        stride: distance of the two frames of a pair, or several, see `open_source`; 1 for KITTI and
            FlyingChairs.
        frames: frames of a window, 2 to 5; 2 for FlyingChairs.
        cache_bytes, on_error: see `open_source`.

    Returns:
        A source of images only: image1 and image2, or image0 and so on. Benchmarks come first.

    Raises:
        FileNotFoundError: a path that does not exist, or holds nothing.
        ValueError: KITTI's labelled pairs alone; `stride` or `frames` that a data set has not; and
            as `open_source`.
        kcorr.io.FormatError: as `open_source`.
    """
    strides = checked_strides(stride)
    paths = [Path(one) for one in (path if isinstance(path, (list, tuple)) else [path])]
    names = distinct_ends(paths) if len(paths) > 1 else [""] * len(paths)
    sources, others = [], []
    for one, name in zip(paths, names, strict=True):
        found = _benchmark(one.absolute(), strides, frames)
        if found is None:
            others.append(one)
        else:
            sources.append(_Images(found, f"{name}/" if name else ""))
    if others or not paths:
        options = {"frames": frames, "cache_bytes": cache_bytes, "on_error": on_error}
        sources.append(open_source(others, strides, **options))
    return Concat(sources)


def _benchmark(path, strides, frames):
    """A source for the tree at `path`, None if it is none that is known."""
    parts = _kitti_parts(path)
    if parts:
        _check_strides(path, "KITTI's multi-view extension", strides)
        return Concat(_Images(_kitti(*part, frames), f"{part[1]}/") for part in parts)
    renderings = _sintel_renderings(path)
    if renderings:
        return open_source(renderings, strides, cut_threshold=None, frames=frames)
    if next(path.glob("data/*_img1.ppm"), None):
        _check_strides(path, "FlyingChairs", strides)
        if frames != 2:
            raise ValueError(f"{path}: frames is {frames}, expected 2 for FlyingChairs")
        listed = (path / "FlyingChairs_train_val.txt").exists()
        return FlyingChairs(path, "train" if listed else "all")
    return None


def _kitti_parts(path):
    """List of (root, split, camera or None for both) of the multi-view trees at `path`."""
    known = {name for pair in CAMERAS.items() for name in pair}
    if path.name in known and path.parent.name in _KITTI_SPLITS:
        parts = [(path.parent.parent, path.parent.name, path.name)]
    elif path.name in _KITTI_SPLITS:
        parts = [(path.parent, path.name, None)]
    else:
        parts = [(path, split, None) for split in _KITTI_SPLITS]
    found = []
    for root, split, camera in parts:
        folders = [root / split / one for one in ([camera] if camera else CAMERAS)]
        if any(next(folder.glob("??????_00.png"), None) for folder in folders):
            found.append((root, split, camera))
        elif any(next(folder.glob("??????_10.png"), None) for folder in folders):
            raise ValueError(
                f"{root / split}: only KITTI's labelled pairs, frames 10 and 11, by which networks "
                "are measured; expected the multi-view extension, frames 00 to 20"
            )
    return found


def _kitti(root, split, camera, frames):
    source = KITTIMultiView(root, split=split, frames=frames)
    if camera is None:
        return source
    return Subset(source, [i for i, name in enumerate(source.names) if name.startswith(camera)])


def _sintel_renderings(path):
    """Folders of the renderings that are in the Sintel tree at `path`."""
    training = path if path.name == "training" else path / "training"
    renderings = [training / name for name in ("clean", "final")]
    return [one for one in renderings if next(one.glob("*/frame_0001.png"), None)]


def _check_strides(path, name, strides):
    if strides != (1,):
        given = ", ".join(map(str, strides))
        raise ValueError(f"{path}: stride is {given}, expected 1 for {name}")


class _Images(Source):
    """The images of a source, under longer names."""

    def __init__(self, source, prefix):
        self._source = source
        self.names = [prefix + name for name in source.names]

    def _read(self, index):
        return {key: value for key, value in self._source[index].items() if key in IMAGES}
