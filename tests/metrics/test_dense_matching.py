"""Accuracy@T: what a match covers, which of several counts, and the shares by hand."""

import numpy as np
import pytest

from kcorr.metrics import densify_matches, matching_accuracy


def at(x, y, u=0.0, v=0.0, score=1.0):
    return [x, y, x + u, y + v, score]


def slowly(matches, size, radius):
    """Pixel by pixel: the nearest match by the larger of |dx| and |dy|, then the best score."""
    flow, known = np.zeros((*size, 2), np.float32), np.zeros((*size, 1), np.float32)
    for y in range(size[0]):
        for x in range(size[1]):
            best = None
            for k, (x1, y1, x2, y2, score) in enumerate(matches):
                distance = max(abs(round(x1) - x), abs(round(y1) - y))
                rank = (distance, -score if score == score else np.inf, k)
                if distance <= radius and (best is None or rank < best):
                    best, known[y, x] = rank, 1
                    flow[y, x] = x2 - x1, y2 - y1
    return flow, known


def test_one_match_covers_289_pixels():
    flow, known = densify_matches([at(30, 20, 3, -2)], (50, 60))
    assert flow.shape == (50, 60, 2) and flow.dtype == known.dtype == np.float32
    assert known.sum() == 289 and known[12:29, 22:39].all()
    np.testing.assert_array_equal(flow, np.where(known > 0, [3, -2], 0))
    # At a corner, and from outside: what of the square lies inside.
    assert densify_matches([at(0, 0)], (50, 60))[1].sum() == 81
    assert densify_matches([at(-8, 57.4)], (50, 60))[1].sum() == 1
    for far in (at(-9, 20), at(30, 58), at(1e300, -1e300)):
        assert not densify_matches([far], (50, 60))[1].any()


def test_the_nearest_counts_then_the_surest_then_the_first():
    close, sure = at(10, 10, u=1, score=0.1), at(14, 10, u=2, score=0.9)
    for matches in ([close, sure], [sure, close]):
        row = densify_matches(matches, (20, 30))[0][10, :, 0]
        np.testing.assert_array_equal(row[2:12], 1)
        np.testing.assert_array_equal(row[12:23], 2)  # 12 is as far from both
    twins = [at(10, 10, u=1), at(10, 10, u=2)]
    assert (densify_matches(twins, (20, 30))[0][2:19, 2:19, 0] == 1).all()
    unsure = [at(10, 10, u=1, score=np.nan), at(10, 10, u=2, score=-5)]
    assert (densify_matches(unsure, (20, 30))[0][2:19, 2:19, 0] == 2).all()
    # Four columns are matches of equal scores.
    np.testing.assert_array_equal(
        densify_matches(np.array(twins)[:, :4], (20, 30))[0], densify_matches(twins, (20, 30))[0]
    )


@pytest.mark.parametrize("radius", [0, 1, 3, 8])
@pytest.mark.parametrize("seed", [0, 1])
def test_as_slowly_pixel_by_pixel(radius, seed):
    rng = np.random.default_rng(seed)
    matches = rng.uniform(-6, 34, (25, 5))
    matches[:, 4] = rng.integers(0, 4, 25)  # many equal scores
    matches[rng.integers(0, 25, 8), :2] = matches[0, :2]  # and equal places
    matches[5, 4] = np.nan
    flow, known = densify_matches(matches, (22, 28), radius)
    expected, expected_known = slowly(matches, (22, 28), radius)
    np.testing.assert_array_equal(known, expected_known)
    np.testing.assert_allclose(flow, expected, atol=1e-6)
    assert known.sum() > 0


def test_accuracy_by_hand():
    """17 x 17 pixels are covered by an error of 3 px, 17 x 17 by one of exactly 5, the rest not."""
    truth = np.tile(np.array([2.0, 1.0]), (40, 60, 1))
    matches = [at(10, 10, 5, 1), at(40, 10, 5, 5), at(100, 100, 0, 0)]
    found = matching_accuracy(matches, truth)
    assert found == {
        "acc@2": 0.0,
        "acc@5": pytest.approx(2 * 289 / 2400),
        "acc@10": pytest.approx(2 * 289 / 2400),
        "epe": pytest.approx(4.0),  # of the two inside
        "matches": 3,
        "covered": pytest.approx(2 * 289 / 2400),
    }
    # Only the left 30 columns have ground truth; elsewhere anything may stand.
    valid = np.zeros((40, 60, 1))
    valid[:, :30] = 1
    truth[:, 30:] = np.nan
    found = matching_accuracy(matches, truth, valid, thresholds=(2.5, 3), radius=4)
    assert found == {
        "acc@2.5": 0.0,
        "acc@3": pytest.approx(81 / 1200),
        "epe": pytest.approx(3.0),
        "matches": 3,
        "covered": pytest.approx(81 / 1200),
    }


def test_perfect_matches_and_none():
    rng = np.random.default_rng(0)
    y, x = (axis.ravel() for axis in np.mgrid[4:32:8, 4:48:8])
    truth = np.tile(np.array([3.0, -1.0]), (32, 48, 1))
    matches = np.stack([x, y, x + 3, y - 1, rng.uniform(size=x.size)], axis=-1)
    found = matching_accuracy(matches, truth)
    assert found == {
        "acc@2": 1.0, "acc@5": 1.0, "acc@10": 1.0, "epe": 0.0, "matches": 24, "covered": 1.0
    }  # fmt: skip
    nothing = matching_accuracy(np.zeros((0, 5)), truth)
    assert np.isnan(nothing.pop("epe"))
    assert nothing == {"acc@2": 0.0, "acc@5": 0.0, "acc@10": 0.0, "matches": 0, "covered": 0.0}
    untrue = matching_accuracy(matches, truth, np.zeros((32, 48, 1)))
    assert untrue.pop("matches") == 24 and np.isnan(list(untrue.values())).all()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: densify_matches(np.zeros((3, 6)), (9, 9)), r"matches have shape \(3, 6\)"),
        (lambda: densify_matches(np.zeros(5), (9, 9)), r"matches have shape \(5,\)"),
        (lambda: densify_matches([at(np.nan, 3)], (9, 9)), "coordinates that are not finite"),
        (lambda: densify_matches([at(3, 3)], (9, 9, 2)), r"size is \(9, 9, 2\), expected whole"),
        (lambda: densify_matches([at(3, 3)], (9, 0)), r"size is \(9, 0\)"),
        (lambda: densify_matches([at(3, 3)], (9, 9), -1), "radius is -1"),
        (lambda: densify_matches([at(3, 3)], (9, 9), 2.5), "radius is 2.5"),
        (lambda: matching_accuracy([at(3, 3)], np.zeros((9, 9))), r"flow has shape \(9, 9\)"),
        (
            lambda: matching_accuracy([at(3, 3)], np.zeros((9, 9, 2)), np.ones((9, 9))),
            r"valid has shape \(9, 9\), expected \(9, 9, 1\)",
        ),
        (
            lambda: matching_accuracy([at(3, 3)], np.full((9, 9, 2), np.inf)),
            "ground truth is not finite",
        ),
    ],
)
def test_wrong_input_gets_one_clear_line(call, says):
    with pytest.raises(ValueError, match=says):
        call()
