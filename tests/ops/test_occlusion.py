import numpy as np
import pytest
from _gradients import evaluate, gradient
from _modes import assert_same_in_every_mode

from kcorr.ops import fb_occlusion

AUTHORS = {"outside_is_occluded": False, "border": "authors"}


def authors_example():
    """The flows of the specification's golden values."""
    y, x = np.mgrid[:24, :32].astype("float32")
    forward = np.stack([1.5 + 0.05 * x, -0.75 + 0.1 * y], -1)
    bump = 1.5 * ((x >= 10) & (x < 16))
    backward = np.stack([-1.25 - 0.04 * x + bump, 0.5 - 0.08 * y], -1)
    return forward[None].astype("float32"), backward[None].astype("float32")


def test_equals_the_authors_code():
    forward, backward = authors_example()
    assert evaluate(lambda f, b: fb_occlusion(f, b, **AUTHORS), forward, backward).sum() == 262
    assert evaluate(lambda f, b: fb_occlusion(f, b, **AUTHORS), backward, forward).sum() == 168


def test_a_square_in_front_hides_what_it_moves_over():
    # A 6 x 6 square moves 4 to the right over a still background: of frame 1 exactly the columns
    # that it covers next and did not cover before are hidden.
    forward, backward = np.zeros((2, 1, 20, 24, 2), "float32")
    forward[0, 7:13, 5:11, 0] = 4
    backward[0, 7:13, 9:15, 0] = -4
    expected = np.zeros((20, 24))
    expected[7:13, 11:15] = 1
    np.testing.assert_array_equal(evaluate(fb_occlusion, forward, backward)[0, ..., 0], expected)
    # Backwards the square uncovers the columns that it left.
    uncovered = np.zeros((20, 24))
    uncovered[7:13, 5:9] = 1
    np.testing.assert_array_equal(evaluate(fb_occlusion, backward, forward)[0, ..., 0], uncovered)


def test_what_leaves_the_frame_is_occluded_unless_told_otherwise():
    forward = np.zeros((1, 6, 8, 2), "float32")
    forward[..., 0] = 0.6
    backward = -forward
    by_rule = evaluate(fb_occlusion, forward, backward)[0, ..., 0]
    assert (by_rule[:, -1] == 1).all()
    assert (by_rule[:, :-1] == 0).all()
    # The authors' check alone sees no conflict in 0.6 px: 0.36 < 0.01 * 0.36 + 0.5.
    literal = evaluate(lambda f, b: fb_occlusion(f, b, **AUTHORS), forward, backward)
    assert not literal.any()


def test_identity_sees_everything():
    zero = np.zeros((2, 5, 6, 2), "float32")
    assert not evaluate(fb_occlusion, zero, zero).any()


def test_alphas_are_the_tolerances():
    # Forward 3, backward -2 everywhere inside: mismatch 1, sum of squares 13.
    forward, backward = np.zeros((2, 1, 5, 12, 2), "float32")
    forward[..., 0], backward[..., 0] = 3, -2

    def inner(**alphas):
        return evaluate(lambda f, b: fb_occlusion(f, b, **alphas), forward, backward)[0, :, :8]

    assert inner(alpha1=0.01, alpha2=0.5).all()
    assert not inner(alpha1=0.01, alpha2=0.9).any()
    assert not inner(alpha1=0.1, alpha2=0.0).any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e12, 1e30])
@pytest.mark.parametrize("outside", [True, False])
def test_unknown_flow_is_occluded_and_does_not_spread(bad, outside):
    def occlusion(f, b):
        return fb_occlusion(f, b, outside_is_occluded=outside)

    for which in (0, 1):
        flows = list(np.zeros((2, 1, 6, 7, 2), "float32"))
        flows[which][0, 2, 3, 1] = bad
        expected = np.zeros((1, 6, 7, 1))
        expected[0, 2, 3] = 1
        np.testing.assert_array_equal(evaluate(occlusion, *flows), expected)


def test_no_gradient_passes():
    forward, backward = authors_example()
    for slope in gradient(fb_occlusion, forward, backward):
        assert not slope.any()


def test_every_mode():
    forward, backward = authors_example()
    assert_same_in_every_mode(fb_occlusion, forward, backward)


def test_misshapen_flows_are_named():
    flow = np.zeros((1, 4, 5, 2), "float32")
    for other in (flow[..., :1], flow[:, 1:]):
        with pytest.raises(ValueError, match="fb_occlusion expects forward"):
            fb_occlusion(flow, other)
