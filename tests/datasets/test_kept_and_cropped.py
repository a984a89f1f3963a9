"""`InMemory` reads each record once; `SquareCrops` cuts the middle out of pictures and points."""

import numpy as np
import pytest

from kcorr.datasets import InMemory, Source, SquareCrops


class Counting(Source):
    """Pictures of 20 x 31 whose red and green are the pixel's place, with points there."""

    names = ("a", "b", "c")
    more = ()

    def __init__(self):
        self.read = []

    def _read(self, index):
        self.read.append(index)
        y, x = np.mgrid[:20, :31].astype(np.uint8)
        points = np.float32([[5.0, 0.0], [15.25, 9.5], [24.9, 19.0], [4.0, 3.0], [26.0, 3.0]])
        return {
            "image1": np.stack([x, y, np.full_like(x, index)], axis=-1),
            "points1": points,
            "visible": np.float32([[1], [1], [0], [1], [1]]),
            **dict.fromkeys(self.more, points),
        }


def test_records_are_read_once_and_are_ones_own():
    source = Counting()
    kept = InMemory(source, keys=("image1", "identity"))
    assert kept.names == source.names and len(kept) == 3
    kept[1].clear()
    assert kept[1].keys() == {"image1"} and source.read == [1]
    np.testing.assert_array_equal(kept[-1]["image1"], source[2]["image1"])
    assert InMemory(source)[0].keys() == {"image1", "points1", "visible"}


def test_the_middle_is_cut_out_and_points_move_along():
    record = SquareCrops(Counting(), 20)[0]
    # 31 - 20 leaves 5.5 pixels on each side: half a pixel between two columns.
    np.testing.assert_allclose(
        record["image1"][:, :, 0], np.tile(np.arange(20) + 5.5, (20, 1)), atol=0.51
    )
    np.testing.assert_allclose(record["points1"][:, 0], [-0.5, 9.75, 19.4, -1.5, 20.5], atol=1e-5)
    np.testing.assert_array_equal(record["visible"][:, 0], [1, 1, 0, 0, 0])
    # Scaled by the coordinate law.
    small = SquareCrops(Counting(), 10)[1]
    assert small["image1"].shape == (10, 10, 3)
    np.testing.assert_allclose(small["points1"], (record["points1"] + 0.5) / 2 - 0.5, atol=1e-5)


def test_maps_are_not_left_behind():
    source = Counting()
    source.more = ("flow", "objects")
    with pytest.raises(ValueError, match="cannot move flow, objects"):
        SquareCrops(source, 10)[0]
    with pytest.raises(ValueError, match="at least 1, got 0"):
        SquareCrops(source, 0)
