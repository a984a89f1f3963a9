"""Small files for benchmark trees, and what a record of them must look like."""

import numpy as np
from PIL import Image

from kcorr.io import write_disparity, write_flow

H, W = 6, 8


def image(path, level, size=(W, H)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (level, 0, 255 - level)).save(path)


def mask(path, where):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.zeros((H, W), np.uint8)
    values[where] = 255
    Image.fromarray(values).save(path)


def flow(path, u, v=0.0, unknown=()):
    path.parent.mkdir(parents=True, exist_ok=True)
    valid = np.ones((H, W, 1), np.float32)
    for place in unknown:
        valid[place] = 0
    write_flow(path, np.full((H, W, 2), (u, v), np.float32), valid)


def disparity(path, d, unknown=()):
    path.parent.mkdir(parents=True, exist_ok=True)
    valid = np.ones((H, W, 1), np.float32)
    for place in unknown:
        valid[place] = 0
    write_disparity(path, np.full((H, W, 1), d, np.float32), valid)


def check(record, *keys):
    assert set(record) == set(keys)
    for key, value in record.items():
        image = key.startswith("image")
        channels = 3 if image else 2 if key == "flow" else 1
        assert value.shape == (H, W, channels), key
        assert value.dtype == (np.uint8 if image else np.float32), key
    return [int(record[key][0, 0, 0]) for key in ("image1", "image2")]


def sintel_tree(root):
    for scene, base in (("alley_1", 10), ("cave_2", 50)):
        for i in (1, 2, 3):
            for dtype, more in (("clean", 0), ("final", 100)):
                image(root / f"training/{dtype}/{scene}/frame_{i:04d}.png", base + i + more)
                image(root / f"test/{dtype}/{scene}/frame_{i:04d}.png", base + i + more)
            mask(root / f"training/invalid/{scene}/frame_{i:04d}.png", (0, i))
            if i < 3:
                flow(root / f"training/flow/{scene}/frame_{i:04d}.flo", i, unknown=[(5, 5)])
                mask(root / f"training/occlusions/{scene}/frame_{i:04d}.png", (1, i))
    return root


def kitti_tree(root, left, right, disparities):
    for split in ("training", "testing"):
        for scene in (0, 1):
            for camera, base in ((left, 10), (right, 60)):
                for frame in (10, 11):
                    image(root / split / camera / f"{scene:06d}_{frame}.png", base + frame + scene)
    for scene in (0, 1):
        name = f"{scene:06d}_10.png"
        # Pixel (0, 0) is not labelled at all; (2, 3) is labelled, but hidden in the other frame.
        flow(root / "training/flow_occ" / name, 4.5, -2, [(0, 0)])
        flow(root / "training/flow_noc" / name, 4.5, -2, [(0, 0), (2, 3)])
        disparity(root / "training" / disparities[0] / name, 7.25, [(0, 0)])
        disparity(root / "training" / disparities[1] / name, 7.25, [(0, 0), (2, 3)])
    return root
