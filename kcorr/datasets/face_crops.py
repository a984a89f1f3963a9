"""Faces with key points: AFLW in its two crops, 300-W, and cat heads."""

from pathlib import Path

import numpy as np

from kcorr import schema
from kcorr.datasets.crops import check_crop, crop_square
from kcorr.datasets.natural import natural_key
from kcorr.datasets.source import Source
from kcorr.datasets.trees import absent, missing_tree
from kcorr.io import FormatError, read_image, read_table

FIVE = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")


class _Faces(Source):
    """Squares of pictures: a subclass fills `names`, `_files` and `_points`, and says where."""

    point_names = FIVE
    eyes = (0, 1)
    symmetric_points = (1, 0, 2, 4, 3)

    def __init__(self, size, scaling):
        check_crop(size, scaling)
        self.size, self.scaling = size, scaling

    def _square(self, index, image, points):
        """(corner, side) of what is cut out."""
        raise NotImplementedError

    def _read(self, index):
        points = self._points[index]
        image = read_image(self._files[index])
        corner, side = self._square(index, image, points)
        image, points = crop_square(image, corner, side, self.size, points, self.scaling)
        return {
            schema.IMAGE1: image,
            schema.POINTS1: points,
            schema.VISIBLE: np.ones((len(points), 1), np.float32),
        }


LAYOUT_MTFL = """
aflw-mtfl/
  aflw_cropped/facedata_cropped.csv        columns image_file, crop_file, set, ...; ten coordinates
  aflw_cropped/cropped/39373.jpg ...       150x150, of which set 1 is for training (10122)
  MTFL/testing.txt                         "AFLW\\0001-image20056.jpg x1 .. x5 y1 .. y5 ..."
  MTFL/AFLW/0001-image20056.jpg ...        150x150, 2995 pictures for testing
"""
ORIGIN_MTFL = (
    "http://mmlab.ie.cuhk.edu.hk/projects/TCDCN.html (MTFL.zip) and "
    "http://www.robots.ox.ac.uk/~jdt/aflw_cropped.zip"
)


class AFLW(_Faces):
    """AFLW with five key points, in the 150x150 crops of the MTFL release ("AFLW_M").

    The papers know three crops of AFLW, whose numbers cannot be compared; this is the one of the
    test set of TCDCN, `AFLWRecropped` another one. Coordinates in the files count from 1.

    Args:
        root: the folder that holds aflw_cropped and MTFL.
        split: "train" (10,122) or "test" (2,995).
        size: side of the pictures.
        scaling: of the key points, see `crop_square`.

    Attributes:
        point_names, eyes: names of the points, and the indices of the two eyes.
        symmetric_points: for each point the index of its mirror image.

    Records: image1, points1, visible (all 1). Names are the files'.

    Raises:
        ValueError: unknown split or scaling.
        FileNotFoundError: files are missing; the message shows the expected tree and the source.
        kcorr.io.FormatError: a list that cannot be understood.

    Source: Köstinger et al., ICCV Workshops 2011; Zhang et al., ECCV 2014; splits and crops of
    Thewlis et al., ICCV 2017 and 2019 (DVE, released code).
    """

    def __init__(self, root, split="train", size=100, *, scaling="centre"):
        if split not in ("train", "test"):
            raise ValueError(f"split is {split!r}, expected 'train' or 'test'")
        super().__init__(size, scaling)
        train = split == "train"
        path = Path(root, "aflw_cropped/facedata_cropped.csv" if train else "MTFL/testing.txt")
        if not path.is_file():
            raise missing_tree(root, [path.relative_to(root)], LAYOUT_MTFL, ORIGIN_MTFL)
        rows = _cropped_table(path) if train else _testing_list(path)
        self.names = [name for name, _ in rows]
        self._points = [np.array(points) - 1 for _, points in rows]  # MATLAB counts from 1
        self._files = [path.parent / name for name in self.names]
        gone = absent(path.parent, self.names)
        if gone:
            gone = [(path.parent / name).relative_to(root) for name in gone]
            raise missing_tree(root, gone, LAYOUT_MTFL, ORIGIN_MTFL)

    def _square(self, index, image, points):
        height, width = image.shape[:2]
        if height != width:
            raise FormatError(self._files[index], f"is {width}x{height}", "a square, 150x150")
        return (0, 0), width


def _cropped_table(path):
    table = read_table(path)
    header = table[0][1] if table else []
    lacking = [name for name in ("crop_file", "set") if name not in header]
    if lacking or len(header) < 14:
        raise FormatError(
            path,
            f"the columns are {', '.join(header) or 'nothing'}",
            "crop_file, set, and 5 to 14 the points",
        )
    rows = []
    for line, row in table[1:]:
        try:
            numbers = [float(cell) for cell in row[4:14]]
            wanted = int(row[header.index("set")]) == 1
            name = row[header.index("crop_file")].replace("\\", "/")
            points = np.reshape(numbers, (5, 2))
        except (ValueError, IndexError):
            raise FormatError(path, f"line {line} is not that of a face") from None
        if wanted:
            rows.append((name, points))
    return rows


def _testing_list(path):
    rows = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        words = line.split()
        if not words:
            continue
        try:
            points = np.reshape([float(word) for word in words[1:11]], (2, 5)).T
        except ValueError:
            raise FormatError(path, f"line {number} is not that of a face") from None
        rows.append((words[0].replace("\\", "/"), points))
    return rows


LAYOUT_RECROPPED = """
aflw_release-2/
  output/0001.png ...            the pictures, of any size
  aflw_train_images.txt          10122 names, one a line
  aflw_train_keypoints.mat       gt [n, 5, 2], (y, x) in pixels, and hw [n, 2], the sizes
  aflw_test_images.txt  aflw_test_keypoints.mat      2991
"""
ORIGIN_RECROPPED = "http://files.ytzhang.net/lmdis-rep/release-v1/aflw/aflw_data.tar.gz"


class AFLWRecropped(_Faces):
    """AFLW with five key points, in the crops of structural representations ("AFLW_R").

    Each picture is stretched to a square, as in the papers' code.

    Args:
        root: the folder that holds output and the lists.
        split: "train" (10,122) or "test" (2,991).
        size: side of the pictures.
        scaling: of the key points, see `crop_square`.

    Attributes:
        point_names, eyes: names of the points, and the indices of the two eyes.
        symmetric_points: for each point the index of its mirror image.

    Records: image1, points1, visible (all 1). Names are the files'.

    Raises:
        ValueError: unknown split or scaling.
        ImportError: scipy, which reads .mat files, is not installed.
        FileNotFoundError: files are missing; the message shows the expected tree and the source.
        kcorr.io.FormatError: lists that do not fit.

    Source: Köstinger et al., ICCV Workshops 2011; Zhang et al., CVPR 2018; layout from the released
    code of Thewlis et al., ICCV 2019 (DVE).
    """

    def __init__(self, root, split="train", size=100, *, scaling="centre"):
        if split not in ("train", "test"):
            raise ValueError(f"split is {split!r}, expected 'train' or 'test'")
        super().__init__(size, scaling)
        lists = [f"aflw_{split}_images.txt", f"aflw_{split}_keypoints.mat"]
        gone = absent(root, lists)
        if gone:
            raise missing_tree(root, gone, LAYOUT_RECROPPED, ORIGIN_RECROPPED)
        self.names = Path(root, lists[0]).read_text().split()
        points = _mat(Path(root, lists[1]), "gt")
        if points.shape != (len(self.names), 5, 2):
            raise FormatError(
                Path(root, lists[1]), f"gt is {list(points.shape)}", f"[{len(self.names)}, 5, 2]"
            )
        self._points = points[..., ::-1]
        self._files = [Path(root, "output", name) for name in self.names]
        gone = absent(root, [f"output/{name}" for name in self.names])
        if gone:
            raise missing_tree(root, gone, LAYOUT_RECROPPED, ORIGIN_RECROPPED)

    def _square(self, index, image, points):
        return (0, 0), image.shape[1::-1]


def _mat(path, name):
    try:
        from scipy.io import loadmat
        from scipy.io.matlab import MatReadError
    except ImportError as error:
        raise ImportError(f"{path}: .mat files are read by scipy: pip install scipy") from error
    try:
        return np.asarray(loadmat(path)[name], float)
    except (KeyError, TypeError, ValueError, NotImplementedError, MatReadError) as error:
        raise FormatError(path, f"has no array {name!r} that can be read") from error


LAYOUT_300W = """
300w/
  afw/134212_1.jpg  134212_1.pts ...            337 pictures
  helen/trainset/  helen/testset/               2000 and 330
  lfpw/trainset/  lfpw/testset/                 811 and 224
  ibug/image_003_1.jpg  image_003_1.pts ...     135
"""
ORIGIN_300W = "https://ibug.doc.ic.ac.uk/resources/facial-point-annotations/"
_PARTS_300W = {
    "train": ("afw", "helen/trainset", "lfpw/trainset"),
    "test": ("helen/testset", "lfpw/testset", "ibug"),
}


class Faces300W(_Faces):
    """300-W: 68 key points.

    The box around the key points is scaled to a width of 52 of 100 pixels; the square reaches 2 of
    100 further up than down. (The papers' code takes boxes from files of the release, which are
    those of the key points, and rounds to whole pixels twice; here it is one resampling.)

    Args:
        root: the folder that holds afw, helen, lfpw and ibug.
        split: "train" (AFW and the training sets of Helen and LFPW, 3,148) or "test" (the test
            sets and IBUG, 689).
        size: side of the pictures.
        scaling: of the key points, see `crop_square`.

    Attributes:
        eyes: indices of the outer corners of the eyes.
        symmetric_points: for each point the index of its mirror image.

    Records: image1, points1, visible (all 1). Names are paths without the suffix.

    Raises:
        ValueError: unknown split or scaling.
        FileNotFoundError: files are missing; the message shows the expected tree and the source.
        kcorr.io.FormatError: a .pts file that cannot be understood.

    Source: Sagonas et al., ICCV Workshops 2013; split of Ren et al., CVPR 2014; crop of Thewlis et
    al., ICCV 2019 (DVE, released code).
    """

    point_names = tuple(f"point_{k}" for k in range(68))
    eyes = (36, 45)
    symmetric_points = (
        *range(16, -1, -1),  # the jaw from ear to ear
        *range(26, 16, -1),  # brows
        *range(27, 31), *range(35, 30, -1),  # down the nose, and along its lower edge
        45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,  # eyes, upper lids inwards
        *range(54, 47, -1), *range(59, 54, -1),  # lips: the outer line, above and below
        *range(64, 59, -1), *range(67, 64, -1),  # and the inner one
    )  # fmt: skip

    def __init__(self, root, split="train", size=100, *, scaling="centre"):
        if split not in _PARTS_300W:
            raise ValueError(f"split is {split!r}, expected 'train' or 'test'")
        super().__init__(size, scaling)
        self.names, self._files, self._points, gone = [], [], [], []
        for part in _PARTS_300W[split]:
            folder = Path(root, part)
            marks = sorted(folder.glob("*.pts"), key=lambda path: natural_key(path.name))
            if not marks:
                gone.append(f"{part}/*.pts")
            pictures = {
                path.stem: path for path in folder.glob("*.*") if path.suffix.lower() in _PICTURES
            }
            for path in marks:
                if path.stem not in pictures:
                    gone.append(f"{part}/{path.stem}.jpg")
                    continue
                self.names.append(f"{part}/{path.stem}")
                self._files.append(pictures[path.stem])
                self._points.append(path)
        if gone:
            raise missing_tree(root, gone, LAYOUT_300W, ORIGIN_300W)
        self._points = [_pts(path) for path in self._points]

    def _square(self, index, image, points):
        low, high = points.min(axis=0), points.max(axis=0)
        side = (high[0] - low[0] + 1) * 100 / 52
        middle = (low + high) / 2 + 0.5  # from pixel centres to corners
        return middle - side / 2 - [0, 0.02 * side], side


_PICTURES = (".jpg", ".png", ".jpeg")


def _pts(path):
    """Key points of a .pts file, counted from 0."""
    words = path.read_text().split()
    try:
        start, end = words.index("{"), words.index("}")
        points = np.array(words[start + 1 : end], float).reshape(68, 2) - 1
    except ValueError:
        raise FormatError(path, "is no list of 68 points", "n_points: 68 { x y ... }") from None
    return points


LAYOUT_CATS = """
cats/
  CAT_00/00000001_000.jpg  00000001_000.jpg.cat ...      "9 x1 y1 ... x9 y9"
  CAT_01/ ... CAT_06/                                    about 10000 pictures
"""
ORIGIN_CATS = "https://archive.org/details/CAT_DATASET (Zhang et al., ECCV 2008)"


class CatHeads(_Faces):
    """Heads of cats with nine key points: eyes, mouth, and three on each ear.

    The square around the key points, enlarged by `margin`. ICCV 2017 trains on 8,609 heads; which
    ones, and how they were cut out, was not published, so there is no split here: take
    `Subset(source, ...)`.

    Args:
        root: the folder that holds CAT_00 to CAT_06.
        size: side of the pictures.
        margin: share of the box's longer side that is added on each side; our choice.
        scaling: of the key points, see `crop_square`.

    Attributes:
        point_names, eyes: names of the points, and the indices of the two eyes.
        symmetric_points: for each point the index of its mirror image.

    Records: image1, points1, visible (all 1). Names are "CAT_00/00000001_000.jpg".

    Raises:
        ValueError: an unknown scaling, or a margin below 0.
        FileNotFoundError: files are missing; the message shows the expected tree and the source.
        kcorr.io.FormatError: an annotation that cannot be understood.

    Source: Zhang, Sun and Tang, ECCV 2008; used by Thewlis et al., ICCV 2017.
    """

    point_names = (
        "left_eye", "right_eye", "mouth", "left_ear_1", "left_ear_2", "left_ear_3", "right_ear_1",
        "right_ear_2", "right_ear_3",
    )  # fmt: skip
    # Both ears are counted from the picture's left to its right: the first point of one is the
    # outer foot, that of the other the inner one.
    symmetric_points = (1, 0, 2, 8, 7, 6, 5, 4, 3)

    def __init__(self, root, size=100, *, margin=0.25, scaling="centre"):
        if not margin >= 0:
            raise ValueError(f"margin must be at least 0, got {margin}")
        super().__init__(size, scaling)
        self.margin = margin
        found = sorted(Path(root).glob("CAT_*/*.cat"))
        if not found:
            missing = ["CAT_00/00000001_000.jpg.cat"]
            raise missing_tree(root, missing, LAYOUT_CATS, ORIGIN_CATS)
        self.names = [path.relative_to(root).as_posix().removesuffix(".cat") for path in found]
        gone = absent(root, self.names)
        if gone:
            raise missing_tree(root, gone, LAYOUT_CATS, ORIGIN_CATS)
        self._files = [Path(root, name) for name in self.names]
        self._points = [_cat(path) for path in found]

    def _square(self, index, image, points):
        low, high = points.min(axis=0), points.max(axis=0)
        side = ((high - low).max() + 1) * (1 + 2 * self.margin)
        return (low + high) / 2 + 0.5 - side / 2, side


def _cat(path):
    words = path.read_text().split()
    try:
        numbers = [float(word) for word in words]
        if numbers[0] != 9:
            raise ValueError
        return np.reshape(numbers[1:], (9, 2))
    except (ValueError, IndexError):
        raise FormatError(path, "is no list of 9 points", "9 x1 y1 ... x9 y9") from None
