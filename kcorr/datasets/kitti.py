"""KITTI 2012 (Geiger et al., CVPR 2012) and KITTI 2015 (Menze and Geiger, CVPR 2015)."""

from pathlib import Path

import numpy as np

from kcorr.datasets._windows import image1_of, image_keys
from kcorr.datasets.source import Source
from kcorr.datasets.splits import KITTI_EXCLUDED, kitti_multi_view
from kcorr.datasets.trees import absent, missing_tree, read_window, same_size
from kcorr.io import read_disparity, read_flow, read_image
from kcorr.schema import DISPARITY, FLOW, IMAGE1, IMAGE2, OBJECTS, OCCLUSION, VALID

LAYOUT_2015 = """
data_scene_flow/
  training/
    image_2/000000_10.png  000000_11.png ...     (left camera)
    image_3/000000_10.png  000000_11.png ...     (right camera, for task="stereo")
    flow_occ/000000_10.png ...  flow_noc/000000_10.png ...
    disp_occ_0/000000_10.png ...  disp_noc_0/000000_10.png ...     (for task="stereo")
    obj_map/000000_10.png ...                    (for objects=True)
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
CAMERAS = {"image_2": "image_3", "colored_0": "colored_1"}  # left: right
ORIGIN = "https://www.cvlibs.net/datasets/kitti/eval_{}.php{}"


class _Labelled(Source):
    """What both years share; they differ in folder names only."""

    _year, _left, _right, _truth, _objects, _layout, _origin = 0, "", "", {}, None, "", ""

    def __init__(
        self,
        root,
        split="training",
        task="flow",
        *,
        frames=2,
        multi_view=None,
        objects=False,
    ):
        _check_split(split)
        if task not in self._truth:
            raise ValueError(f"task is {task!r}, expected 'flow' or 'stereo'")
        self._keys = image_keys(frames)
        if task == "stereo" and frames != 2:
            raise ValueError(f"frames is {frames}, expected 2 for task='stereo'")
        if objects and not self._objects:
            raise ValueError("objects=True: only KITTI 2015 has object maps")
        self._root = Path(root, split)
        self._labelled = split == "training"
        self._task = task
        self._objects = self._objects if objects and self._labelled else None
        self.names = sorted(file.stem for file in self._root.glob(f"{self._left}/*_10.png"))
        wanted = [] if self.names else [f"{self._left}/000000_10.png"]
        self._pairs = [[f"{self._left}/{name}.png", self._second(name)] for name in self.names]
        wanted += [second for _, second in self._pairs]
        if self._labelled:
            folders = [*self._truth[task], *([self._objects] if self._objects else [])]
            wanted += [f"{folder}/{name}.png" for name in self.names for folder in folders]
        gone = [f"{split}/{path}" for path in absent(self._root, wanted)]
        if gone:
            raise missing_tree(root, gone, self._layout, self._origin)
        self._around = self._find_around(Path(multi_view or root), split) if frames > 2 else None

    def _second(self, name):
        """The relative path of image2."""
        if self._task == "stereo":
            return f"{self._right}/{name}.png"
        return f"{self._left}/{name[:-2]}11.png"

    def _find_around(self, root, split):
        """For each name {key: path} of the frames beside the pair: image0 is frame 9, and so on."""
        cameras = [left for left in CAMERAS if (root / split / left).is_dir()]
        left = cameras[0] if cameras else self._left
        numbers = {key: 9 + int(key[-1]) for key in self._keys if key not in (IMAGE1, IMAGE2)}
        around = [
            {key: f"{split}/{left}/{name[:-2]}{number:02d}.png" for key, number in numbers.items()}
            for name in self.names
        ]
        gone = absent(root, [path for paths in around for path in paths.values()])
        if gone:
            raise _missing_multi_view(root, gone, self._year, split, left)
        return [{key: root / path for key, path in paths.items()} for paths in around]

    def _read(self, index):
        name = f"{self.names[index]}.png"
        pair = dict(zip((IMAGE1, IMAGE2), self._pairs[index], strict=True))
        paths = {key: self._root / path for key, path in pair.items()}
        if self._around is not None:
            paths |= self._around[index]
        record = read_window(self._keys, [paths[key] for key in self._keys])
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
            same_size(paths[IMAGE1], {**record, "noc": both})
            record[OCCLUSION] = record[VALID] * (1 - both)
        if self._objects:
            record[OBJECTS] = read_image(self._root / self._objects / name, 1).astype(np.float32)
        return same_size(paths[IMAGE1], record)


class KITTI2015(_Labelled):
    """KITTI 2015: 200 training and 200 testing scenes, frames 10 and 11, moving cars.

    Args:
        root: folder that holds `training/` and `testing/`.
        split: "training", or "testing", which has no ground truth (records image1, image2).
        task: "flow" (image2 is the next frame of the left camera) or "stereo" (image2 is the
            right camera's frame; adds `disparity`, and flow is (-disparity, 0)).
        frames: 2 for pairs; 3 adds image0, frame 9, 4 also image3, frame 12, 5 image4, frame 13.
            These come from the multi-view extension. To be measured on, never trained on.
        multi_view: folder that holds `training/` and `testing/` of that extension; None looks for
            the frames in `root`.
        objects: adds `objects`, 0 for the background and 1, 2, ... for moving cars, by which
            outliers of foreground and background are told apart.

    Records: image1, image2, flow, valid, occlusion. `valid` comes from the "occ" files (all
    labelled pixels), `occlusion` is 1 where a pixel is labelled there and not in "noc", that is,
    hidden or out of the frame in image2. Names: "000000_10". Sizes vary from scene to scene.
    `SELFLOW_VALIDATION` lists a validation split, for `Subset`.

    Raises:
        ValueError: unknown split or task; `frames` not 2 to 5, or more than 2 for "stereo".
        FileNotFoundError: files are missing; the message shows the expected tree and the source.
    """

    _year, _left, _right, _objects = 2015, "image_2", "image_3", "obj_map"
    _truth = {"flow": ("flow_occ", "flow_noc"), "stereo": ("disp_occ_0", "disp_noc_0")}  # noqa: RUF012
    _layout = LAYOUT_2015
    _origin = ORIGIN.format("scene_flow", "?benchmark=flow")


class KITTI2012(_Labelled):
    """KITTI 2012: 194 training and 195 testing scenes, frames 10 and 11, static world.

    Arguments, records and errors as `KITTI2015`, but there are no object maps. Colour pictures.
    """

    _year, _left, _right = 2012, "colored_0", "colored_1"
    _truth = {"flow": ("flow_occ", "flow_noc"), "stereo": ("disp_occ", "disp_noc")}  # noqa: RUF012
    _layout = LAYOUT_2012
    _origin = ORIGIN.format("stereo_flow", "?benchmark=flow")


class KITTIMultiView(Source):
    """Unlabelled consecutive frames of KITTI's multi-view extension, both cameras.

    Each scene has frames 0 to 20. Frames 9 to 12 are never used, because the labelled pair
    (10, 11) is among them: first frames are 0..7 and 13..19, which makes 6,000 pairs of the 200
    scenes of 2015, as in DDFlow and SelFlow, and 3,600 windows of five frames.

    Args:
        root: folder that holds `training/` and `testing/` of the multi-view download.
        year: 2012 or 2015.
        split: "training" or "testing".
        excluded: frame numbers that no window may hold.
        frames: 2 for pairs, 3 to 5 for windows, see `kcorr.datasets.Windows`.

    The colour cameras are called image_2 and image_3; for 2012 colored_0 and colored_1, the names
    of the labelled pairs, are understood, too.

    Records: image1, image2, or image0 to image4. Names are image1's: "image_2/000000_00".

    Raises:
        ValueError: unknown year or split, or `frames` not 2 to 5.
        FileNotFoundError: files are missing; the message shows the expected tree and the source.
    """

    def __init__(self, root, year=2015, split="training", excluded=KITTI_EXCLUDED, *, frames=2):
        if year not in (2012, 2015):
            raise ValueError(f"year is {year!r}, expected 2012 or 2015")
        _check_split(split)
        self._keys = image_keys(frames)
        self._root = Path(root, split)
        left = next((one for one in CAMERAS if (self._root / one).is_dir()), "image_2")
        scenes = sorted({file.name[:6] for file in self._root.glob(f"{left}/??????_??.png")})
        found = kitti_multi_view(scenes, frames, excluded, (left, CAMERAS[left]))
        self._windows = [
            [f"{camera}/{scene}_{time:02d}" for time in times] for camera, scene, times in found
        ]
        wanted = sorted({f"{frame}.png" for window in self._windows for frame in window})
        gone = absent(self._root, wanted or [f"{left}/000000_00.png"])
        if gone:
            raise _missing_multi_view(root, [f"{split}/{path}" for path in gone], year, split, left)
        self.names = [image1_of(window) for window in self._windows]

    def _read(self, index):
        paths = [self._root / f"{frame}.png" for frame in self._windows[index]]
        return same_size(image1_of(paths), read_window(self._keys, paths))


def _missing_multi_view(root, gone, year, split, left):
    kind = "scene" if year == 2015 else "stereo"
    layout = LAYOUT_MULTIVIEW.format(
        root=f"data_{kind}_flow_multiview", split=split, left=left, right=CAMERAS[left]
    )
    origin = ORIGIN.format(f"{kind}_flow", " (the multi-view extension)")
    return missing_tree(root, gone, layout, origin)


def _check_split(split):
    if split not in ("training", "testing"):
        raise ValueError(f"split is {split!r}, expected 'training' or 'testing'")
