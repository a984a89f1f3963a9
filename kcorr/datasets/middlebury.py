"""Middlebury flow (Baker et al., "A Database and Evaluation Methodology", IJCV 2011)."""

from pathlib import Path

from kcorr.datasets.source import Source
from kcorr.datasets.trees import absent, missing_tree, same_size
from kcorr.io import read_flow, read_image
from kcorr.schema import FLOW, IMAGE1, IMAGE2, VALID

LAYOUT = """
Middlebury/
  other-data/<scene>/frame10.png  frame11.png
  other-gt-flow/<scene>/flow10.flo
  eval-data/<scene>/frame10.png  frame11.png      (for split="eval")
"""
ORIGIN = "https://vision.middlebury.edu/flow/data/"


class Middlebury(Source):
    """Eight scenes with dense flow of at most some 20 pixels, and those of the benchmark.

    Args:
        root: folder that holds `other-data/`, `other-gt-flow/` and `eval-data/`.
        split: "other", the scenes whose flow is published, or "eval", which has none (records
            image1, image2).

    Records: image1, image2, flow, valid. Names are the scenes': "RubberWhale". To be measured on,
    never trained on.

    Raises:
        ValueError: unknown split.
        FileNotFoundError: files are missing; the message shows the expected tree and the source.
    """

    def __init__(self, root, split="other"):
        if split not in ("other", "eval"):
            raise ValueError(f"split is {split!r}, expected 'other' or 'eval'")
        self._root = Path(root)
        self._labelled = split == "other"
        # other-data has scenes without ground truth, too.
        scenes = "other-gt-flow/*/flow10.flo" if self._labelled else "eval-data/*/frame10.png"
        self.names = sorted(file.parent.name for file in self._root.glob(scenes))
        self._folder = f"{split}-data"
        wanted = [
            f"{self._folder}/{name}/frame{number}.png" for name in self.names for number in (10, 11)
        ]
        gone = absent(root, wanted or [scenes.replace("*", "<scene>")])
        if gone:
            raise missing_tree(root, gone, LAYOUT, ORIGIN)

    def _read(self, index):
        name = self.names[index]
        folder = self._root / self._folder / name
        record = {
            IMAGE1: read_image(folder / "frame10.png"),
            IMAGE2: read_image(folder / "frame11.png"),
        }
        if self._labelled:
            record[FLOW], record[VALID] = read_flow(
                self._root / "other-gt-flow" / name / "flow10.flo"
            )
        return same_size(folder, record)
