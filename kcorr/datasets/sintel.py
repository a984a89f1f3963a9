"""MPI-Sintel (Butler et al., "A naturalistic open source movie", ECCV 2012)."""

from itertools import pairwise
from pathlib import Path

from kcorr.datasets.natural import natural_key
from kcorr.datasets.source import Source
from kcorr.datasets.trees import absent, mask_of, missing_tree, same_size
from kcorr.io import read_flow, read_image
from kcorr.schema import FLOW, IMAGE1, IMAGE2, OCCLUSION, VALID

LAYOUT = """
MPI-Sintel-complete/
  training/
    clean/<scene>/frame_0001.png ...
    final/<scene>/frame_0001.png ...
    flow/<scene>/frame_0001.flo ...           (one fewer than frames)
    occlusions/<scene>/frame_0001.png ...     (255 = occluded)
    invalid/<scene>/frame_0001.png ...        (255 = invalid)
  test/
    clean/<scene>/frame_0001.png ...
    final/<scene>/frame_0001.png ...
"""
ORIGIN = "http://sintel.is.tue.mpg.de"


class Sintel(Source):
    """Consecutive frames of the animated film, 1024x436: 23 training scenes with 1,041 pairs.

    Args:
        root: folder that holds `training/` and `test/`.
        split: "training", or "test", which has no ground truth (records image1, image2).
        dtype: rendering, "clean" or "final".

    Records: image1, image2, flow, valid, occlusion. A pixel is valid when its flow is known and
    `invalid/` does not mark it; the benchmark itself scores the marked pixels too.
    Names: "clean/alley_1/frame_0001".

    Raises:
        ValueError: unknown split or rendering.
        FileNotFoundError: files are missing; the message shows the expected tree and the source.
    """

    def __init__(self, root, split="training", dtype="clean"):
        if split not in ("training", "test"):
            raise ValueError(f"split is {split!r}, expected 'training' or 'test'")
        if dtype not in ("clean", "final"):
            raise ValueError(f"dtype is {dtype!r}, expected 'clean' or 'final'")
        self._root = Path(root, split)
        self._dtype = dtype
        self._labelled = split == "training"
        frames = sorted(
            self._root.glob(f"{dtype}/*/frame_*.png"),
            key=lambda file: natural_key(file.relative_to(self._root).as_posix()),
        )
        # A scene's last frame is only ever a second frame.
        self._pairs = [
            (first.parent.name, first.stem, second.stem)
            for first, second in pairwise(frames)
            if first.parent == second.parent
        ]
        wanted = [f"{dtype}/<scene>/frame_0001.png"] if not self._pairs else []
        if self._labelled:
            wanted += [path for pair in self._pairs for path in self._truth(*pair[:2])]
        gone = [f"{split}/{path}" for path in absent(self._root, wanted)]
        if gone:
            raise missing_tree(root, gone, LAYOUT, ORIGIN)
        self.names = [f"{dtype}/{scene}/{first}" for scene, first, _ in self._pairs]

    def _truth(self, scene, frame):
        """Relative paths of flow, occlusions, invalid."""
        return [
            f"flow/{scene}/{frame}.flo",
            f"occlusions/{scene}/{frame}.png",
            f"invalid/{scene}/{frame}.png",
        ]

    def _read(self, index):
        scene, first, second = self._pairs[index]
        record = {
            IMAGE1: read_image(self._root / self._dtype / scene / f"{first}.png"),
            IMAGE2: read_image(self._root / self._dtype / scene / f"{second}.png"),
        }
        if self._labelled:
            flow, occlusions, invalid = (self._root / p for p in self._truth(scene, first))
            record[FLOW], known = read_flow(flow)
            marked = mask_of(read_image(invalid))
            record[OCCLUSION] = mask_of(read_image(occlusions))
            same_size(self.names[index], {**record, VALID: known, "invalid": marked})
            record[VALID] = known * (1 - marked)
        return same_size(self.names[index], record)
