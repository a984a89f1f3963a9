"""MPI-Sintel (Butler et al., "A naturalistic open source movie", ECCV 2012)."""

from pathlib import Path

from kcorr.datasets._windows import image1_of, image_keys
from kcorr.datasets.natural import natural_key
from kcorr.datasets.source import Source
from kcorr.datasets.splits import scene_windows
from kcorr.datasets.trees import absent, mask_of, missing_tree, read_window, same_size
from kcorr.io import read_flow, read_image
from kcorr.schema import FLOW, OCCLUSION, VALID

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
        split: "training", or "test", which has no ground truth (only the images).
        dtype: rendering, "clean" or "final".
        exclude_invalid: whether the pixels that `invalid/` marks count as unknown. Errors are
            usually published over all pixels, hence False; what the benchmark's server does with
            these is not documented.
        frames: 2 for pairs; 3 to 5 for windows that stay in their scene, see
            `kcorr.datasets.Windows`. Five frames make 972 of the training scenes.
        ends: "skip" gives whole windows; "repeat" gives one for each of the 1,041 pairs and repeats
            the scene's first or last frame, which is how a network of three frames is measured.

    Records: image1, image2 (or image0 to image4), flow, valid, occlusion, of image1. Names are
    image1's: "clean/alley_1/frame_0001".

    Raises:
        ValueError: unknown split, rendering, `frames` or `ends`.
        FileNotFoundError: files are missing; the message shows the expected tree and the source.
    """

    def __init__(
        self,
        root,
        split="training",
        dtype="clean",
        *,
        exclude_invalid=False,
        frames=2,
        ends="skip",
    ):
        if split not in ("training", "test"):
            raise ValueError(f"split is {split!r}, expected 'training' or 'test'")
        if dtype not in ("clean", "final"):
            raise ValueError(f"dtype is {dtype!r}, expected 'clean' or 'final'")
        self._root = Path(root, split)
        self._dtype = dtype
        self._labelled = split == "training"
        self._exclude_invalid = exclude_invalid
        self._keys = image_keys(frames)
        lengths = self._lengths()
        self._windows = scene_windows(lengths, frames, ends)
        pairs = scene_windows(lengths)
        # Numbers are counted and not taken from the listing: a lost frame is then missing, and its
        # neighbours do not become a pair.
        wanted = [
            f"{dtype}/{scene}/{_frame(number)}.png"
            for scene, length in lengths.items()
            for number in range(1, length + 1)
        ]
        if not pairs:
            wanted = [f"{dtype}/<scene>/frame_0001.png"]
        if self._labelled:
            wanted += [
                path for scene, window in pairs for path in self._truth(scene, _frame(window[0]))
            ]
        gone = [f"{split}/{path}" for path in absent(self._root, wanted)]
        if gone:
            raise missing_tree(root, gone, LAYOUT, ORIGIN)
        self.names = [
            f"{dtype}/{scene}/{_frame(image1_of(window))}" for scene, window in self._windows
        ]

    def _lengths(self):
        """{scene: number of its last frame}, in natural order."""
        lengths = {}
        for file in self._root.glob(f"{self._dtype}/*/frame_[0-9][0-9][0-9][0-9].png"):
            scene = file.parent.name
            lengths[scene] = max(lengths.get(scene, 0), int(file.stem[-4:]))
        return {scene: lengths[scene] for scene in sorted(lengths, key=natural_key)}

    def _truth(self, scene, frame):
        """Relative paths of flow, occlusions and, where it is used, invalid."""
        truth = [f"flow/{scene}/{frame}.flo", f"occlusions/{scene}/{frame}.png"]
        return [*truth, f"invalid/{scene}/{frame}.png"] if self._exclude_invalid else truth

    def _read(self, index):
        scene, window = self._windows[index]
        folder = self._root / self._dtype / scene
        record = read_window(self._keys, [folder / f"{_frame(number)}.png" for number in window])
        if self._labelled:
            truth = self._truth(scene, _frame(image1_of(window)))
            flow, *masks = (self._root / path for path in truth)
            record[FLOW], record[VALID] = read_flow(flow)
            record[OCCLUSION], *invalid = (mask_of(read_image(mask)) for mask in masks)
            for marked in invalid:
                same_size(self.names[index], {VALID: record[VALID], "invalid": marked})
                record[VALID] = record[VALID] * (1 - marked)
        return same_size(self.names[index], record)


def _frame(number):
    """The stem of a frame's files: frame_0002."""
    return f"frame_{number:04d}"
