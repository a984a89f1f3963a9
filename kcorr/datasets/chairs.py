"""FlyingChairs (Dosovitskiy et al., "FlowNet", ICCV 2015)."""

from pathlib import Path

from kcorr.datasets.source import Source
from kcorr.datasets.splits import chairs_split
from kcorr.datasets.trees import absent, missing_tree, same_size
from kcorr.io import read_flow, read_image
from kcorr.schema import FLOW, IMAGE1, IMAGE2, VALID

LAYOUT = """
FlyingChairs_release/
  FlyingChairs_train_val.txt    (one line for each sample: 1 train, 2 validation)
  data/
    00001_img1.ppm  00001_img2.ppm  00001_flow.flo
    ...             (22872 samples)
"""
ORIGIN = "https://lmb.informatik.uni-freiburg.de/resources/datasets/FlyingChairs.en.html"


class FlyingChairs(Source):
    """Synthetic chairs on photographs, 512x384, dense flow.

    Args:
        root: folder that holds `data/` and the split list (`FlyingChairs_release`).
        split: "train" (22,232 samples), "validation" (640) or "all", which needs no list.

    Records: image1, image2, flow, valid. Names: "00001" and so on.

    Raises:
        ValueError: unknown split, or a split list that does not fit the samples.
        FileNotFoundError: files are missing; the message shows the expected tree and the source.
    """

    def __init__(self, root, split="train"):
        if split not in ("train", "validation", "all"):
            raise ValueError(f"split is {split!r}, expected 'train', 'validation' or 'all'")
        self._data = Path(root, "data")
        present = {file.name[:5] for file in self._data.glob("*_img1.ppm")}
        if not present:
            raise missing_tree(root, ["data/00001_img1.ppm"], LAYOUT, ORIGIN)
        self.names = sorted(present)
        if split != "all":
            self.names = self._read_split(root, len(present))[split]
        kinds = ("img1.ppm", "img2.ppm", "flow.flo")
        gone = absent(root, [f"data/{name}_{kind}" for name in self.names for kind in kinds])
        if gone:
            raise missing_tree(root, gone, LAYOUT, ORIGIN)

    def _read_split(self, root, count):
        """{split: names}; `count` samples are there."""
        path = Path(root, "FlyingChairs_train_val.txt")
        if not path.is_file():
            raise missing_tree(root, [path.name], LAYOUT, ORIGIN)
        marks = path.read_text().split()
        try:
            split = chairs_split(marks)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        if len(marks) < count:
            raise ValueError(f"{path}: has {len(marks)} marks, expected one for each of {count}")
        return split

    def _read(self, index):
        start = self._data / self.names[index]
        flow, valid = read_flow(f"{start}_flow.flo")
        record = {
            IMAGE1: read_image(f"{start}_img1.ppm"),
            IMAGE2: read_image(f"{start}_img2.ppm"),
            FLOW: flow,
            VALID: valid,
        }
        return same_size(start, record)
