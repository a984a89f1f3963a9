"""Colours of labels, and symmetry drawn back into the picture."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kcorr import viz

RNG = np.random.default_rng(12)
IMAGE = RNG.integers(60, 160, (24, 36, 3), np.uint8)
GREY = 128


def pixel(*label):
    return tuple(viz.labels_to_color(np.array(label, float).reshape(1, 1, -1))[0, 0].tolist())


def spread(*shape):
    return RNG.normal(size=shape)


def test_directions_in_space_have_known_colours():
    assert pixel(1, 0, 0) == (255, 128, 128)
    assert pixel(0, 0, -1) == (128, 128, 0)
    assert pixel(0.28, -0.96, 0) == (163, 5, 128)  # 1.28 / 2, 0.04 / 2 and 1 / 2 of 255, rounded


@pytest.mark.parametrize("count", [2, 3, 7])
def test_the_length_of_a_label_does_not_count(count):
    labels = spread(5, 6, count)
    basis = viz.label_basis(spread(50, count)) if count > 3 else None
    color = viz.labels_to_color(labels, basis)
    assert color.shape == (5, 6, 3) and color.dtype == np.uint8
    for factor in (3.0, 1e-200, 1e200):
        np.testing.assert_array_equal(viz.labels_to_color(labels * factor, basis), color)


def test_planar_labels_have_the_hue_of_their_angle_as_flow_has():
    labels = spread(6, 7, 2)
    units = labels / np.linalg.norm(labels, axis=-1, keepdims=True)
    np.testing.assert_array_equal(
        viz.labels_to_color(labels), viz.flow_to_color(units, max_flow=1.0, clip=True)
    )
    assert pixel(1, 0) == (255, 0, 0)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_black_means_unknown_and_nothing_else(count):
    labels = spread(4, 5, count)
    labels[0, 0], labels[0, 1, -1], labels[0, 2, 0] = 0, np.nan, np.inf
    mask = np.ones((4, 5, 1))
    mask[3, 3:] = 0
    black = np.zeros((4, 5), bool)
    black[0, :3] = black[3, 3:] = True
    color = viz.labels_to_color(labels, mask=mask)
    np.testing.assert_array_equal(~color.any(-1), black)
    np.testing.assert_array_equal(viz.labels_to_color(labels, mask=mask[..., 0] > 0), color)
    assert not viz.labels_to_color(labels, mask=np.zeros((4, 5))).any()


def test_colours_beyond_the_range_of_a_basis_are_clipped_but_not_to_black():
    basis = (np.zeros(4), np.eye(4)[:, :3] * 9)
    assert (viz.labels_to_color(-np.ones((1, 1, 4)), basis) == 5).all()
    assert (viz.labels_to_color(np.ones((1, 1, 4)), basis) == 255).all()


def test_a_batch_is_coloured_as_its_pictures_are_one_by_one():
    labels, mask = spread(2, 3, 4, 5, 6), RNG.integers(0, 2, (2, 3, 4, 5))
    basis = viz.label_basis(labels)
    color = viz.labels_to_color(labels, basis, mask)
    assert color.shape == (2, 3, 4, 5, 3)
    one = viz.labels_to_color(labels[1, 2], basis, mask[1, 2])
    np.testing.assert_array_equal(color[1, 2], one)
    # Without a basis it is that of the labels that count.
    own = viz.labels_to_color(labels, mask=mask)
    wanted = viz.labels_to_color(labels, viz.label_basis(labels[mask > 0]), mask)
    np.testing.assert_array_equal(own, wanted)


def test_basis_holds_the_principal_components_of_directions():
    labels = spread(40, 9, 6) * [4, 3, 2, 1, 1, 1] + [1, 0, 0, 0, 0, 2]
    units = labels.reshape(-1, 6)
    units = units / np.linalg.norm(units, axis=-1, keepdims=True)
    mean, directions = viz.label_basis(labels)
    np.testing.assert_allclose(mean, units.mean(0), atol=1e-12)
    _, values, rows = np.linalg.svd(units - mean, full_matrices=False)
    lengths = np.linalg.norm(directions, axis=0)
    np.testing.assert_allclose(np.abs(rows[:3] @ (directions / lengths)), np.eye(3), atol=1e-9)
    # 2.5 standard deviations reach 1, so nearly all colours are inside the range.
    np.testing.assert_allclose(lengths * 2.5 * values[:3] / np.sqrt(len(units)), 1, rtol=1e-9)
    np.testing.assert_allclose(((units - mean) @ directions).std(0), 0.4, rtol=1e-9)
    assert (directions[np.abs(directions).argmax(0), range(3)] > 0).all()
    again = viz.label_basis(labels.reshape(-1, 6)[RNG.permutation(360)])
    np.testing.assert_allclose(again[1], directions, atol=1e-9)


def test_a_weak_direction_stays_pale():
    labels = np.ones((500, 4)) + spread(500, 4) * [1, 1e-3, 0, 0]
    mean, directions = viz.label_basis(labels)
    units = labels / np.linalg.norm(labels, axis=-1, keepdims=True)
    reach = ((units - mean) @ directions).std(0)
    assert reach[0] == pytest.approx(0.4) and reach[2] < 0.1


def test_equal_labels_are_grey_and_one_basis_makes_pictures_comparable():
    flat = np.broadcast_to(np.array([1.0, 2, 3, 4]), (3, 3, 4))
    np.testing.assert_array_equal(viz.labels_to_color(flat), np.full((3, 3, 3), GREY))
    first, second = spread(5, 5, 8), spread(5, 5, 8) + 2
    second[2, 3] = 7 * first[1, 1]
    basis = viz.label_basis(first)
    np.testing.assert_array_equal(
        viz.labels_to_color(first, basis)[1, 1], viz.labels_to_color(second, basis)[2, 3]
    )
    assert (viz.labels_to_color(first)[1, 1] != viz.labels_to_color(second)[2, 3]).any()


def test_labels_that_are_unknown_do_not_move_the_basis():
    labels = spread(30, 5)
    dirty = np.concatenate([labels, np.full((2, 5), np.nan), np.zeros((3, 5))])
    for clean, other in zip(viz.label_basis(labels), viz.label_basis(dirty), strict=True):
        np.testing.assert_allclose(other, clean, atol=1e-12)


def test_a_basis_is_there_for_any_labels_and_changes_no_fixed_colour():
    """So that one line draws labels of any size, those of a network that diverged, too."""
    for count in (2, 3):
        labels = spread(4, 5, count)
        mean, directions = viz.label_basis(labels)
        assert mean.shape == (count,) and directions.shape == (count, 3)
        assert (np.linalg.norm(directions, axis=0) > 0).tolist() == [True, True, count == 3]
        wanted = viz.labels_to_color(labels)
        np.testing.assert_array_equal(viz.labels_to_color(labels, (mean, directions)), wanted)
    for nothing in (np.full((4, 5, 7), np.nan), np.zeros((4, 5, 7))):
        mean, directions = viz.label_basis(nothing)
        assert mean.shape == (7,) and directions.shape == (7, 3) and not directions.any()
        assert not viz.labels_to_color(nothing, (mean, directions)).any()
    assert viz.label_basis(np.zeros((0, 5)))[1].shape == (5, 3)


def test_the_line_of_a_linear_field_is_where_it_is_zero():
    y, x = np.mgrid[:7, :9].astype(float)
    segments = viz.symmetry_line((x - 2.3 - 0.4 * y)[..., None])
    assert len(segments) > 6 and segments.dtype == np.float64
    np.testing.assert_allclose(segments[..., 0] - 2.3 - 0.4 * segments[..., 1], 0, atol=1e-12)
    assert segments[..., 1].min() == 0 and segments[..., 1].max() == 6
    # Other channels, and a positive factor on all, change nothing.
    more = np.stack([1e200 * (x - 2.3 - 0.4 * y), spread(7, 9)], -1)
    np.testing.assert_allclose(viz.symmetry_line(more), segments, atol=1e-12)


def test_the_line_of_a_cone_is_a_circle_of_the_right_length():
    y, x = np.mgrid[:41, :41] - 20.0
    segments = viz.symmetry_line((np.hypot(x, y) - 12.4)[..., None])
    np.testing.assert_allclose(np.hypot(*(segments - 20).reshape(-1, 2).T), 12.4, atol=0.02)
    length = np.linalg.norm(segments[:, 1] - segments[:, 0], axis=-1).sum()
    assert length == pytest.approx(2 * np.pi * 12.4, rel=0.005)


@settings(max_examples=60, deadline=None)
@given(arrays(np.float64, (5, 6), elements=st.sampled_from([-3, -1, -0.25, 0, 0.5, 2, np.nan])))
def test_lines_go_through_every_change_of_sign_and_never_end_inside(values):
    """Checked edge by edge: a change between known squares is met by the two squares beside it."""
    segments = viz.symmetry_line(values[..., None])
    found = sorted(tuple(p) for p in segments.reshape(-1, 2).round(9).tolist())
    known = np.isfinite(values)
    wanted = []
    for i in range(4):
        for j in range(5):
            square = [(i, j), (i, j + 1), (i + 1, j + 1), (i + 1, j)]
            if not all(known[c] for c in square):
                continue
            for k in range(4):
                a, b = square[k], square[(k + 1) % 4]
                if (values[a] >= 0) != (values[b] >= 0):
                    t = values[a] / (values[a] - values[b])
                    wanted.append((a[1] + t * (b[1] - a[1]), a[0] + t * (b[0] - a[0])))
    np.testing.assert_allclose(
        np.array(found).reshape(-1, 2),
        np.array(sorted(tuple(np.round(p, 9).tolist()) for p in wanted)).reshape(-1, 2),
        atol=1e-8,
    )
    assert (np.abs(segments[:, 0] - segments[:, 1]) <= 1 + 1e-12).all()


@pytest.mark.parametrize(("low", "cut"), [(-1.0, [(1, 0), (0, 1)]), (-9.0, [(0, 0), (1, 1)])])
def test_a_saddle_is_cut_on_the_side_of_its_middle(low, cut):
    """3 at (0, 0) and (1, 1): joined by a middle above 0; below, they are what is cut off."""
    segments = viz.symmetry_line(np.array([[3.0, low], [low, 3.0]])[..., None])
    assert len(segments) == 2
    gaps = np.linalg.norm(segments.mean(1)[:, None] - np.array(cut), axis=-1)
    assert (gaps.min(0) < 0.2).all() and sorted(gaps.argmin(0)) == [0, 1]


def test_the_symmetry_plane_is_drawn_between_the_cells_where_the_sign_changes():
    """Labels of stride 2: cells 7 and 8 lie at pixels 14.5 and 16.5; zero is at 16."""
    labels = np.zeros((12, 18, 3))
    labels[..., 0] = np.arange(18) - 7.75
    for scale in (1, 3):
        drawn = viz.draw_symmetry(IMAGE, labels, scale=scale)
        plain = IMAGE.repeat(scale, 0).repeat(scale, 1)
        assert drawn.shape == plain.shape and drawn.dtype == np.uint8
        centre = 16 * scale + scale // 2
        columns = np.nonzero((drawn != plain).any((0, 2)))[0]
        assert columns.mean() == centre and np.ptp(columns) <= 4 + scale
        # From the first cell's centre to the last one's, and a little for its round ends.
        rows = np.nonzero((drawn != plain).any((1, 2)))[0]
        assert rows[0] <= scale and rows[-1] >= 23 * scale - 1
        assert (drawn[2 * scale : -2 * scale, centre] == (255, 220, 60)).all()


def test_no_line_where_nothing_changes_its_sign_or_counts():
    labels = spread(12, 18, 3)
    for quiet in (np.abs(labels), -np.abs(labels) - 1, labels * np.nan, labels * 0):
        np.testing.assert_array_equal(viz.draw_symmetry(IMAGE, quiet), IMAGE)
    mask = np.zeros((12, 18, 1))
    np.testing.assert_array_equal(viz.draw_symmetry(IMAGE, labels, mask), IMAGE)
    mask[:, 9:] = 1
    where = (viz.draw_symmetry(IMAGE, labels, mask) != IMAGE).any((0, 2))
    assert where[20:].any() and not where[:16].any()
    # A single row or column has no squares.
    assert viz.symmetry_line(labels[:1]).shape == (0, 2, 2)


def test_the_axis_is_marked_at_the_label_nearest_to_it():
    labels = np.broadcast_to([1.0, 0, 0.2], (12, 18, 3)).copy()
    labels[4, 11] = (0.02, 0, 0.3)  # short, but straight up
    labels[9, 3] = (0.5, 0, -5.0)  # straight down but for 6 degrees
    drawn = viz.draw_axis(IMAGE, labels, scale=3)
    plain = IMAGE.repeat(3, 0).repeat(3, 1)
    row, column = 4 * 6, 11 * 6
    assert (drawn[row + 2 : row + 4, column + 2 : column + 4] == 255).all()
    tinted = drawn[9 * 6 : 10 * 6, 3 * 6 : 4 * 6].astype(int)
    expected = 0.4 * plain[9 * 6 : 10 * 6, 3 * 6 : 4 * 6] + 0.6 * np.array([40, 160, 255])
    np.testing.assert_allclose(tinted, expected, atol=0.51)
    py, px = np.nonzero((drawn != plain).any(-1))
    far = np.hypot(py - row - 2.5, px - column - 2.5) > 10
    assert set(py[far]) <= set(range(54, 60)) and set(px[far]) <= set(range(18, 24))

    mask = np.ones((12, 18))
    mask[4, 11] = 0
    other = viz.draw_axis(IMAGE, labels, mask, scale=3, within=1)
    assert (other[9 * 6 + 2 : 9 * 6 + 4, 3 * 6 + 2 : 3 * 6 + 4] == 255).all()
    np.testing.assert_array_equal(other[row : row + 6, column : column + 6],
                                  plain[row : row + 6, column : column + 6])  # fmt: skip


def test_no_axis_where_no_label_counts():
    labels = spread(12, 18, 3)
    np.testing.assert_array_equal(viz.draw_axis(IMAGE, labels, np.zeros((12, 18))), IMAGE)
    for nothing in (labels * 0, labels * np.nan):
        np.testing.assert_array_equal(viz.draw_axis(IMAGE, nothing), IMAGE)


def test_odd_sizes_have_labels_for_whole_cells_only():
    odd, labels = IMAGE[:23, :35], spread(11, 17, 3)
    whole = viz.unroll_sphere(odd[:22, :34], labels, (6, 12))
    np.testing.assert_array_equal(viz.unroll_sphere(odd, labels, (6, 12)), whole)
    line = viz.draw_symmetry(odd, labels)
    np.testing.assert_array_equal(
        line[:20, :32], viz.draw_symmetry(odd[:22, :34], labels)[:20, :32]
    )
    assert viz.draw_axis(odd, labels, within=90).shape == odd.shape


def test_float_pictures_give_the_same():
    labels, floats = spread(12, 18, 3), (IMAGE / 255).astype(np.float32)
    for draw in (viz.draw_symmetry, viz.draw_axis, viz.unroll_sphere):
        np.testing.assert_array_equal(draw(floats, labels), draw(IMAGE, labels))


LABELS = np.ones((12, 18, 3))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: viz.label_basis(np.ones((5, 1))), r"labels have shape \(5, 1\)"),
        (lambda: viz.label_basis(1.0), r"labels have shape \(\)"),
        (lambda: viz.labels_to_color(np.ones((4, 4, 1))), r"labels have shape \(4, 4, 1\)"),
        (lambda: viz.labels_to_color(np.ones((4, 3))), r"labels have shape \(4, 3\)"),
        (lambda: viz.labels_to_color(np.ones((0, 4, 3))), r"labels have shape \(0, 4, 3\)"),
        (lambda: viz.labels_to_color(LABELS * 1j), "labels has dtype complex"),
        (lambda: viz.labels_to_color(LABELS, mask=np.ones((12, 17))), r"mask has shape \(12, 17\)"),
        (lambda: viz.labels_to_color(LABELS, basis=3), "basis is not a pair"),
        (lambda: viz.labels_to_color(LABELS, (np.ones(4), np.ones((4, 3)))), "basis has shapes"),
        (lambda: viz.unroll_sphere([], []), "0 images and 0 labels"),
        (
            lambda: viz.unroll_sphere(IMAGE[None], LABELS[None].repeat(2, 0)),
            "1 images and 2 labels",
        ),
        (lambda: viz.unroll_sphere(IMAGE, LABELS[..., :2]), r"labels have shape \(12, 18, 2\)"),
        (lambda: viz.unroll_sphere(IMAGE, spread(12, 18, 4)), r"labels have shape \(12, 18, 4\)"),
        (lambda: viz.unroll_sphere(IMAGE, spread(9, 18, 3)), "9x18 .* picture's 24x36"),
        (lambda: viz.unroll_sphere(IMAGE, LABELS, size=(0, 4)), r"size is \(0, 4\)"),
        (lambda: viz.unroll_sphere(IMAGE, LABELS, size=7), "size is 7"),
        (lambda: viz.unroll_sphere(IMAGE, LABELS, smooth=-1), "smooth is -1, expected a finite"),
        (lambda: viz.upright_frame(LABELS[..., :2]), r"labels have shape \(12, 18, 2\)"),
        (lambda: viz.unroll_sphere([IMAGE], [LABELS], mask=[]), "0 masks and 1 labels"),
        (lambda: viz.unroll_sphere(IMAGE * 1.0, LABELS), "image 0 is float"),
        (lambda: viz.symmetry_line(LABELS[0]), r"labels have shape \(18, 3\)"),
        (lambda: viz.draw_symmetry(IMAGE, LABELS, scale=-1), "scale is -1"),
        (lambda: viz.draw_symmetry(IMAGE, spread(48, 72, 3)), "48x72 .* picture's 24x36"),
        (lambda: viz.draw_symmetry(IMAGE, LABELS, np.ones((24, 36))), r"mask has shape \(24, 36\)"),
        (lambda: viz.draw_axis(IMAGE, spread(12, 18, 4)), r"labels have shape \(12, 18, 4\)"),
        (lambda: viz.draw_axis(IMAGE, LABELS, within=0), "within is 0"),
    ],
)
def test_wrong_input_gets_one_clear_line(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
