"""Errors up to a symmetry, and labels about an axis."""

import numpy as np
import pytest

from kcorr.datasets import NFoldObject
from kcorr.metrics import axis_angles, errors_up_to_symmetry, point_errors, powers_of


@pytest.mark.parametrize("folds", [2, 3, 5])
def test_a_turned_match_is_right_and_a_mixed_one_is_not(folds):
    source = NFoldObject(folds=folds, sequences=2, frames=2, seed=folds)
    target = np.stack([source.pictures[k]["points1"] for k in range(4)])
    group = powers_of(source.symmetric_points)
    assert group.shape == (folds, 1 + 2 * folds) and (group[0] == np.arange(1 + 2 * folds)).all()
    turns = np.array([0, 1, folds - 1, 1])
    predicted = np.stack([one[group[turn]] for one, turn in zip(target, turns, strict=True)])
    errors, found = errors_up_to_symmetry(predicted, target, group)
    np.testing.assert_array_equal(found, turns)
    np.testing.assert_array_equal(errors, np.zeros_like(errors))
    assert point_errors(predicted, target).mean() > 5  # without the symmetry
    mixed = predicted.copy()
    mixed[:, [1, 3]] = mixed[:, [3, 1]]  # two thighs exchanged, nothing else
    errors, _ = errors_up_to_symmetry(mixed, target, group)
    assert ((errors > 1).sum(axis=-1) >= 2).all()


def test_hidden_targets_do_not_count_and_do_not_decide():
    group = powers_of([1, 0, 2])
    target = np.array([[[0.0, 0], [10, 0], [20, 0]]] * 2)
    visible = np.array([[[0], [1], [1]], [[0], [0], [0]]])
    predicted = np.array([[[10.0, 1], [99, 99], [20, 0]], [[0, 0], [0, 0], [0, 0]]])
    errors, found = errors_up_to_symmetry(predicted, target, group, visible)
    assert found.tolist() == [1, 0]
    np.testing.assert_array_equal(errors, [[1, np.nan, 0], [np.nan] * 3])


@pytest.mark.parametrize("wrong", [[0, 0, 1], [1, 2, 3], [[0, 1]]])
def test_what_is_no_permutation(wrong):
    with pytest.raises(ValueError, match="expected each of 0"):
        powers_of(wrong)


def test_angles_to_an_axis():
    vectors = [[0, 0, -5], [3, 0, 0], [1, 0, 1], [0, 0, 0]]
    np.testing.assert_allclose(axis_angles(vectors), [0, 90, 45, 90], atol=1e-6)
    np.testing.assert_allclose(axis_angles(vectors, (2, 0, 0)), [90, 0, 45, 90], atol=1e-6)
    chance = axis_angles(np.random.default_rng(0).normal(size=(200000, 3))).mean()
    assert chance == pytest.approx(np.degrees(1), abs=0.2)
