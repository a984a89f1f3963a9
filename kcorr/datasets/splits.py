"""Which frames the papers train and test on: pure functions of scene lists, no file is read.

The counts beside each are those of the lists that the authors of DDFlow and SelFlow released.
"""

from kcorr.datasets._windows import windows

KITTI_SCENES = {
    (2012, "training"): 194,
    (2012, "testing"): 195,
    (2015, "training"): 200,
    (2015, "testing"): 200,
}
KITTI_FRAMES = 21  # of a scene of the multi-view extension
# Frames around the labelled pair (10, 11), which the papers never train on.
KITTI_EXCLUDED = (9, 10, 11, 12)
# The 30 scenes that SelFlow keeps for validation; it trains on the other 170.
SELFLOW_VALIDATION = (
    0, 3, 4, 17, 23, 30, 38, 39, 53, 57, 64, 65, 66, 70, 81, 83, 85, 98, 105, 107, 109, 111, 120,
    132, 154, 156, 157, 166, 169, 189,
)  # fmt: skip

# Frames of each training scene.
SINTEL_FRAMES = {
    "alley_1": 50, "alley_2": 50, "ambush_2": 21, "ambush_4": 33, "ambush_5": 50, "ambush_6": 20,
    "ambush_7": 50, "bamboo_1": 50, "bamboo_2": 50, "bandage_1": 50, "bandage_2": 50, "cave_2": 50,
    "cave_4": 50, "market_2": 50, "market_5": 50, "market_6": 40, "mountain_1": 50, "shaman_2": 50,
    "shaman_3": 50, "sleeping_1": 50, "sleeping_2": 50, "temple_2": 50, "temple_3": 50,
}  # fmt: skip
# Test scenes, and how many pairs they make together.
SINTEL_TEST_SCENES = (
    "PERTURBED_market_3", "PERTURBED_shaman_1", "ambush_1", "ambush_3", "bamboo_3", "cave_3",
    "market_1", "market_4", "mountain_2", "temple_1", "tiger", "wall",
)  # fmt: skip
SINTEL_TEST_PAIRS = 552


def kitti_multi_view(scenes, frames=2, excluded=KITTI_EXCLUDED, cameras=("image_2", "image_3")):
    """Windows of KITTI's multi-view extension without the frames around the labelled pair.

    With both cameras the 200 training scenes of 2015 make 6,000 pairs (first frames 0..7 and
    13..19) and 3,600 windows of five frames (0..4 and 13..16).

    Args:
        scenes: scene names, or numbers.
        frames: frames of a window, 2 to 5.
        excluded: frame numbers that no window may hold.
        cameras: names of the cameras.

    Returns:
        A list of (camera, scene, tuple of frame numbers), camera by camera.
    """
    times = windows(KITTI_FRAMES, frames, excluded=excluded)
    return [(camera, scene, window) for camera in cameras for scene in scenes for window in times]


def selflow_split(scenes=range(200)):
    """The split of the labelled scenes of KITTI 2015 for fine-tuning: 170 to train on, 30 not.

    Args:
        scenes: scene numbers, or names that begin with them ("000010_10" is scene 10).

    Returns:
        (train, validation): two lists of the scenes as given.
    """
    numbers = {scene: int(str(scene).partition("_")[0]) for scene in scenes}
    validation = [scene for scene, number in numbers.items() if number in SELFLOW_VALIDATION]
    train = [scene for scene, number in numbers.items() if number not in SELFLOW_VALIDATION]
    return train, validation


def scene_windows(lengths, frames=2, ends="skip"):
    """Windows of consecutive frames that stay in their scene.

    Sintel's 23 training scenes make 1,041 pairs and 972 windows of five frames (twice that with
    both renderings), the authors' 144 clips of the film 10,966 pairs and 10,822 windows of three.

    Args:
        lengths: {scene: number of frames}.
        frames: frames of a window, 2 to 5.
        ends: see `kcorr.datasets.windows`.

    Returns:
        A list of (scene, tuple of frame numbers from 1).
    """
    return [
        (scene, tuple(frame + 1 for frame in window))
        for scene, length in lengths.items()
        for window in windows(length, frames, ends=ends)
    ]


def chairs_split(marks):
    """FlyingChairs' own split: 22,232 samples to train on and 640 for validation.

    Args:
        marks: one string for each sample, in order: "1" train, "2" validation.

    Returns:
        {"train": names, "validation": names}, names "00001", "00002", ...

    Raises:
        ValueError: another mark.
    """
    kinds = {"1": "train", "2": "validation"}
    strange = set(marks) - set(kinds)
    if strange:
        raise ValueError(f"holds {min(strange)!r}, expected only 1 and 2")
    split = {kind: [] for kind in kinds.values()}
    for number, mark in enumerate(marks, 1):
        split[kinds[mark]].append(f"{number:05d}")
    return split
