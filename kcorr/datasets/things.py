"""FlyingThings3D (Mayer et al., "A Large Dataset to Train Convolutional Networks", CVPR 2016)."""

from pathlib import Path

from kcorr.datasets.source import Source
from kcorr.datasets.trees import absent, missing_tree, same_size
from kcorr.io import read_flow, read_image
from kcorr.schema import FLOW, IMAGE1, IMAGE2, VALID

LAYOUT = """
FlyingThings3D/
  frames_cleanpass/TRAIN/A/0000/left/0006.png ... 0015.png     (right/ for the other camera)
  frames_finalpass/TRAIN/A/0000/left/0006.png ... 0015.png     (for dtype="final")
  optical_flow/TRAIN/A/0000/
    into_future/left/OpticalFlowIntoFuture_0006_L.pfm ...
    into_past/left/OpticalFlowIntoPast_0006_L.pfm ...          (for directions with "past")
  (TEST as TRAIN)
"""
ORIGIN = "https://lmb.informatik.uni-freiburg.de/resources/datasets/SceneFlowDatasets.en.html"
_FLOWS = {"future": ("into_future", "IntoFuture", 1), "past": ("into_past", "IntoPast", -1)}


class FlyingThings3D(Source):
    """Synthetic objects that fly through rooms, 960x540, dense flow; ten frames a scene.

    The tree of the full data set. A scene's last frame has a flow into the future, too, but no
    frame that it leads to, so ten frames make nine pairs for each camera and direction.

    Args:
        root: folder that holds `frames_cleanpass/` and `optical_flow/`.
        split: "train" or "test".
        dtype: rendering, "clean" or "final".
        cameras: of "left" and "right".
        directions: of "future" (image2 is the next frame) and "past" (image2 is the one before).

    Records: image1, image2, flow, valid. Names: "TRAIN/A/0000/left/0006+1", "...0007-1".

    Raises:
        ValueError: unknown split, rendering, camera or direction.
        FileNotFoundError: files are missing; the message shows the expected tree and the source.
    """

    def __init__(
        self, root, split="train", dtype="clean", cameras=("left",), directions=("future",)
    ):
        _check("split", split, ("train", "test"))
        _check("dtype", dtype, ("clean", "final"))
        for camera in cameras:
            _check("camera", camera, ("left", "right"))
        for direction in directions:
            _check("direction", direction, tuple(_FLOWS))
        self._root = Path(root)
        self._frames = f"frames_{dtype}pass"
        part = split.upper()
        self.names, self._records = [], []
        for camera in cameras:
            for scene, numbers in self._scenes(f"{part}/*/*/{camera}").items():
                for direction in directions:
                    self._add(scene, camera, numbers, direction)
        wanted = [path for record in self._records for path in record]
        gone = absent(root, wanted or [f"{self._frames}/{part}/A/0000/{cameras[0]}/0006.png"])
        if gone:
            raise missing_tree(root, list(dict.fromkeys(gone)), LAYOUT, ORIGIN)

    def _scenes(self, pattern):
        """{"TRAIN/A/0000": numbers of its first to last frame} of the folders of one camera."""
        found = {}
        for file in sorted(self._root.glob(f"{self._frames}/{pattern}/[0-9][0-9][0-9][0-9].png")):
            scene = file.parents[1].relative_to(self._root / self._frames).as_posix()
            found.setdefault(scene, []).append(int(file.stem))
        # A frame lost in between is then missing, and its neighbours do not become a pair.
        return {scene: range(min(n), max(n) + 1) for scene, n in found.items()}

    def _add(self, scene, camera, numbers, direction):
        folder, word, step = _FLOWS[direction]
        for number in numbers[:-1] if step > 0 else numbers[1:]:
            frames = [
                f"{self._frames}/{scene}/{camera}/{frame:04d}.png"
                for frame in (number, number + step)
            ]
            file = f"OpticalFlow{word}_{number:04d}_{camera[0].upper()}.pfm"
            self._records.append((*frames, f"optical_flow/{scene}/{folder}/{camera}/{file}"))
            self.names.append(f"{scene}/{camera}/{number:04d}{step:+d}")

    def _read(self, index):
        first, second, flow = (self._root / path for path in self._records[index])
        record = {IMAGE1: read_image(first), IMAGE2: read_image(second)}
        record[FLOW], record[VALID] = read_flow(flow)
        return same_size(first, record)


def _check(what, value, known):
    if value not in known:
        raise ValueError(f"{what} is {value!r}, expected {' or '.join(map(repr, known))}")
