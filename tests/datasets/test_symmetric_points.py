"""The mirror image of each key point, by the readers' own lists."""

import numpy as np
import pytest

from kcorr.datasets import AFLW, AFLWRecropped, CatHeads, CelebA, DeformableFaces, Faces300W

NAMED = (CelebA, AFLW, AFLWRecropped, CatHeads)
# The figure of iBUG's 68 points, which counts from 1: partners and, alone, points of the middle.
FIGURE = (
    "1-17 2-16 3-15 4-14 5-13 6-12 7-11 8-10 9 18-27 19-26 20-25 21-24 22-23 28 29 30 31 32-36 "
    "33-35 34 37-46 38-45 39-44 40-43 41-48 42-47 49-55 50-54 51-53 52 56-60 57-59 58 61-65 62-64 "
    "63 66-68 67"
)
# CAT_00/00000001_000.jpg.cat of the release.
CAT = "175 160 239 162 199 199 149 121 137 78 166 93 281 101 312 96 296 133"


@pytest.mark.parametrize("reader", [*NAMED, Faces300W, DeformableFaces])
def test_a_mirror_image_of_a_mirror_image_is_the_point(reader):
    swap = np.array(reader.symmetric_points)
    np.testing.assert_array_equal(np.sort(swap), np.arange(len(reader.point_names)))
    np.testing.assert_array_equal(swap[swap], np.arange(len(swap)))
    if hasattr(reader, "eyes"):
        assert [swap[eye] for eye in reader.eyes] == list(reader.eyes)[::-1]


@pytest.mark.parametrize("reader", NAMED)
def test_left_is_right_in_the_mirror(reader):
    names = reader.point_names
    for name, partner in zip(names, (names[k] for k in reader.symmetric_points), strict=True):
        side, _, part = name.partition("_")
        if side not in ("left", "right"):
            assert partner == name
        else:
            assert partner.startswith(f"{'right' if side == 'left' else 'left'}_{part[:3]}")


def test_the_68_points_are_those_of_the_figure():
    expected = np.full(68, -1)
    for entry in FIGURE.split():
        one, other = (int(word) - 1 for word in (entry.split("-") * 2)[:2])
        expected[[one, other]] = other, one
    np.testing.assert_array_equal(Faces300W.symmetric_points, expected)


def test_a_cats_outer_foot_of_an_ear_is_the_outer_one_of_the_other():
    points = np.array(CAT.split(), float).reshape(9, 2)
    one, other = points[:2]
    off = np.abs((points - (one + other) / 2) @ (other - one))  # the line that halves the eyes
    left, right = ([f"{side}_ear_1", f"{side}_ear_3"] for side in ("left", "right"))
    place = CatHeads.point_names.index
    for which in (max, min):  # outer, inner
        foot, partner = (which(ear, key=lambda name: off[place(name)]) for ear in (left, right))
        assert CatHeads.symmetric_points[place(foot)] == place(partner)
