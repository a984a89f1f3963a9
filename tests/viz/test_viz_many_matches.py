"""Quasi-dense matches as squares: where they lie, what they hide, and one colour at both ends."""

import numpy as np
import pytest

from kcorr import viz

IMAGE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
GREY = np.rint(0.6 * (IMAGE @ [0.299, 0.587, 0.114])).astype(np.uint8)[..., None].repeat(3, -1)


def coloured(picture):
    return (picture != picture[..., :1]).any(-1)


def test_a_match_is_a_square_of_one_colour_at_both_ends():
    first, second = viz.color_matches(IMAGE, IMAGE[:30], [[10, 8, 41.4, 20.6, 0.5]], radius=2)
    assert first.shape == (40, 60, 3) and second.shape == (30, 60, 3)
    assert first.dtype == second.dtype == np.uint8
    color = first[8, 10]
    for picture, (x, y) in ((first, (10, 8)), (second, (41, 21))):
        expected = np.zeros(picture.shape[:2], bool)
        expected[y - 2 : y + 3, x - 2 : x + 3] = True
        np.testing.assert_array_equal(coloured(picture), expected)
        np.testing.assert_array_equal(picture[expected], np.tile(color, (25, 1)))
        np.testing.assert_array_equal(picture[~expected], GREY[: len(picture)][~expected])


def test_colours_tell_places_apart_and_are_never_white():
    y, x = (axis.ravel().astype(float) for axis in np.mgrid[2:40:4, 2:60:4])
    matches = np.stack([x, y, x, y], axis=-1)
    first, second = viz.color_matches(IMAGE, IMAGE, matches, radius=0)
    np.testing.assert_array_equal(first, second)
    colors = first[y.astype(int), x.astype(int)].astype(int)
    assert len(np.unique(colors, axis=0)) > 0.9 * len(colors)
    assert (np.ptp(colors, axis=1) > 40).all()
    corners = first[[2, 2, 38, 38], [2, 58, 2, 58]].astype(int)
    gaps = np.abs(corners[:, None] - corners).sum(-1)[np.triu_indices(4, 1)]
    assert gaps.min() > 100


def test_the_surest_lies_on_top_and_matches_outside_are_left_out():
    sure, unsure = [10.0, 10, 30, 20, 0.9], [50.0, 30, 31, 20, 0.1]
    alone = viz.color_matches(IMAGE, IMAGE, [sure], radius=1)[1]
    for matches in ([sure, unsure], [unsure, sure]):
        both = viz.color_matches(IMAGE, IMAGE, matches, radius=1)[1]
        np.testing.assert_array_equal(both[19:22, 29:32], alone[19:22, 29:32])
        assert coloured(both).sum() == 9 + 3
    bad = [[-1, 5, 5, 5, 1], [5, 5, 5, 40, 1], [5, 5, np.nan, 5, 1], [5, 5, 5, np.inf, 1]]
    for nothing in (bad, np.zeros((0, 5)), np.zeros((0, 4))):
        for picture in viz.color_matches(IMAGE, IMAGE, nothing):
            np.testing.assert_array_equal(picture, GREY)
    # Half a square at the border, whose outer half belongs to no pixel.
    edge = viz.color_matches(IMAGE, IMAGE, [[-0.5, 39.5, 59.5, -0.5]], radius=3)
    assert [int(coloured(picture).sum()) for picture in edge] == [16, 16]


def test_a_sheet_of_pictures_and_motion():
    matches = [[10, 8, 14, 8, 1], [30, 20, 34, 20, 1]]
    flow = np.tile([4.0, 0.0], (40, 60, 1))
    valid = np.zeros((40, 60, 1))
    valid[:, :30] = 1
    two = viz.match_sheet(IMAGE, IMAGE, matches)
    three = viz.match_sheet(IMAGE, IMAGE, matches, flow, valid)
    stacked = viz.match_sheet(IMAGE, IMAGE, matches, flow, valid, columns=1)
    assert two.shape[0] == three.shape[0] < stacked.shape[0]
    assert stacked.shape[1] < two.shape[1] < three.shape[1]
    red = (three == viz.flow_to_color(flow)[0, 0]).all(-1)
    black = (three == 0).all(-1)
    assert red.sum() > 0 and red.sum() == pytest.approx(black.sum(), rel=0.1)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: viz.color_matches(IMAGE, IMAGE, np.zeros((2, 6))), r"matches have shape \(2, 6\)"),
        (lambda: viz.color_matches(IMAGE, IMAGE, [["a"] * 5]), "matches has dtype"),
        (lambda: viz.color_matches(IMAGE, IMAGE, np.zeros((2, 5)), 1.5), "radius is 1.5"),
        (lambda: viz.color_matches(IMAGE, IMAGE, np.zeros((2, 5)), -1), "radius is -1"),
        (lambda: viz.color_matches(IMAGE[None], IMAGE, np.zeros((2, 5))), "image1 has shape"),
        (lambda: viz.match_sheet(IMAGE, IMAGE, np.zeros((2, 5)), IMAGE), "flow has shape"),
    ],
)
def test_wrong_input_gets_one_clear_line(call, says):
    with pytest.raises(ValueError, match=says):
        call()
