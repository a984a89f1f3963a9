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
    invalid/<scene>/frame_0001.png ...        (255 = invalid; for exclude_invalid=True)
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
        exclude_invalid: whether the pixels that `invalid/` marks count as unknown. Errors are
            usually published over all pixels, hence False; what the benchmark's server does with
            these is not documented.

    Records: image1, image2, flow, valid, occlusion. Names: "clean/alley_1/frame_0001".

    Raises:
        ValueError: unknown split or rendering.
        FileNotFoundError: files are missing; the message shows the expected tree and the source.
    """

    def __init__(self, root, split="training", dtype="clean", *, exclude_invalid=False):
        if split not in ("training", "test"):
            raise ValueError(f"split is {split!r}, expected 'training' or 'test'")
        if dtype not in ("clean", "final"):
            raise ValueError(f"dtype is {dtype!r}, expected 'clean' or 'final'")
        self._root = Path(root, split)
        self._dtype = dtype
        self._labelled = split == "training"
        self._exclude_invalid = exclude_invalid
        frames = sorted(
            self._root.glob(f"{dtype}/*/frame_[0-9][0-9][0-9][0-9].png"),
            key=lambda file: natural_key(file.relative_to(self._root).as_posix()),
        )
        # A scene's last frame is only ever a second frame. Its name is computed and not taken from
        # the listing: a lost frame is then missing, and its neighbours do not become a pair.
        self._pairs = [
            (first.parent.name, first.stem, _next_frame(first.stem))
            for first, second in pairwise(frames)
            if first.parent == second.parent
        ]
        wanted = [f"{dtype}/{scene}/{second}.png" for scene, _, second in self._pairs]
        if not self._pairs:
            wanted = [f"{dtype}/<scene>/frame_0001.png"]
        if self._labelled:
            wanted += [path for pair in self._pairs for path in self._truth(*pair[:2])]
        gone = [f"{split}/{path}" for path in absent(self._root, wanted)]
        if gone:
            raise missing_tree(root, gone, LAYOUT, ORIGIN)
        self.names = [f"{dtype}/{scene}/{first}" for scene, first, _ in self._pairs]

    def _truth(self, scene, frame):
        """Relative paths of flow, occlusions and, where it is used, invalid."""
        truth = [f"flow/{scene}/{frame}.flo", f"occlusions/{scene}/{frame}.png"]
        return [*truth, f"invalid/{scene}/{frame}.png"] if self._exclude_invalid else truth

    def _read(self, index):
        scene, first, second = self._pairs[index]
        record = {
            IMAGE1: read_image(self._root / self._dtype / scene / f"{first}.png"),
            IMAGE2: read_image(self._root / self._dtype / scene / f"{second}.png"),
        }
        if self._labelled:
            flow, *masks = (self._root / path for path in self._truth(scene, first))
            record[FLOW], record[VALID] = read_flow(flow)
            record[OCCLUSION], *invalid = (mask_of(read_image(mask)) for mask in masks)
            for marked in invalid:
                same_size(self.names[index], {VALID: record[VALID], "invalid": marked})
                record[VALID] = record[VALID] * (1 - marked)
        return same_size(self.names[index], record)


def _next_frame(stem):
    """frame_0002 for frame_0001."""
    number = int(stem.rpartition("_")[2])
    return f"frame_{number + 1:04d}"
