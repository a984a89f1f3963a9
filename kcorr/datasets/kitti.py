"""KITTI 2012 (Geiger et al., CVPR 2012) and KITTI 2015 (Menze and Geiger, CVPR 2015)."""

from pathlib import Path

import numpy as np

from kcorr.datasets.source import Source
from kcorr.datasets.trees import absent, missing_tree, same_size
from kcorr.io import read_disparity, read_flow, read_image
from kcorr.schema import DISPARITY, FLOW, IMAGE1, IMAGE2, OCCLUSION, VALID

LAYOUT_2015 = """
data_scene_flow/
  training/
    image_2/000000_10.png  000000_11.png ...     (left camera)
    image_3/000000_10.png  000000_11.png ...     (right camera, for task="stereo")
    flow_occ/000000_10.png ...  flow_noc/000000_10.png ...
    disp_occ_0/000000_10.png ...  disp_noc_0/000000_10.png ...     (for task="stereo")
  testing/
    image_2/ ...  image_3/ ...
"""
LAYOUT_2012 = """
data_stereo_flow/
  training/
    colored_0/000000_10.png  000000_11.png ...   (left camera)
    colored_1/000000_10.png  000000_11.png ...   (right camera, for task="stereo")
    flow_occ/000000_10.png ...  flow_noc/000000_10.png ...
    disp_occ/000000_10.png ...  disp_noc/000000_10.png ...         (for task="stereo")
  testing/
    colored_0/ ...  colored_1/ ...
"""
LAYOUT_MULTIVIEW = """
{root}/
  {split}/
    {left}/000000_00.png ... 000000_20.png  000001_00.png ...
    {right}/000000_00.png ... 000000_20.png  000001_00.png ...
"""
ORIGIN = "https://www.cvlibs.net/datasets/kitti/eval_{}.php{}"

# The 30 scenes that SelFlow keeps for validation; it trains on the other 170.
SELFLOW_VALIDATION = (
    0, 3, 4, 17, 23, 30, 38, 39, 53, 57, 64, 65, 66, 70, 81, 83, 85, 98, 105, 107, 109, 111, 120,
    132, 154, 156, 157, 166, 169, 189,
)  # fmt: skip


class _Labelled(Source):
    """What both years share; they differ in folder names only."""

    _left, _right, _truth, _layout, _origin = "", "", {}, "", ""

    def __init__(self, root, split="training", task="flow"):
        _check_split(split)
        if task not in self._truth:
            raise ValueError(f"task is {task!r}, expected 'flow' or 'stereo'")
        self._root = Path(root, split)
        self._labelled = split == "training"
        self._task = task
        second = (self._left, 11) if task == "flow" else (self._right, 10)
        self.names = sorted(file.stem for file in self._root.glob(f"{self._left}/*_10.png"))
        wanted = [] if self.names else [f"{self._left}/000000_10.png"]
        self._seconds = [f"{second[0]}/{name[:-2]}{second[1]}.png" for name in self.names]
        wanted += self._seconds
        if self._labelled:
            wanted += [
                f"{folder}/{name}.png" for name in self.names for folder in self._truth[task]
            ]
        gone = [f"{split}/{path}" for path in absent(self._root, wanted)]
        if gone:
            raise missing_tree(root, gone, self._layout, self._origin)

    def _read(self, index):
        name = f"{self.names[index]}.png"
        record = {
            IMAGE1: read_image(self._root / self._left / name),
            IMAGE2: read_image(self._root / self._seconds[index]),
        }
        if self._labelled:
            everywhere, seen = (self._root / folder / name for folder in self._truth[self._task])
            if self._task == "flow":
                record[FLOW], record[VALID] = read_flow(everywhere)
                _, both = read_flow(seen)
            else:
                record[DISPARITY], record[VALID] = read_disparity(everywhere)
                _, both = read_disparity(seen)
                zero = np.zeros_like(record[DISPARITY])
                record[FLOW] = np.concatenate([-record[DISPARITY], zero], axis=-1)
            same_size(self._root / self._left / name, {**record, "noc": both})
            record[OCCLUSION] = record[VALID] * (1 - both)
        return same_size(self._root / self._left / name, record)


class KITTI2015(_Labelled):
    """KITTI 2015: 200 training and 200 testing scenes, frames 10 and 11, moving cars.

    Args:
        root: folder that holds `training/` and `testing/`.
        split: "training", or "testing", which has no ground truth (records image1, image2).
        task: "flow" (image2 is the next frame of the left camera) or "stereo" (image2 is the
            right camera's frame; adds `disparity`, and flow is (-disparity, 0)).

    Records: image1, image2, flow, valid, occlusion. `valid` comes from the "occ" files (all
    labelled pixels), `occlusion` is 1 where a pixel is labelled there and not in "noc", that is,
    hidden or out of the frame in image2. Names: "000000_10". Sizes vary from scene to scene.
    `SELFLOW_VALIDATION` lists a validation split, for `Subset`.

    Raises:
        ValueError: unknown split or task.
        FileNotFoundError: files are missing; the message shows the expected tree and the source.
    """

    _left, _right = "image_2", "image_3"
    _truth = {"flow": ("flow_occ", "flow_noc"), "stereo": ("disp_occ_0", "disp_noc_0")}  # noqa: RUF012
    _layout = LAYOUT_2015
    _origin = ORIGIN.format("scene_flow", "?benchmark=flow")


class KITTI2012(_Labelled):
    """KITTI 2012: 194 training and 195 testing scenes, frames 10 and 11, static world.

    Arguments, records and errors as `KITTI2015`. Colour pictures.
    """

    _left, _right = "colored_0", "colored_1"
    _truth = {"flow": ("flow_occ", "flow_noc"), "stereo": ("disp_occ", "disp_noc")}  # noqa: RUF012
    _layout = LAYOUT_2012
    _origin = ORIGIN.format("stereo_flow", "?benchmark=flow")


class KITTIMultiView(Source):
    """Unlabelled pairs of consecutive frames of KITTI's multi-view extension, both cameras.

    Each scene has frames 0 to 20. Frames 9 to 12 are never used, because the labelled pair
    (10, 11) is among them: first frames are 0..7 and 13..19, which makes 6,000 pairs of the 200
    scenes of 2015, as in DDFlow and SelFlow.

    Args:
        root: folder that holds `training/` and `testing/` of the multi-view download.
        year: 2012 or 2015.
        split: "training" or "testing".
        excluded: frame numbers that no pair may contain.

    The colour cameras are called image_2 and image_3; for 2012 colored_0 and colored_1, the names
    of the labelled pairs, are understood, too.

    Records: image1, image2. Names: "image_2/000000_00".

    Raises:
        ValueError: unknown year or split.
        FileNotFoundError: files are missing; the message shows the expected tree and the source.
    """

    def __init__(self, root, year=2015, split="training", excluded=(9, 10, 11, 12)):
        if year not in (2012, 2015):
            raise ValueError(f"year is {year!r}, expected 2012 or 2015")
        _check_split(split)
        self._root = Path(root, split)
        cameras = {"image_2": "image_3", "colored_0": "colored_1"}
        left = next((one for one in cameras if (self._root / one).is_dir()), "image_2")
        right = cameras[left]
        scenes = sorted({file.name[:6] for file in self._root.glob(f"{left}/??????_??.png")})
        firsts = [t for t in range(20) if t not in excluded and t + 1 not in excluded]
        pairs = [
            tuple(f"{camera}/{scene}_{time:02d}" for time in (first, first + 1))
            for camera in (left, right)
            for scene in scenes
            for first in firsts
        ]
        wanted = sorted({f"{frame}.png" for pair in pairs for frame in pair})
        gone = absent(self._root, wanted or [f"{left}/000000_00.png"])
        if gone:
            kind = "scene" if year == 2015 else "stereo"
            layout = LAYOUT_MULTIVIEW.format(
                root=f"data_{kind}_flow_multiview", split=split, left=left, right=right
            )
            origin = ORIGIN.format(f"{kind}_flow", " (the multi-view extension)")
            raise missing_tree(root, [f"{split}/{path}" for path in gone], layout, origin)
        self._pairs = pairs
        self.names = [first for first, _ in pairs]

    def _read(self, index):
        first, second = (self._root / f"{frame}.png" for frame in self._pairs[index])
        return same_size(first, {IMAGE1: read_image(first), IMAGE2: read_image(second)})


def _check_split(split):
    if split not in ("training", "testing"):
        raise ValueError(f"split is {split!r}, expected 'training' or 'testing'")
