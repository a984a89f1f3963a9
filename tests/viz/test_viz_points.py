"""Key points and matches: each index keeps its colour and its place, whatever the picture."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kcorr import viz
from kcorr.viz._strokes import near

RNG = np.random.default_rng(8)
IMAGE = RNG.integers(60, 200, (60, 80, 3), np.uint8)
WHITE = np.full((60, 80, 3), 255, np.uint8)
POINTS = np.array([[10, 12], [40, 12], [70, 12], [10, 45], [40, 45], [70, 45]], np.float32)
PAPER = (24, 26, 30)


def larger(image, scale):
    return np.kron(image, np.ones((scale, scale, 1), np.uint8))


def changed(before, after):
    return (before != after).any(-1)


def test_the_colours_of_points_never_change():
    """Golden: pictures of different runs are laid side by side."""
    first = [(255, 51, 51), (0, 255, 0), (0, 153, 255), (221, 0, 255), (255, 187, 51)]
    assert [tuple(c) for c in viz.point_colors(5).tolist()] == first
    many = viz.point_colors(600)
    assert many.dtype == np.uint8 and many.shape == (600, 3)
    assert len(np.unique(many[:256], axis=0)) == 256
    np.testing.assert_array_equal(many[256:512], many[:256])
    np.testing.assert_array_equal(viz.point_colors(37), many[:37])
    assert viz.point_colors(0).shape == (0, 3)


def cie_lab(colors):
    """CIE L*a*b* under D65: another measure of what eyes see than the one that chose."""
    share = colors / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = linear @ np.array(to_xyz).T / [0.9505, 1.0, 1.089]
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], -1)


@pytest.mark.parametrize(("count", "least"), [(6, 45), (12, 18), (30, 12)])
def test_the_first_colours_are_far_apart_and_never_dark(count, least):
    lab = cie_lab(viz.point_colors(count).astype(float))
    gaps = np.linalg.norm(lab[:, None] - lab, axis=-1)[np.triu_indices(count, 1)]
    assert gaps.min() > least
    assert lab[:, 0].min() > 48  # none is lost in the dark rim


@pytest.mark.parametrize("scale", [1, 3, 5])
def test_a_dot_has_its_colour_at_its_centre_and_leaves_the_rest_alone(scale):
    drawn = viz.draw_points(IMAGE, POINTS, scale=scale)
    assert drawn.shape == (60 * scale, 80 * scale, 3) and drawn.dtype == np.uint8
    x, y = (POINTS.astype(int).T * scale) + scale // 2
    np.testing.assert_array_equal(drawn[y, x], viz.point_colors(6))
    where = changed(larger(IMAGE, scale), drawn)
    py, px = np.nonzero(where)
    gap = np.hypot(px[:, None] - x, py[:, None] - y).min(1)
    assert gap.max() <= max(2, scale) + 2
    # A rim darker than any pixel of the picture surrounds each.
    reach = round(max(2, scale) + 1)
    assert (drawn[y, x + reach] < larger(IMAGE, scale)[y, x + reach]).all()


@pytest.mark.parametrize("scale", [1, 2, 4, 7])
@pytest.mark.parametrize("hidden", [False, True])
def test_points_lie_where_the_law_of_enlargement_puts_them(scale, hidden):
    """The centre of mass of what is drawn is at ((x + 1/2) s - 1/2, (y + 1/2) s - 1/2)."""
    for point in [(30, 20), (30.5, 20), (31.25, 22.8)]:
        drawn = viz.draw_points(WHITE, [point], [not hidden], scale)
        ink = 255.0 - drawn.astype(float).min(-1)
        py, px = np.mgrid[: ink.shape[0], : ink.shape[1]]
        found = np.array([(ink * px).sum(), (ink * py).sum()]) / ink.sum()
        wanted = (np.array(point) + 0.5) * scale - 0.5
        np.testing.assert_allclose(found, wanted, atol=0.06)


def test_colours_follow_the_index_not_the_place():
    order = np.array([3, 0, 5, 1, 4, 2])
    drawn = viz.draw_points(IMAGE, POINTS[order])
    x, y = POINTS[order].astype(int).T
    np.testing.assert_array_equal(drawn[y, x], viz.point_colors(6))
    # A point keeps its colour where others are left out.
    alone = np.where(np.arange(6)[:, None] == 4, POINTS, np.nan)
    single = viz.draw_points(IMAGE, alone)
    both = changed(IMAGE, single)
    np.testing.assert_array_equal(single[both], viz.draw_points(IMAGE, POINTS)[both])
    assert tuple(single[45, 40]) == tuple(viz.point_colors(5)[4])


def test_hidden_points_are_hollow():
    visible = np.array([1, 0, np.nan, 1, 1, 1])[:, None]  # NaN: not known to be seen
    drawn = viz.draw_points(IMAGE, POINTS, visible, scale=9)
    x, y = POINTS.astype(int).T * 9 + 4
    holes = [1, 2]
    base = larger(IMAGE, 9)
    np.testing.assert_array_equal(drawn[y[holes], x[holes]], base[y[holes], x[holes]])
    assert tuple(drawn[y[0], x[0]]) == tuple(viz.point_colors(1)[0])
    # The ring has the colour that the disc would have.
    row = drawn[y[1], x[1] : x[1] + 14]
    assert (row == viz.point_colors(2)[1]).all(-1).any()
    np.testing.assert_array_equal(drawn, viz.draw_points(IMAGE, POINTS, visible[:, 0] > 0, scale=9))


def test_points_that_are_outside_or_unknown_are_left_out():
    bad = [(np.nan, 5), (5, np.inf), (-0.6, 5), (79.6, 5), (5, -0.6), (5, 59.6), (1e30, -1e30)]
    np.testing.assert_array_equal(viz.draw_points(IMAGE, bad, scale=2), larger(IMAGE, 2))
    for corner in [(0, 0), (-0.5, -0.5), (79.5, 59.5)]:
        assert changed(IMAGE, viz.draw_points(IMAGE, [corner])).any()


def test_nothing_to_draw_is_the_picture_itself():
    for none in (np.zeros((0, 2)), []):
        np.testing.assert_array_equal(viz.draw_points(IMAGE, none), IMAGE)
        np.testing.assert_array_equal(viz.draw_points(IMAGE, none, np.zeros((0, 1))), IMAGE)


def test_what_is_handed_in_stays_as_it_is():
    image, points = IMAGE.copy(), POINTS.copy()
    viz.draw_points(image, points)
    viz.draw_matches(image, image, points, points)
    np.testing.assert_array_equal(image, IMAGE)
    np.testing.assert_array_equal(points, POINTS)


def test_float_and_grey_pictures_give_the_same():
    floats = (IMAGE / 255).astype(np.float32)
    np.testing.assert_array_equal(
        viz.draw_points(floats, POINTS, scale=2), viz.draw_points(IMAGE, POINTS, scale=2)
    )
    grey = IMAGE[..., 0]
    wanted = viz.draw_points(np.repeat(grey[..., None], 3, -1), POINTS)
    np.testing.assert_array_equal(viz.draw_points(grey, POINTS), wanted)


def test_dots_grow_with_the_picture():
    point = [(30, 20)]
    share = [
        changed(larger(WHITE, s), viz.draw_points(WHITE, point, scale=s)).mean() for s in (4, 8)
    ]
    assert share[0] == pytest.approx(share[1], rel=0.15)


segments = st.tuples(*[st.floats(-30, 60) for _ in range(4)])


@settings(max_examples=80, deadline=None)
@given(segments, st.floats(0.3, 9), st.booleans())
def test_near_finds_exactly_the_pixels_near_a_segment(ends, reach, dot):
    start, end = np.array(ends[:2]), np.array(ends[:2] if dot else ends[2:])
    rows, columns, distance = near(start, end, reach, (25, 40, 3))
    py, px = np.mgrid[:25, :40].astype(float)
    # Slowly: the foot of each pixel on the segment.
    moved = end - start
    share = (px - start[0]) * moved[0] + (py - start[1]) * moved[1]
    share = np.clip(share / (moved @ moved), 0, 1) if moved @ moved > 1e-200 else 0 * px
    truth = np.hypot(px - start[0] - share * moved[0], py - start[1] - share * moved[1])
    found = np.zeros((25, 40), int)
    np.add.at(found, (rows, columns), 1)
    assert found.max(initial=0) <= 1
    np.testing.assert_allclose(truth[rows, columns], distance, atol=1e-9)
    sure = np.abs(truth - reach) > 1e-9
    np.testing.assert_array_equal((found == 1)[sure], (truth <= reach)[sure])


def test_matches_stand_side_by_side_and_lines_join_them():
    small = IMAGE[:40, :50]
    points1, points2 = np.array([[10.0, 30], [60, 50]]), np.array([[40.0, 10], [20, 35]])
    sheet = viz.draw_matches(IMAGE, small, points1, points2, scale=3)
    assert sheet.shape == (180, 3 * (80 + 4 + 50), 3) and sheet.dtype == np.uint8
    plain = viz.draw_matches(IMAGE, small, [], [], scale=3)
    np.testing.assert_array_equal(plain[:, :240], larger(IMAGE, 3))
    np.testing.assert_array_equal(plain[:120, 252:], larger(small, 3))
    assert (plain[:, 240:252] == PAPER).all() and (plain[120:, 252:] == PAPER).all()

    colors = viz.point_colors(2)
    starts, ends = points1 * 3 + 1, (points2 + np.array([84, 0])) * 3 + 1
    py, px = np.nonzero(changed(plain, sheet))
    gaps = []
    for i in range(2):
        for x, y in (starts[i], ends[i]):
            assert tuple(sheet[int(y), int(x)]) == tuple(colors[i])
        moved = ends[i] - starts[i]
        on = starts[i] + moved * np.linspace(0.15, 0.85, 15)[:, None]
        x, y = np.rint(on).astype(int).T
        # 9/10 line, 1/10 picture, thinned where the line passes between pixels.
        assert (np.abs(sheet[y, x].astype(float) - colors[i]).max(-1) < 130).all()
        assert np.median(np.abs(sheet[y, x].astype(float) - colors[i]).max(-1)) < 60
        t = ((px - starts[i][0]) * moved[0] + (py - starts[i][1]) * moved[1]) / (moved @ moved)
        foot = starts[i] + np.clip(t, 0, 1)[:, None] * moved
        gaps.append(np.hypot(px - foot[:, 0], py - foot[:, 1]))
    assert np.min(gaps, 0).max() < 5  # nothing but the two lines and their ends is drawn


def test_hidden_matches_are_pale_and_hollow_and_broken_ones_left_out():
    ends = np.array([[40.0, 30]])
    plain = viz.draw_matches(WHITE, WHITE, [], [], scale=6).astype(int)
    seen = viz.draw_matches(WHITE, WHITE, ends, ends, [1], scale=6).astype(int)
    hidden = viz.draw_matches(WHITE, WHITE, ends, ends, [[0]], scale=6).astype(int)
    row, column = 30 * 6 + 2, 60 * 6  # on the line, in the first picture
    strong, weak = (np.abs(p - plain)[row, column].sum() for p in (seen, hidden))
    assert strong > 2 * weak > 0
    centre = (30 * 6 + 3, 40 * 6 + 3)
    assert (hidden[centre] == 255).all() and tuple(seen[centre]) == (255, 51, 51)
    for first, second in [((np.nan, 3), (3, 3)), ((3, 3), (np.inf, 3)), ((3, 3), (80, 3))]:
        np.testing.assert_array_equal(
            viz.draw_matches(WHITE, WHITE, [first], [second], scale=6), plain
        )


def test_a_match_has_the_colour_of_its_index_in_both_pictures():
    order = np.array([2, 4, 0, 5, 3, 1])
    sheet = viz.draw_matches(IMAGE, IMAGE, POINTS, POINTS[order])
    x, y = POINTS.astype(int).T
    np.testing.assert_array_equal(sheet[y, x], viz.point_colors(6))
    np.testing.assert_array_equal(sheet[y[order], x[order] + 84], viz.point_colors(6))
    # Narrow tall pictures: lines steeper than 45 degrees are drawn, too.
    tall = np.full((90, 6, 3), 255, np.uint8)
    steep = viz.draw_matches(tall, tall, [(3, 3)], [(3, 85)])
    assert changed(steep, viz.draw_matches(tall, tall, [], [])).any(1)[5:85].all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: viz.draw_points(IMAGE, np.zeros((3, 3))), r"points has shape \(3, 3\)"),
        (lambda: viz.draw_points(IMAGE, np.zeros(2)), r"points has shape \(2,\)"),
        (lambda: viz.draw_points(IMAGE, [["a", "b"]]), "points has dtype"),
        (lambda: viz.draw_points(IMAGE, POINTS, np.ones(5)), r"visible has shape \(5,\)"),
        (lambda: viz.draw_points(IMAGE, POINTS, scale=1.5), "scale is 1.5, expected a whole"),
        (lambda: viz.draw_points(IMAGE, POINTS, scale=0), "scale is 0"),
        (lambda: viz.draw_points(IMAGE, POINTS, scale=10**6), "too large"),
        (lambda: viz.draw_points(IMAGE[None], POINTS), "image has shape"),
        (lambda: viz.draw_points(IMAGE[:0], POINTS), "at least one pixel"),
        (lambda: viz.draw_matches(IMAGE, IMAGE, POINTS, POINTS[:4]), "6 points1 and 4 points2"),
        (lambda: viz.draw_matches(IMAGE, IMAGE[None], POINTS, POINTS), "image2 has shape"),
        (lambda: viz.point_colors(-1), "count is -1"),
        (lambda: viz.point_colors(2.0), "count is 2.0"),
    ],
)
def test_wrong_input_gets_one_clear_line(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
