"""Networks of matches with another search, other sizes, and pictures that are shrunk for them."""

import keras
import numpy as np
import pytest

from kcorr.datasets import Scenes
from kcorr.metrics import matching_accuracy
from kcorr.models import DeepMatching, SmallDescriptor, load, predict_matches, with_search


def network(radius=4, seed=0, descriptor="small", **options):
    keras.utils.set_random_seed(seed)
    made = DeepMatching(descriptor, radius, **options)
    made.build()
    made.exponents.assign(np.linspace(1.1, 1.3, made.exponents.shape[0]))
    return made


def pictures(height=32, width=40, seed=0):
    return np.random.default_rng(seed).uniform(0, 1, (2, height, width, 3)).astype("float32")


@pytest.mark.parametrize("descriptor", ["small", "hog", SmallDescriptor])
def test_the_same_weights_search_elsewhere(descriptor):
    made = descriptor() if isinstance(descriptor, type) else descriptor
    old = network(descriptor=made, spacing=16, levels=2)
    new = with_search(old, radius=16, cell=4)
    assert new is not old and new.config == {**old.config, "radius": 16, "cell": 4}
    # What the old one has not has the exponent that it began with.
    known = np.asarray(old.exponents)
    np.testing.assert_array_equal(new.exponents[: len(known)], known)
    assert (np.asarray(new.exponents)[len(known) :] == np.float32(1.4)).all()
    for one, other in zip(old.descriptor.get_weights(), new.descriptor.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    back = with_search(new, radius=4, cell=old.config["cell"])
    np.testing.assert_array_equal(back.exponents, known)
    for verified in (False, True):
        expected, found = (predict_matches(one, *pictures(), verified) for one in (old, back))
        np.testing.assert_array_equal(found, expected)
    far = predict_matches(new, *pictures(), verified=False)
    assert 4 < np.abs(far[:, 2:4] - far[:, :2]).max() <= 16
    assert old.config["radius"] == 4


def test_the_shipped_network_matches_better_than_one_that_learned_nothing():
    scenes = Scenes(size=(96, 128), length=2, seed=4, max_motion=12.0, layers=(1, 2))
    shares = {"shipped": [], "fresh": []}
    networks = {"shipped": with_search(load("matching"), radius=16), "fresh": network(16)}
    for index in range(2):
        record = scenes[index]
        for name, one in networks.items():
            matches = predict_matches(one, record["image1"], record["image2"])
            found = matching_accuracy(matches, record["flow"], record["valid"])
            shares[name].append(found["acc@2"])
    assert np.mean(shares["shipped"]) > max(0.85, np.mean(shares["fresh"]) + 0.1), shares


def test_a_search_that_does_not_fit():
    with pytest.raises(ValueError, match="radius is 0, expected a multiple of 1 from 1"):
        with_search(network(), radius=0)
    with pytest.raises(ValueError, match="radius is 5, expected a multiple of 2 from 2"):
        with_search(network(descriptor="hog"), radius=5)
    with pytest.raises(ValueError, match=r"cell is 0\.5, expected a whole number from 1"):
        with_search(network(), cell=0.5)
    with pytest.raises(ValueError, match="'Planted' keeps the radius and the cell that it has"):
        with_search(Planted(), radius=8)


class Planted:
    """One match, from a quarter of the way across and down to the very middle."""

    gives = "matches"

    def __init__(self):
        self.seen = []

    def __call__(self, inputs, training=False):
        _, height, width, _ = inputs["image1"].shape
        self.seen.append((height, width))
        size = np.array([width, height])
        points = [np.float32(part * size - 0.5)[None, None] for part in (0.25, 0.5)]
        one = np.ones((1, 1, 1), np.float32)
        keys = ("points1", "points2", "confidence", "reciprocal")
        return dict(zip(keys, (*points, one, one), strict=True))


@pytest.mark.parametrize(("max_side", "seen"), [(None, (60, 80)), (80, (60, 80)), (32, (24, 32))])
def test_matches_of_shrunk_pictures_are_of_full_size(max_side, seen):
    planted = Planted()
    found = predict_matches(planted, *pictures(60, 80), max_side=max_side)
    assert planted.seen == [seen]
    np.testing.assert_allclose(found, [[19.5, 14.5, 39.5, 29.5, 1]], atol=1e-5)


@pytest.mark.parametrize("max_side", [15, 20.0, "40"])
def test_a_bad_max_side(max_side):
    with pytest.raises(ValueError, match=r"max_side is .*, expected a whole number from 16"):
        predict_matches(Planted(), *pictures(), max_side=max_side)
    with pytest.raises(ValueError, match="are seen at 16x13, too small for patches"):
        predict_matches(Planted(), *pictures(), max_side=16)


@pytest.mark.parametrize("descriptor", ["small", "hog"])
def test_pictures_must_hold_a_point(descriptor):
    sparse = network(descriptor=descriptor, spacing=32)
    assert sparse.smallest == 32 and network().smallest == 16
    assert predict_matches(sparse, *pictures(32, 33), verified=False).shape == (1, 5)
    for height, width in ((31, 64), (64, 31)):
        with pytest.raises(ValueError, match="too small for patches to match; expected at least 3"):
            predict_matches(sparse, *pictures(height, width))
        images = pictures(height, width)[:, None]
        with pytest.raises(ValueError, match=r"expected images .* of at least 32x32, got"):
            sparse({"image1": images[0], "image2": images[1]})
