"""Colours of flows, held to colours worked out by hand and to a second, slow wheel."""

import colorsys
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kcorr import viz


def one(u, v, **options):
    return tuple(viz.flow_to_color(np.array([[[u, v]]], np.float32), **options)[0, 0].tolist())


def slow_wheel():
    """The 55 hues, each transition written out."""
    hues = [(255, 255 * i // 15, 0) for i in range(15)]
    hues += [(255 - 255 * i // 6, 255, 0) for i in range(6)]
    hues += [(0, 255, 255 * i // 4) for i in range(4)]
    hues += [(0, 255 - 255 * i // 11, 255) for i in range(11)]
    hues += [(255 * i // 13, 0, 255) for i in range(13)]
    hues += [(255, 0, 255 - 255 * i // 6) for i in range(6)]
    return hues


def slow_color(u, v, scale):
    hues = slow_wheel()
    assert len(hues) == 55
    at = (math.atan2(-v, -u) / math.pi + 1) / 2 * 54
    low = math.floor(at)
    radius = math.hypot(u, v) / scale
    color = []
    for a, b in zip(hues[low], hues[(low + 1) % 55], strict=True):
        hue = ((1 - (at - low)) * a + (at - low) * b) / 255
        color.append(255 * (1 - radius * (1 - hue) if radius <= 1 else 0.75 * hue))
    return color


@pytest.mark.parametrize(
    ("u", "v", "color"),
    [
        (1, 0, (255, 0, 0)),  # right: position 0 of the wheel
        (1, -0.0, (255, 0, 0)),  # a negative zero points right, too
        (0, 1, (255, 229, 0)),  # down: 13.5, between (255, 221, 0) and (255, 238, 0)
        (-1, 0, (0, 209, 255)),  # left: 27, two of eleven steps from cyan to blue
        (0, -1, (88, 0, 255)),  # up: 40.5, between (78, 0, 255) and (98, 0, 255)
        (0.5, 0, (255, 127, 127)),  # half the length, half the saturation
        (2, 0, (191, 0, 0)),  # longer than the scale: three quarters as bright
        (0, 0, (255, 255, 255)),
    ],
)
def test_known_directions_have_the_colours_of_the_wheel(u, v, color):
    assert one(u, v, max_flow=1) == color


def test_random_vectors_agree_with_a_slow_reading_of_the_wheel():
    flow = np.random.default_rng(0).normal(0, 5, (40, 50, 2))
    color = viz.flow_to_color(flow, max_flow=9)
    truth = [[slow_color(u, v, 9) for u, v in row] for row in flow.tolist()]
    np.testing.assert_array_equal(color, np.floor(truth))


def test_clipped_vectors_have_full_colour_and_the_others_their_own():
    flow = np.random.default_rng(2).normal(0, 6, (30, 40, 2))
    length = np.hypot(flow[..., 0], flow[..., 1])
    long = length > 9
    assert 0.1 < long.mean() < 0.9
    clipped = viz.flow_to_color(flow, 9, clip=True)
    np.testing.assert_array_equal(clipped[~long], viz.flow_to_color(flow, 9)[~long])
    full = [
        [slow_color(u, v, np.hypot(u, v) * (1 + 1e-12)) for u, v in row] for row in flow.tolist()
    ]
    np.testing.assert_array_equal(clipped[long], np.floor(np.array(full) + 1e-9)[long])


def test_hue_turns_with_the_direction():
    angles = np.arange(54) * (2 * np.pi / 54)  # clockwise on the screen: y points down
    flow = np.stack([np.cos(angles), np.sin(angles)], -1)[None]
    for size in (1, 0.3, 7.77):  # exact hues, whatever the rounding of angle and length
        color = viz.flow_to_color(size * flow, max_flow=size)
        np.testing.assert_array_equal(color[0], slow_wheel()[:54])


def test_without_a_scale_the_longest_known_vector_has_full_colour():
    flow = np.zeros((4, 5, 2), np.float32)
    flow[1, 2] = (30, 0)
    flow[2, 2] = (15, 0)
    flow[3, 3] = (4e9, 0)  # unknown: must not set the scale
    color = viz.flow_to_color(flow)
    assert color[1, 2].tolist() == [255, 0, 0]
    assert color[2, 2].tolist() == [255, 127, 127]
    assert color[3, 3].tolist() == [0, 0, 0]
    assert (viz.flow_to_color(3 * flow[:3])[1, 2] == color[1, 2]).all()


@pytest.mark.parametrize("draw", [viz.flow_to_color, viz.flow_to_color_authors])
def test_zero_is_white_and_unknown_is_black(draw):
    flow = np.zeros((3, 6, 2), np.float32)
    assert (draw(flow) == 255).all()
    flow[0, :5, 0] = (np.nan, np.inf, -np.inf, 1.1e9, -1.1e9)
    flow[1, :, 1] = np.nan
    valid = np.ones((3, 6, 1))
    valid[2, 4:] = 0
    color = draw(flow, valid=valid)
    black = (color == 0).all(-1)
    assert black[0].tolist() == [True] * 5 + [False]
    assert black[1].all()
    assert black[2].tolist() == [False] * 4 + [True] * 2
    assert (color[~black] == 255).all()


def test_authors_code_is_hsv_with_full_saturation_from_a_32nd_of_256():
    flow = np.random.default_rng(1).normal(0, 20, (20, 30, 2))
    color = viz.flow_to_color_authors(flow)
    for (u, v), drawn in zip(flow.reshape(-1, 2), color.reshape(-1, 3), strict=True):
        hue = math.atan2(v, u) / (2 * math.pi) % 1
        truth = colorsys.hsv_to_rgb(hue, min(1, math.hypot(u, v) / 32), 1)
        assert np.abs(np.array(truth) * 255 - drawn).max() <= 0.5 + 1e-6
    right, down = viz.flow_to_color_authors(np.array([[[32, 0], [0, 99]]]))[0].tolist()
    assert right == [255, 0, 0]
    assert down == [128, 255, 0]  # a quarter turn: hue 90 degrees


def test_scale_ignores_a_few_wild_vectors_and_never_stretches_noise():
    flow = np.full((40, 50, 2), (3, 4), np.float32)
    flow[0, :3] = (900, 0)
    flow[1, 0] = np.nan
    assert viz.flow_scale(flow) == pytest.approx(5)
    assert viz.flow_scale(flow, percentile=100) == pytest.approx(900)
    assert viz.flow_scale(flow * 0.01) == 1
    assert viz.flow_scale(flow, 2 * flow) == pytest.approx(10)
    assert viz.flow_scale(np.full((2, 2, 2), np.nan)) == 1
    valid = np.zeros((40, 50))
    valid[0, :3] = 1
    assert viz.flow_scale(flow, valid=valid) == pytest.approx(900)


def test_legend_shows_the_colour_of_each_offset():
    disc = viz.color_wheel_legend(101)
    assert disc.shape == (101, 101, 3)
    assert (disc[50, 50] == 255).all()
    assert disc[50, 98, 0] == 255 and disc[50, 98, 2] < 20  # right: red
    assert disc[50, 2, 0] < 20 and disc[50, 2, 2] == 255  # left: cyan-blue
    assert disc[98, 50, 2] < 20 and disc[98, 50, 1] > 210  # below: yellow
    assert not disc[0, 0].any() and not disc[100, 100].any()
    named = viz.color_wheel_legend(101, 12.34)
    assert named.shape == disc.shape
    assert (named[-8:, :] > 120).any(), "the label stands below the disc"
    for size in (1, 2, 9):
        assert viz.color_wheel_legend(size, 3).shape == (size, size, 3)


@pytest.mark.parametrize("draw", [viz.flow_to_color, viz.flow_to_color_authors])
def test_bad_input_is_named_in_one_line(draw):
    good = np.zeros((4, 5, 2))
    for flow, message in [
        (np.zeros((4, 5)), r"flow has shape \(4, 5\), expected \[h, w, 2\]"),
        (np.zeros((1, 4, 5, 2)), "expected .h, w, 2."),
        (np.zeros((4, 5, 3)), "expected .h, w, 2."),
        (np.zeros((0, 5, 2)), "at least one pixel"),
        (np.zeros((4, 5, 2), complex), "real numbers"),
        (np.full((4, 5, 2), "a"), "real numbers"),
    ]:
        with pytest.raises(ValueError, match=message) as caught:
            draw(flow)
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=r"valid is 4x4 .h x w., expected 4x5"):
        draw(good, valid=np.ones((4, 4)))
    with pytest.raises(ValueError, match="valid has shape"):
        draw(good, valid=np.ones((4, 5, 2)))
    for scale in (0, -1, np.nan, np.inf, "wide"):
        with pytest.raises(ValueError, match=r"max_flow is .* above 0"):
            draw(good, max_flow=scale)


@settings(max_examples=60, deadline=None)
@given(
    arrays(
        st.sampled_from([np.float32, np.float64, np.float16]),
        st.tuples(st.integers(1, 7), st.integers(1, 7), st.just(2)),
        elements=st.floats(width=16, allow_nan=True, allow_infinity=True),
    ),
    st.floats(1e-3, 1e6),
)
def test_any_values_give_a_picture_and_black_exactly_where_unknown(flow, scale):
    known = np.isfinite(flow).all(-1)
    for color in (
        viz.flow_to_color(flow),
        viz.flow_to_color(flow, scale),
        viz.flow_to_color_authors(flow, scale),
    ):
        assert color.dtype == np.uint8 and color.shape == (*flow.shape[:2], 3)
        np.testing.assert_array_equal((color == 0).all(-1), ~known)


def test_the_flow_is_left_as_it_was():
    flow = np.full((3, 3, 2), np.nan, np.float64)
    flow[1, 1] = (5, -0.0)
    before = flow.copy()
    viz.flow_to_color(flow)
    viz.overlay(np.zeros((3, 3, 3), np.uint8), flow)
    np.testing.assert_array_equal(flow, before)
