"""The structured hinge: golden constants, a slow sum, what does not count, -inf, gradients."""

import numpy as np
import pytest
from _gradients import assert_gradient, evaluate, gradient

from kcorr.losses import structured_hinge


def slow(scores, right, mask, sigma, tolerance=1):
    batch, count, _, rows, columns = scores.shape
    radius, found = count // 2, np.zeros(batch)
    for b in range(batch):
        sums = []
        for i, j in np.ndindex(rows, columns):
            x, y = np.round(right[b, i, j]).astype(int)
            if not mask[b, i, j, 0] or max(abs(x), abs(y)) > radius:
                continue
            y, x = y + radius, x + radius
            top, left = max(0, y - tolerance), max(0, x - tolerance)
            near = scores[b, top : y + tolerance + 1, left : x + tolerance + 1, i, j].max()
            if np.isinf(near):
                continue
            total = 0.0
            for ky, kx in np.ndindex(count, count):
                away = (kx - x) ** 2 + (ky - y) ** 2
                margin = 1 - np.exp(-away / (2 * sigma**2))
                total += max(0.0, margin + scores[b, ky, kx, i, j] - near)
            sums.append(total)
        found[b] = np.sum(sums) / (len(sums) + 1e-6)
    return found


def draw(radius=3, rows=2, columns=3):
    rng = np.random.default_rng(0)
    count = 2 * radius + 1
    scores = rng.normal(size=(2, count, count, rows, columns))
    right = rng.uniform(-radius - 3, radius + 3, (2, rows, columns, 2))
    return scores, right, (rng.random((2, rows, columns, 1)) > 0.3).astype("float64")


def test_constants_of_equal_scores_and_of_the_margin_itself():
    right = np.zeros((1, 1, 1, 2))
    found = evaluate(lambda s: structured_hinge(s, right, sigma=2.0), np.zeros((1, 11, 11, 1, 1)))
    np.testing.assert_allclose(found, 96.14075638637132 / (1 + 1e-6), rtol=1e-12)
    away = np.arange(-5, 6) ** 2
    bump = np.exp(-(away[:, None] + away) / 8)[None, :, :, None, None]
    assert evaluate(lambda s: structured_hinge(s, right, sigma=2.0), bump)[0] < 1e-12


@pytest.mark.parametrize("tolerance", [0, 1, 2])
def test_it_is_the_sum_over_displacements_of_points_that_count(tolerance):
    scores, right, mask = draw()
    found = evaluate(lambda s: structured_hinge(s, right, mask, 1.5, tolerance), scores)
    np.testing.assert_allclose(found, slow(scores, right, mask, 1.5, tolerance), rtol=1e-12)
    # Some points count and some do not, for either reason.
    outside = (np.abs(np.round(right)).max(-1) > 3) & (mask[..., 0] > 0)
    assert outside.any() and (mask == 0).any()


def test_gradient():
    scores, right, mask = draw()
    assert_gradient(lambda s: structured_hinge(s, right, mask), scores, entries=40)


def test_what_has_no_score_adds_nothing_and_makes_no_nan():
    scores, right, mask = draw()
    scores[np.random.default_rng(1).random(scores.shape) > 0.15] = -np.inf
    for tolerance in (0, 1):
        found = evaluate(lambda s, t=tolerance: structured_hinge(s, right, mask, 3.0, t), scores)
        np.testing.assert_allclose(found, slow(scores, right, mask, 3.0, tolerance), rtol=1e-12)
    (slopes,) = gradient(lambda s: structured_hinge(s, right, mask), scores)
    assert np.isfinite(slopes).all() and (slopes[np.isinf(scores)] == 0).all()
    assert (slopes > 0).any() and (slopes < 0).any()


def test_points_without_a_score_near_the_right_place_do_not_count():
    scores, right = np.ones((1, 7, 7, 1, 2)), np.zeros((1, 1, 2, 2))
    one = evaluate(lambda s: structured_hinge(s, right), scores)
    scores[:, 2:5, 2:5, 0, 1] = -np.inf
    np.testing.assert_allclose(evaluate(lambda s: structured_hinge(s, right), scores), one, 1e-5)
    scores[:, 2:5, 2:5] = -np.inf
    assert evaluate(lambda s: structured_hinge(s, right), scores)[0] == 0


def test_points_that_do_not_count_may_be_anything():
    scores, right, mask = draw()
    expected = evaluate(lambda s: structured_hinge(s, right, mask), scores)
    hidden = mask[..., 0] == 0
    right[hidden] = np.nan
    scores[np.broadcast_to(hidden[:, None, None], scores.shape)] = -np.inf
    found = evaluate(lambda s: structured_hinge(s, right, mask), scores)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    nothing = evaluate(lambda s: structured_hinge(s, right, 0 * mask), scores)
    np.testing.assert_array_equal(nothing, 0)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="sigma must be above 0, got 0"):
        structured_hinge(np.zeros((1, 3, 3, 1, 1)), np.zeros((1, 1, 1, 2)), sigma=0)
    with pytest.raises(ValueError, match="tolerance must be at least 0, got -1"):
        structured_hinge(np.zeros((1, 3, 3, 1, 1)), np.zeros((1, 1, 1, 2)), tolerance=-1)
    with pytest.raises(ValueError, match=r"displacement \[b, i, j, 2\]"):
        structured_hinge(np.zeros((1, 3, 3, 1, 1)), np.zeros((1, 1, 2, 2)))
