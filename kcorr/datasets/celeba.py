"""CelebA (Liu et al., ICCV 2015) and its subset MAFL (Zhang et al., TPAMI 2016)."""

from pathlib import Path

import numpy as np

from kcorr import schema
from kcorr.datasets.crops import check_crop, crop_square
from kcorr.datasets.source import Source
from kcorr.datasets.trees import absent, missing_tree
from kcorr.io import FormatError, read_image

LAYOUT = """
celeba/
  Img/img_align_celeba/000001.jpg ...      202599 pictures, 178x218, aligned and cropped
  Anno/list_landmarks_align_celeba.txt     count, names of columns, "000001.jpg 69 109 106 113 ..."
  Anno/identity_CelebA.txt                 "000001.jpg 2880" (if it is there: who it is)
  Eval/list_eval_partition.txt             "000001.jpg 0": 0 train, 1 validation, 2 test
  MAFL/training.txt                        names of 19000 pictures
  MAFL/testing.txt                         names of 1000 pictures
"""
ORIGIN = (
    "http://mmlab.ie.cuhk.edu.hk/projects/CelebA.html and, for MAFL, "
    "https://github.com/zhzhanp/TCDCN-face-alignment (MAFL/)"
)
SPLITS = ("train", "validation", "test", "mafl_train", "mafl_test")
_LANDMARKS = "Anno/list_landmarks_align_celeba.txt"
_WIDTH, _TOP = 178, 30
_FIRST_OF_VALIDATION = 2000


class CelebA(Source):
    """Faces with five key points: eyes, nose, corners of the mouth (the picture's left first).

    Rows 30 to 207 of the aligned pictures, a square of 178 pixels, resized to `size`; key points
    follow. The papers then warp and cut 15 of 100 or 20 of 136 pixels off each side.

    Args:
        root: the folder that holds Img, Anno, Eval and MAFL.
        split: "train" is CelebA's training partition without anything of MAFL; "validation" the
            first 2,000 of partition 2 without MAFL, by which the papers' code watches training;
            "test" all of partition 2 without MAFL; "mafl_train" (19,000) and "mafl_test" (1,000).
        size: side of the pictures; 100 for the small network, 136 for the hourglass.
        scaling: of the key points, see `crop_square`; "corner" for the papers' numbers.

    Attributes:
        point_names, eyes: names of the points, and the indices of the two eyes.
        symmetric_points: for each point the index of its mirror image.

    Records: image1, points1, visible (all 1), and identity if Anno/identity_CelebA.txt is there.
    Names: "000001.jpg".

    Raises:
        ValueError: unknown split or scaling.
        FileNotFoundError: files are missing; the message shows the expected tree and the source.
        kcorr.io.FormatError: a list that cannot be understood.

    Source: preprocessing and splits of Thewlis et al., ICCV 2019 (DVE, released code).
    """

    point_names = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
    eyes = (0, 1)
    symmetric_points = (1, 0, 2, 4, 3)

    def __init__(self, root, split="train", size=100, *, scaling="centre"):
        if split not in SPLITS:
            raise ValueError(f"split is {split!r}, expected one of {', '.join(SPLITS)}")
        self._root, self.size, self.scaling = Path(root), size, scaling
        check_crop(size, scaling)
        lists = [_LANDMARKS, "Eval/list_eval_partition.txt"]
        lists += ["MAFL/training.txt", "MAFL/testing.txt"]
        gone = [name for name in lists if not (self._root / name).is_file()]
        if gone:
            raise missing_tree(root, gone, LAYOUT, ORIGIN)
        points = self._read_points()
        self.names = self._chosen(split)
        lacking = [name for name in self.names if name not in points]
        if lacking:
            raise FormatError(self._root / _LANDMARKS, f"has no key points of {lacking[0]}")
        self._points = [points[name] for name in self.names]
        images = [f"Img/img_align_celeba/{name}" for name in self.names]
        gone = absent(self._root, images or ["Img/img_align_celeba/000001.jpg"])
        if gone:
            raise missing_tree(root, gone, LAYOUT, ORIGIN)
        people = self._root / "Anno/identity_CelebA.txt"
        self._people = _table(people, 1) if people.is_file() else None

    def _chosen(self, split):
        mafl = {
            f"mafl_{kind}": list(_table(self._root / f"MAFL/{kind}ing.txt", 0))
            for kind in ("train", "test")
        }
        if split in mafl:
            return mafl[split]
        partition = _table(self._root / "Eval/list_eval_partition.txt", 1)
        taken = set(mafl["mafl_train"]) | set(mafl["mafl_test"])
        wanted = 0 if split == "train" else 2
        names = [name for name, (part,) in partition.items() if part == wanted]
        names = [name for name in names if name not in taken]
        return names[:_FIRST_OF_VALIDATION] if split == "validation" else names

    def _read_points(self):
        table = _table(self._root / _LANDMARKS, 10, skip=2)
        return {name: np.reshape(values, (5, 2)) for name, values in table.items()}

    def _read(self, index):
        name = self.names[index]
        path = self._root / "Img/img_align_celeba" / name
        image = read_image(path)
        if image.shape[:2] != (218, _WIDTH):
            height, width = image.shape[:2]
            raise FormatError(path, f"is {width}x{height}", "178x218, the aligned pictures")
        image, points = crop_square(
            image, (0, _TOP), _WIDTH, self.size, self._points[index], self.scaling
        )
        record = {
            schema.IMAGE1: image,
            schema.POINTS1: points,
            schema.VISIBLE: np.ones((5, 1), np.float32),
        }
        if self._people and name in self._people:
            record[schema.IDENTITY] = np.array(self._people[name], np.float32)
        return record


def _table(path, columns, skip=0):
    """{first word: the numbers behind it} of a text file of lines."""
    lines = path.read_text().splitlines()[skip:]
    table = {}
    for number, line in enumerate(lines, skip + 1):
        words = line.split()
        if not words:
            continue
        try:
            values = [int(word) for word in words[1:]]
        except ValueError:
            values = None
        if values is None or len(values) != columns:
            raise FormatError(path, f"line {number} is {line!r}", f"a name and {columns} numbers")
        table[words[0]] = values
    return table
