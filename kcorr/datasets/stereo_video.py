"""Stereo sequences: two cameras' frames as sets of four pictures."""

from pathlib import Path

from kcorr import schema
from kcorr.datasets.folders import FrameFolder
from kcorr.datasets.kitti import CAMERAS as KITTI_CAMERAS
from kcorr.datasets.kitti import KITTIMultiView
from kcorr.datasets.source import Concat, Source, Subset
from kcorr.datasets.trees import same_size

CAMERAS = (("left", "right"), *KITTI_CAMERAS.items())
LAYOUT = """
{root}/
  left/0001.png  0002.png ...       (left camera; sub-folders are sequences of their own)
  right/0001.png  0002.png ...      (right camera, the same names)
or KITTI's multi-view extension:
  training/image_2/000000_00.png ...  training/image_3/000000_00.png ...
"""


class StereoVideo(Source):
    """Frames of two rectified cameras at two times.

    Args:
        left: a source of pairs {image1, image2} of the left camera, for example a `FrameFolder`.
        right: the same of the right camera; records belong together by their names. Those that only
            one of the two has are left out (a hard cut may be seen in one camera only).

    Records: image1 (left, t), image2 (right, t), image3 (left, t + 1), image4 (right, t + 1).

    Raises:
        ValueError: no name is in both.
    """

    def __init__(self, left, right):
        there = {name: index for index, name in enumerate(right.names)}
        self._left, self._right = left, right
        self._indices = [
            (index, there[name]) for index, name in enumerate(left.names) if name in there
        ]
        self.names = [left.names[index] for index, _ in self._indices]
        if not self.names:
            raise ValueError(
                f"left has {len(left)} records and right {len(right)}, and none of one name: "
                "expected frames of the same names"
            )

    def _read(self, index):
        left, right = (
            source[i]
            for source, i in zip((self._left, self._right), self._indices[index], strict=True)
        )
        record = {
            schema.IMAGE1: left[schema.IMAGE1],
            schema.IMAGE2: right[schema.IMAGE1],
            schema.IMAGE3: left[schema.IMAGE2],
            schema.IMAGE4: right[schema.IMAGE2],
        }
        return same_size(self.names[index], record)


def open_stereo(path, stride=1, *, split=None, year=2015, name=""):
    """Opens a tree of stereo sequences, or a list of them, as sets of four pictures.

    Args:
        path: a folder with `left/` and `right/` (or KITTI's names image_2 and image_3, colored_0
            and colored_1) that hold frames of the same names; or a tree of KITTI's multi-view
            extension, of which frames 9 to 12 are left out. Or a list of those.
        stride: distance of the two times, in frames; for folders.
        split: of a KITTI tree: "training", "testing", or None for those that are there.
        year: of a KITTI tree.
        name: what `names` begin with.

    Returns:
        A source of {image1, image2, image3, image4}, see `StereoVideo`.

    Raises:
        FileNotFoundError: nothing of the kind; the message shows what is expected.
        ValueError: no frames of the same names, an empty list, or a stride for a KITTI tree.
    """
    if isinstance(path, (list, tuple)):
        if not path:
            raise ValueError("open_stereo got an empty list, expected at least one path")
        names = [name or "" if len(path) == 1 else f"{name}{i}" for i in range(len(path))]
        options = {"split": split, "year": year}
        return Concat(
            open_stereo(one, stride, name=label, **options)
            for one, label in zip(path, names, strict=True)
        )
    root = Path(path)
    for left, right in CAMERAS:
        if (root / left).is_dir() and (root / right).is_dir():
            return StereoVideo(
                *(FrameFolder(root / camera, stride, name=name) for camera in (left, right))
            )
    splits = [split] if split else ["training", "testing"]
    splits = [one for one in splits if any((root / one / left).is_dir() for left in KITTI_CAMERAS)]
    if not splits:
        raise FileNotFoundError(
            f"{root}: no stereo sequence; expected" + LAYOUT.format(root=root).rstrip()
        )
    if stride != 1:
        raise ValueError(f"stride is {stride}, expected 1 for KITTI's multi-view extension")
    return Concat(_Kitti(root, year, one, f"{name}/" if name else "") for one in splits)


class _Kitti(StereoVideo):
    def __init__(self, root, year, split, prefix):
        pairs = KITTIMultiView(root, year, split)
        half = len(pairs) // 2  # one camera after the other
        super().__init__(
            _Renamed(Subset(pairs, range(half)), f"{prefix}{split}/"),
            _Renamed(Subset(pairs, range(half, len(pairs))), f"{prefix}{split}/"),
        )


class _Renamed(Source):
    """A source whose names lose their first folder, the camera."""

    def __init__(self, source, prefix):
        self._source = source
        self.names = [prefix + name.partition("/")[2] for name in source.names]

    def _read(self, index):
        return self._source[index]
