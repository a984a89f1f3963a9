"""Landmarks and object frames: their terms against the ops by hand, and what they learn."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from _cards import batch, batches, mirrored, pair, spotted_card, textured_card
from keras import ops

from kcorr.losses import pooled_diversity, probability_alignment
from kcorr.models import HourglassNet, LandmarkNet, ObjectFrameNet
from kcorr.objectives import TRAINING, LandmarkObjective, ObjectFrameObjective, published_optimizer
from kcorr.ops import expected_distance, matching_log_loss, rotations

TRUNK = {"kernels": (5, 5, 3), "widths": (12, 16, 24), "dilations": (1, 2, 2)}


def frame_network(dimensions=3):
    keras.utils.set_random_seed(0)
    network = ObjectFrameNet(dimensions, **TRUNK)
    network.build()
    return network


def landmark_network(landmarks):
    keras.utils.set_random_seed(0)
    network = LandmarkNet(landmarks, **TRUNK)
    network.build()
    return network


def tensors(arrays):
    return {key: tf.constant(value) for key, value in arrays.items()}


@pytest.fixture(scope="module")
def card():
    return textured_card()


@pytest.fixture(scope="module")
def views(card):
    (one,) = batches(card, 1, seed=9)
    return tensors(one)


def learnt(objective, data, steps):
    """Observations of held-out pairs, the last of `data`, after some steps on the others."""
    objective.build()
    objective.compile(keras.optimizers.Adam(1e-2))
    stacked = {key: np.stack([one[key] for one in data[:-1]]) for key in data[-1]}
    stream = tf.data.Dataset.from_tensor_slices(stacked).repeat()
    history = objective.fit(stream, steps_per_epoch=steps, verbose=0, shuffle=False).history
    assert history["skipped_steps"] == [0]
    values = {**objective.terms(tensors(data[-1]), False), **objective.observe(tensors(data[-1]))}
    return {key: float(np.mean(value)) for key, value in values.items()}


# === Terms ===


def test_matching_is_the_op_of_both_views_labels(views):
    network = frame_network()
    first, second = (
        network({"image": views[key]}, training=False)["labels"] for key in ("image1", "image2")
    )
    pair_of = first, second, views["grid"]
    mirror = np.float32([[0], [1], [1], [0]])
    two = np.stack([np.roll(first, -1, 0), np.roll(first, -2, 0)], 1)
    cases = [
        ({"power": 1.0}, {}, expected_distance(*pair_of, 1.0, views["valid"])),
        ({"masked": False}, {}, expected_distance(*pair_of)),
        ({"loss": "log"}, {}, matching_log_loss(*pair_of, views["valid"])),
        (
            {"exchange": 1, "masked": False, "normalise": True},
            {},
            expected_distance(*pair_of, aux=np.roll(first, -1, 0), normalise=True),
        ),
        ({"exchange": 2, "masked": False}, {}, expected_distance(*pair_of, aux=two)),
        (
            {"group": rotations(3), "masked": False, "lattice": "topleft"},
            {"mirrored": mirror},
            expected_distance(*pair_of, group=rotations(3), mirror=mirror, lattice="topleft"),
        ),
    ]
    for options, extra, expected in cases:
        objective = ObjectFrameObjective(network, **options)
        found = objective.terms({**views, **extra}, training=False)
        assert found.keys() == set(objective.term_names)
        np.testing.assert_allclose(found["matching"], expected, rtol=1e-4, err_msg=str(options))
        assert np.ptp(found["matching"]) > 1e-3


@pytest.mark.parametrize("options", [{}, {"loss": "log"}, {"exchange": 1}], ids=str)
def test_evaluating_gives_the_same_terms(views, options):
    objective = ObjectFrameObjective(frame_network(), **options)
    objective.build()
    objective.compile(keras.optimizers.Adam())
    data = tf.data.Dataset.from_tensors(views)
    found = objective.evaluate(data, verbose=0, return_dict=True)
    expected = objective.terms(views, training=False)
    assert found["loss"] == pytest.approx(np.mean(expected["matching"]), rel=1e-5)


def test_odd_sizes_and_other_networks_of_labels_match_too(views):
    """Also in the mirror: the last pixel of an odd side has no cell, and counts in the grid."""
    odd = {key: value[:, :31, :29] for key, value in views.items()}
    odd["grid"] = tf.stack([28 - odd["grid"][..., 0], odd["grid"][..., 1]], axis=-1)
    odd |= {"image2": odd["image2"][:, :, ::-1], "mirrored": tf.ones((4, 1))}
    hourglass = HourglassNet(dimensions=3, width=8, depth=1, blocks=1)
    for network in (frame_network(), hourglass):
        objective = ObjectFrameObjective(network)
        found = {**objective.terms(odd, True), **objective.observe(odd)}
        assert all(np.isfinite(value).all() for value in found.values())
        # Untrained, it is about the mean root of all distances.
        assert np.all(found["matching"] > 1) and np.all(found["matching"] < 6)


def test_landmark_terms_are_the_losses_of_both_views(views):
    network = landmark_network(4)
    first, second = (
        network({"image": views[key]}, training=False)["probabilities"]
        for key in ("image1", "image2")
    )
    objective = LandmarkObjective(network, window=2)
    found = objective.terms(views, training=False)
    assert tuple(found) == objective.term_names == ("alignment", "diversity", "decay")
    expected = probability_alignment(first, second, views["grid"], views["valid"])
    np.testing.assert_allclose(found["alignment"], expected, rtol=1e-3)
    overlap = pooled_diversity(first, 2) + pooled_diversity(second, 2)
    np.testing.assert_allclose(found["diversity"], overlap, rtol=1e-3)
    squares = sum(np.sum(np.square(w)) for w in network.get_weights() if w.ndim == 4)
    np.testing.assert_allclose(found["decay"], np.full(4, squares), rtol=1e-4)
    assert objective.term_weights == {"diversity": 500.0, "decay": 5e-4}
    light = LandmarkObjective(network, "coordinate", decay=0)
    assert set(light.terms(views, False)) == {"alignment", "diversity"}


@pytest.mark.parametrize("alignment", ["probability", "coordinate"])
def test_landmarks_align_where_the_batch_is_valid(views, alignment):
    network = landmark_network(4)
    half = np.array(views["valid"])
    half[:, :, half.shape[2] // 2 :] = 0
    moved = {**views, "valid": half, "grid": np.where(half > 0, views["grid"], 7.0)}
    for masked in (True, False):
        objective = LandmarkObjective(network, alignment, masked=masked)
        one, other = (
            objective.terms(batch, False)["alignment"]
            for batch in ({**views, "valid": half}, moved)
        )
        assert np.array_equal(one, other) == masked


def test_both_views_are_normalised_as_one_batch(views):
    """Two calls would have two means; evaluation uses the running ones."""
    network = frame_network()
    together = network({"image": tf.concat([views["image1"], views["image2"]], 0)}, training=True)
    first, second = ops.split(together["labels"], 2, axis=0)
    expected = expected_distance(first, second, views["grid"], 0.5, views["valid"])
    objective = ObjectFrameObjective(network)
    np.testing.assert_allclose(objective.terms(views, True)["matching"], expected, rtol=1e-3)
    still = objective.terms(views, False)["matching"]
    assert np.abs(still - expected).max() > 0.01


def test_a_batch_of_nan_is_skipped_and_forgotten(views):
    """Also by the running means of the normalisation, which a step moves before it can fail."""
    objective = ObjectFrameObjective(frame_network())
    objective.build()
    objective.compile("adam")
    objective.train_step(views)
    kept = objective.network.get_weights()
    bad = {**views, "image1": views["image1"] + float("nan")}
    logs = objective.train_step(bad)
    assert float(logs["skipped_steps"]) == 1
    for new, old in zip(objective.network.get_weights(), kept, strict=True):
        np.testing.assert_array_equal(new, old)


def test_observations_of_a_network_that_knows(card):
    """Labels that are the place on the card itself match everywhere but between cells."""

    class Knowing(keras.Model):
        def call(self, inputs, training=False):
            return {"labels": inputs["image"][:, ::2, ::2] * 1.0}

    # Pictures that hold each pixel's place, on a sphere: the most alike is the nearest.
    random = np.random.default_rng(3)
    one = batch([pair(card, random) for _ in range(3)])
    y, x = np.mgrid[:32, :32]
    own = np.stack([x, y], -1) + np.zeros((3, 1, 1, 1))
    for key, place in (("image1", one["grid"]), ("image2", own)):
        # The label of a cell stands on its top left pixel and means its middle.
        place = (place + 0.5) / 80
        lift = np.sqrt(1 - (place**2).sum(-1, keepdims=True))
        one[key] = np.float32(np.concatenate([place, lift], -1))
    objective = ObjectFrameObjective(Knowing())
    found = objective.observe(tensors(one))
    assert np.mean(found["match"]) < 1.2 < 1.5 < np.mean(found["match_zero"])
    turned = dict(one)
    turned["image1"] = one["image1"] @ np.float32(rotations(3)[1])
    lost = objective.observe(tensors(turned))
    again = ObjectFrameObjective(Knowing(), group=rotations(3)).observe(tensors(turned))
    assert np.mean(lost["match"]) > 5
    np.testing.assert_allclose(again["match"], found["match"], rtol=1e-3)


# === What is learnt ===


def test_an_object_frame_is_learnt_from_warps_alone(card):
    """The mean miss falls to about a cell; unmoved it would be what the warps move."""
    objective = ObjectFrameObjective(frame_network())
    found = learnt(objective, batches(card, 21), 60)
    assert found["match"] < 3 < 5 < found["match_zero"], found


def test_a_bilateral_frame_is_learnt_from_mirrored_pairs():
    """Half of the pairs are mirrored; an objective that is not told so ends at 7 px."""
    places = [(-8, -5), (8, -5), (-5, 7), (5, 7), (0, 0)]
    colours = [(0.9, 0.2, 0.1)] * 2 + [(0.1, 0.4, 0.9)] * 2 + [(0.9, 0.9, 0.2)]
    card = spotted_card(places, colours)
    data = [mirrored(one) for one in batches(card, 21)]
    found = learnt(ObjectFrameObjective(frame_network()), data, 60)
    assert found["match"] < 3.5 and found["match_zero"] > 9, found


def test_legs_that_look_alike_are_learnt_up_to_their_turn():
    """Turns by thirds of a circle, which nobody can see; without the group it ends at 8 px."""
    angles = 2 * np.pi * np.arange(3) / 3 - np.pi / 2
    places = [(r * np.cos(a), r * np.sin(a)) for a in angles for r in (4, 8, 12)]
    card = spotted_card(places, [(0.9, 0.3, 0.1), (0.2, 0.8, 0.3), (0.2, 0.3, 0.9)] * 3, radius=2)
    random = np.random.default_rng(0)

    def turned():
        angle = 2 * np.pi * random.integers(3) / 3
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        return pair(card, random, second=(turn, np.zeros(2)))

    data = [batch([turned() for _ in range(4)]) for _ in range(21)]
    objective = ObjectFrameObjective(frame_network(), group=rotations(3))
    found = learnt(objective, data, 90)
    assert found["match"] < 2 < 4 < found["match_zero"], found


def test_exchange_makes_labels_mean_the_same_on_another_card(card):
    """One drawing in two colourings. Labels of 16 dimensions that were learnt without exchange
    match the same card within 1.4 px and the other one within 4.0."""
    other = card[..., [1, 0, 2]]
    random = np.random.default_rng(0)
    data = [batch([pair(one, random) for one in (card, other) * 2]) for _ in range(21)]
    objective = ObjectFrameObjective(frame_network(16), exchange=1)
    same = learnt(objective, data, 150)["match"]
    across = batch([pair(one, np.random.default_rng(1)) for one in (card, other)])
    across["image2"] = across["image2"][::-1].copy()
    found = np.mean(objective.observe(tensors(across))["match"])
    assert same < 2.8 and found < 3.2, (same, found)


def test_landmarks_settle_on_spots():
    """Three different landmarks, each of which moves with the card."""
    places = [(-8, -6), (8, -4), (1, 8)]
    card = spotted_card(places, [(0.9, 0.2, 0.1), (0.1, 0.8, 0.2), (0.2, 0.3, 0.9)])
    data = batches(card, 21)
    network = landmark_network(3)
    found = learnt(LandmarkObjective(network), data, 150)
    assert found["equivariance"] < 1.5 and found["diversity"] < 0.3, found
    points = np.asarray(network({"image": tf.constant(data[-1]["image1"])})["points"])
    apart = np.linalg.norm(points[:, :, None] - points[:, None], axis=-1)
    assert apart[:, *np.triu_indices(3, 1)].min() > 4
    # In the frame of the card they do not move, though the views do.
    objective = LandmarkObjective(network)
    moved = np.array([objective.observe(tensors(one))["equivariance"] for one in data[:-1:4]])
    assert moved.shape == (5, 4) and moved.mean() < 1.5


# === What is refused, and published ===


def test_what_is_refused(views):
    network = frame_network()
    with pytest.raises(ValueError, match="loss must be one of distance, log, got 'l2'"):
        ObjectFrameObjective(network, "l2")
    with pytest.raises(ValueError, match="exchange must be 0 or more examples, got -1"):
        ObjectFrameObjective(network, exchange=-1)
    with pytest.raises(ValueError, match="alignment must be one of probability, coordinate"):
        LandmarkObjective(network, "points")
    alone = {key: value[:1] for key, value in views.items()}
    objective = ObjectFrameObjective(network, exchange=1)
    with pytest.raises(ValueError, match=r"exchange=1 needs batches of at least 2 .* has 1"):
        objective.terms(alone, True)
    # Evaluation does without: the terms are those of a plain objective.
    plain = ObjectFrameObjective(network).terms(alone, False)["matching"]
    np.testing.assert_array_equal(objective.terms(alone, False)["matching"], plain)
    plain = ObjectFrameObjective(network).terms(views, False)["matching"]
    assert (objective.terms(views, False)["matching"] != plain).numpy().all()
    unknown = tf.function(
        lambda images: objective.auxiliaries(images),
        input_signature=[tf.TensorSpec([None, 4, 4, 3])],
    )
    assert unknown(tf.zeros((2, 4, 4, 3))).shape == (2, 4, 4, 3)
    with pytest.raises(tf.errors.InvalidArgumentError, match="needs batches of at least 2"):
        unknown(tf.zeros((1, 4, 4, 3)))
    with pytest.raises(ValueError, match="weights for distance, but ObjectFrameObjective has only"):
        ObjectFrameObjective(network, weights={"distance": 1.0}).build()


def test_published_schedules():
    optimizer = published_optimizer("smallnet", 10)
    assert optimizer.amsgrad
    rates = [float(optimizer._learning_rate(step)) for step in (0, 699, 701, 899, 901, 5000)]
    np.testing.assert_allclose(rates, [1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5], rtol=1e-5)
    slow = published_optimizer("landmarks", 3, learning_rate=1e-2, milestones=())
    assert not slow.amsgrad and float(slow.learning_rate) == pytest.approx(1e-2)
    assert TRAINING["hourglass"]["objective"]["normalise"] is True
    for name, recipe in TRAINING.items():
        kind = LandmarkObjective if name == "landmarks" else ObjectFrameObjective
        kind(frame_network(), **recipe["objective"])
        assert recipe["batch_size"] > 1 and recipe["milestones"][-1] < recipe["epochs"]
    with pytest.raises(ValueError, match="unknown recipe 'big'; known are smallnet, hourglass"):
        published_optimizer("big", 10)
    with pytest.raises(ValueError, match="a recipe has no rate, only batch_size"):
        published_optimizer("smallnet", 10, rate=1)
    with pytest.raises(ValueError, match="epoch_steps must be at least 1, got 0"):
        published_optimizer("smallnet", 0)
