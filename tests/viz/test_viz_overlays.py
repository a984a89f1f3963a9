"""Arrows, overlays, differences: they say what moved, and touch nothing else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kcorr import viz
from kcorr.viz.arrows import arrow_distance

RNG = np.random.default_rng(5)
IMAGE = RNG.integers(60, 200, (90, 120, 3), np.uint8)


def constant(u, v, shape=(90, 120)):
    return np.broadcast_to(np.array([u, v], np.float32), (*shape, 2)).copy()


def changed(before, after):
    return (before != after).any(-1)


def test_one_arrow_changes_pixels_near_its_line_only():
    valid = np.zeros((90, 120))
    everywhere = viz.draw_arrows(IMAGE, constant(0, 0), step=30, key=False)
    ys, xs = np.nonzero(changed(IMAGE, everywhere))
    # A grid of dots: pick the one nearest to the middle as the only valid pixel.
    near = np.argmin((ys - 45) ** 2 + (xs - 60) ** 2)
    box = (abs(ys - ys[near]) < 8) & (abs(xs - xs[near]) < 8)
    y, x = round(ys[box].mean()), round(xs[box].mean())
    valid[y, x] = 1
    drawn = viz.draw_arrows(IMAGE, constant(20, 10), step=30, scale=1, valid=valid, key=False)
    py, px = np.mgrid[:90, :120]
    t = np.clip(((px - x) * 20 + (py - y) * 10) / 500, 0, 1)
    distance = np.hypot(px - x - 20 * t, py - y - 10 * t)
    where = changed(IMAGE, drawn)
    assert where.any() and distance[where].max() < 10
    assert where[distance < 1].all()
    # It ends at the match, and its wide end is there.
    assert where[y + 9, x + 18] and not where[y + 14, x + 28]
    tip = np.hypot(px - x - 15, py - y - 7.5) < 8
    tail = np.hypot(px - x, py - y) < 8
    assert (where & tip).sum() > 1.2 * (where & tail).sum()


def test_arrows_have_the_colour_of_their_direction():
    for flow, channel in [((30, 0), 0), ((-30, 0), 2)]:
        dark = np.zeros((200, 200), np.uint8)
        drawn = viz.draw_arrows(dark, constant(*flow, (200, 200)), key=False)
        inks = drawn[drawn.any(-1)].reshape(-1, 3).mean(0)
        assert inks.argmax() == channel
    white = viz.draw_arrows(dark, constant(30, 0, (200, 200)), color=(255, 255, 255), key=False)
    assert (white[..., 0] == white[..., 2]).all() and white.max() == 255


def test_unknown_pixels_get_no_arrow_and_still_ones_a_dot():
    unknown = constant(np.nan, 0)
    np.testing.assert_array_equal(viz.draw_arrows(IMAGE, unknown), IMAGE)
    dots = changed(IMAGE, viz.draw_arrows(IMAGE, constant(0, 0)))
    assert 0 < dots.mean() < 0.1


@pytest.mark.parametrize("speed", [0.05, 1, 30, 500])
def test_arrows_are_scaled_to_the_grid(speed):
    """Whatever the speed, arrows neither vanish nor cover the picture."""
    flow = constant(0.6 * speed, 0.8 * speed, (240, 320))
    plain = np.full((240, 320, 3), 128, np.uint8)
    share = changed(plain, viz.draw_arrows(plain, flow, key=False)).mean()
    assert 0.02 < share < 0.45


def test_a_small_fast_object_sets_the_scale_not_the_still_background():
    flow = RNG.normal(0, 0.02, (240, 320, 2))
    flow[100:140, 100:150] = (8, 0)
    plain = np.full((240, 320, 3), 128, np.uint8)
    where = changed(plain, viz.draw_arrows(plain, flow, key=False))
    assert where[100:140, 100:160].mean() > 3 * where[:80].mean()
    assert not where[105:135, 200:].all(-1).any() and where[:, 200:].mean() < 0.1


def test_key_is_at_the_lower_left_and_only_where_it_fits():
    flow = constant(12, 0, (240, 320))
    plain = np.full((240, 320, 3), 128, np.uint8)
    where = changed(viz.draw_arrows(plain, flow, key=False), viz.draw_arrows(plain, flow, key=True))
    ys, xs = np.nonzero(where)
    assert ys.min() > 200 and xs.max() < 200 and xs.min() == 0 and ys.max() == 239
    small, tiny = np.zeros((20, 20, 3), np.uint8), constant(1, 0, (20, 20))
    np.testing.assert_array_equal(
        viz.draw_arrows(small, tiny), viz.draw_arrows(small, tiny, key=False)
    )


def test_the_key_leaves_most_of_a_small_picture_free():
    flow, plain = constant(1.3, 0, (144, 176)), np.full((144, 176, 3), 128, np.uint8)
    where = changed(viz.draw_arrows(plain, flow, key=False), viz.draw_arrows(plain, flow, key=True))
    assert 20 < np.nonzero(where)[1].max() < 0.4 * 176


def test_arrow_distance_is_negative_along_the_axis_and_turns_with_it():
    py, px = np.mgrid[-20:21, -20:61].astype(float)
    level = arrow_distance(px, py, np.array([40.0, 0.0]), 4.0, 12.0)
    assert (level[20, 20:60] < 0).all()  # from tail to tip
    assert (level[20, :17] > 0).all() and (level[20, 62:] > 0).all()
    upright = arrow_distance(-py, px, np.array([0.0, 40.0]), 4.0, 12.0)
    np.testing.assert_allclose(upright, level, atol=1e-9)


def test_overlay_is_grey_where_nothing_moves_and_coloured_where_something_does():
    flow = constant(0, 0)
    flow[30:60, 40:80] = (10, 0)
    picture = viz.overlay(IMAGE, flow, arrows=False, legend=False).astype(int)
    still = np.ones((90, 120), bool)
    still[30:60, 40:80] = False
    spread = picture.max(-1) - picture.min(-1)
    assert spread[still].max() == 0
    assert spread[~still].min() > 80
    assert (picture[~still].argmax(-1) == 0).all()  # right is red
    # Light and shade of the picture stay: brighter pixels are brighter in the overlay.
    grey = IMAGE[still] @ [0.299, 0.587, 0.114]
    assert np.corrcoef(grey, picture[still][:, 0])[0, 1] > 0.999


def test_overlay_is_dark_where_the_flow_is_unknown():
    flow = constant(3, 3)
    flow[:45] = np.inf
    picture = viz.overlay(IMAGE, flow, arrows=False, legend=False)
    assert picture[:45].max() <= 80
    assert picture[45:].max(-1).min() > 80


def test_overlay_draws_its_key_in_the_lower_right_corner():
    big, flow = np.full((240, 320, 3), 90, np.uint8), constant(5, 2, (240, 320))
    plain = viz.overlay(big, flow, arrows=False, legend=False)
    where = changed(plain, viz.overlay(big, flow, arrows=False))
    ys, xs = np.nonzero(where)
    assert ys.min() >= 240 - 48 and xs.min() >= 320 - 48 and where.sum() > 1000
    assert changed(plain, viz.overlay(big, flow, legend=False)).any()


def test_occlusion_is_orange_on_grey():
    occlusion = np.zeros((90, 120, 1), np.float32)
    occlusion[20:50, 30:70] = 1
    occlusion[0, 0] = np.nan
    picture = viz.occlusion_overlay(IMAGE, occlusion).astype(int)
    hidden = occlusion[..., 0] == 1
    inside = np.zeros_like(hidden)
    inside[21:49, 31:69] = True
    red, green, blue = np.moveaxis(picture, -1, 0)
    assert (red[inside] > green[inside] + 40).all() and (green[inside] > blue[inside]).all()
    assert (red == blue)[~hidden].all()
    assert (picture[hidden & ~inside] == (255, 220, 60)).all()
    soft = viz.occlusion_overlay(IMAGE, occlusion * 0.4).astype(int)
    assert (soft[30, 40, 0] - soft[30, 40, 2]) < (picture[30, 40, 0] - picture[30, 40, 2])
    assert changed(IMAGE[..., 0][..., None], viz.occlusion_overlay(IMAGE, 0 * hidden)).any()


def test_difference_is_dark_where_equal_and_bright_where_not():
    warped = IMAGE.copy()
    warped[10, 10, 1] += 50
    warped[20, 20] -= 20
    color = viz.difference(IMAGE, warped, limit=50)
    assert (color[0, 0] == viz.heat(np.zeros((1, 1)), 0, 1)[0, 0]).all()
    assert (color[10, 10] == viz.heat(np.ones((1, 1)), 0, 1)[0, 0]).all()
    assert (color[20, 20] == viz.heat(np.full((1, 1), 0.4), 0, 1)[0, 0]).all()
    assert (color[0, 0] == color).all(-1).sum() == color.shape[0] * color.shape[1] - 2
    np.testing.assert_array_equal(viz.difference(IMAGE / 255.0, warped, limit=50), color)
    assert not viz.difference(IMAGE, warped, valid=np.zeros((90, 120))).any()
    with pytest.raises(ValueError, match="warped is 89x120"):
        viz.difference(IMAGE, warped[1:])


def test_images_come_in_several_forms_and_wrong_ones_are_named():
    grey = IMAGE[..., 0]
    for image in (grey, grey[..., None], grey / 255.0, (grey / 255.0).astype(np.float16)):
        picture = viz.as_uint8(image)
        assert picture.shape == (90, 120, 3) and picture.dtype == np.uint8
        np.testing.assert_array_equal(picture, np.repeat(grey[..., None], 3, -1))
    assert viz.as_uint8(np.array([[True, False]]))[0, :, 0].tolist() == [255, 0]
    assert viz.as_uint8(np.array([[np.nan, -0.2, 1.2]]))[0, :, 0].tolist() == [0, 0, 255]
    same = viz.as_uint8(IMAGE)
    same[...] = 0
    assert IMAGE.any(), "the caller's array is not shared"
    for image, message in [
        (np.zeros((4, 5, 4), np.uint8), r"expected \[h, w, 3\]"),
        (np.zeros((1, 4, 5, 3), np.uint8), r"expected \[h, w, 3\]"),
        (np.zeros((0, 5, 3), np.uint8), "at least one pixel"),
        (np.zeros((4, 5, 3), np.uint16), "dtype uint16"),
        (np.full((4, 5, 3), 255.0), "up to 255, expected .0, 1."),
    ]:
        with pytest.raises(ValueError, match=message):
            viz.as_uint8(image)


@pytest.mark.parametrize(
    "draw", [viz.draw_arrows, viz.overlay, lambda a, f: viz.occlusion_overlay(a, f[..., 0])]
)
def test_sizes_must_agree(draw):
    with pytest.raises(ValueError, match=r"is 89x120 .h x w., expected 90x120"):
        draw(IMAGE, constant(1, 1, (89, 120)))
    with pytest.raises(ValueError):
        draw(IMAGE[..., :2], constant(1, 1))


def test_steps_and_scales_must_be_above_zero():
    for options in ({"step": 0}, {"step": np.nan}, {"scale": -1}):
        with pytest.raises(ValueError, match="above 0"):
            viz.draw_arrows(IMAGE, constant(1, 1), **options)


@settings(max_examples=40, deadline=None)
@given(
    arrays(
        np.float32,
        st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(2)),
        elements=st.floats(width=32, allow_nan=True, allow_infinity=True),
        fill=st.just(1.0),
    )
)
def test_any_flow_and_any_size_can_be_drawn(flow):
    image = np.zeros((*flow.shape[:2], 3), np.uint8)
    for picture in (
        viz.overlay(image, flow),
        viz.draw_arrows(image, flow, scale=1),
        viz.occlusion_overlay(image, flow[..., 0]),
        viz.error_map(flow, flow[::-1]),
        viz.heat(flow[..., 1]),
        viz.disparity_to_color(flow[..., :1]),
    ):
        assert picture.dtype == np.uint8 and picture.shape == image.shape
