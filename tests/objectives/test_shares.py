"""What the flow objectives watch: the shares of pixels that are hidden, and that are taught."""

import io
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from _planted import PixelReader, marked

from kcorr.objectives import (
    ChallengedFlow,
    DistilledFlow,
    Flow2Stereo,
    JsonLines,
    Progress,
    UnsupervisedFlow,
)

pytestmark = pytest.mark.tensorflow_only

SIZE = (24, 32)
# No motion between two of 1 to 4 is whole: rounding decides nothing at the border.
PLACES = [(1.2, 3.1), (4.5, 3.5), (6.9, 4.7), (8.2, 6.4), (8.6, 9.0)]
CORNER, SEEN = (6, 4), (14, 18)


def frames(*numbers):
    images = marked(SIZE, [PLACES[i] for i in numbers])
    return {f"image{i}": image for i, image in zip(numbers, images, strict=True)}


def left(motion, size=SIZE):
    """The share of pixels that a constant motion takes out of the frame."""
    stay = [side - np.ceil(abs(m)) for m, side in zip(motion[::-1], size, strict=True)]
    return 1 - np.prod(stay) / np.prod(size)


@pytest.mark.parametrize("numbers", [(1, 2), (0, 1, 2, 3, 4), (1, 2, 3, 4)])
def test_hidden_is_the_mean_share_over_all_directions(numbers):
    ways = {2: [(1, 2)], 5: [(1, 2), (2, 3)], 4: [(i, j) for i in range(1, 5) for j in range(1, i)]}
    shares = [left(np.subtract(PLACES[j], PLACES[i])) for i, j in ways[len(numbers)]]
    objective = (Flow2Stereo if len(numbers) == 4 else UnsupervisedFlow)(PixelReader())
    terms = objective.terms(frames(*numbers), training=True)
    np.testing.assert_allclose(terms["hidden"], [np.mean(shares)], rtol=1e-5)


@pytest.mark.parametrize("occlusion", [True, False])
def test_a_check_that_hides_everything_is_seen(occlusion):
    """The two flows disagree by 2 px: the term is the best there is, and says nothing."""
    objective = UnsupervisedFlow(PixelReader(offset=(1, 0)), occlusion=occlusion)
    terms = objective.terms(frames(1, 2), training=True)
    np.testing.assert_array_equal(terms["hidden"], [1])
    assert (terms["photometric"][0] == 0) == occlusion


def crops():
    batch = frames(1, 2)
    x, y = CORNER
    for i in (1, 2):
        seen = batch[f"image{i}"][:, y : y + SEEN[0], x : x + SEEN[1]].copy()
        seen[:, 0, 0] = batch[f"image{i}"][:, 0, 0]
        batch[f"student_image{i}"] = seen
        batch[f"student_affine{i}"] = np.float32([[[1, 0, -x], [0, 1, -y]]])
    return {**batch, "hallucinated": np.zeros((1, *SEEN, 1), "float32")}


@pytest.mark.parametrize("learn", ["visible", "hidden"])
def test_taught_is_where_the_distillation_counts(learn):
    motion = np.subtract(PLACES[2], PLACES[1])
    terms = ChallengedFlow(PixelReader(), PixelReader(), learn=learn).terms(crops(), True)
    hidden = left(motion, SEEN)
    np.testing.assert_allclose(terms["hidden"], [hidden], rtol=1e-5)
    # The crop's surroundings are wider than the motion: all that leaves it the teacher sees.
    np.testing.assert_allclose(terms["taught"], [hidden if learn == "hidden" else 1], rtol=1e-5)
    blind = ChallengedFlow(PixelReader(), PixelReader(offset=(1, 0)), learn=learn)
    found = blind.terms(crops(), True)
    assert float(found["taught"][0]) == float(found["distillation"][0]) == 0


def test_hidden_in_ddflow_is_the_students():
    x, y = CORNER
    batch = {**frames(1, 2), "crop": np.float32([CORNER])}
    for i in (1, 2):
        batch[f"image{i}"][0, y, x] = batch[f"image{i}"][0, 0, 0]
    terms = DistilledFlow(PixelReader(), SEEN, teacher=PixelReader()).terms(batch, True)
    share = left(np.subtract(PLACES[2], PLACES[1]), SEEN)
    np.testing.assert_allclose(terms["hidden"], [share], rtol=1e-5)


def test_they_are_logged_and_shown_and_weigh_nothing(tmp_path):
    objective = UnsupervisedFlow(PixelReader(), occlusion=False)
    objective.build()
    objective.compile(keras.optimizers.SGD(0.0))
    data, stream = tf.data.Dataset.from_tensors(frames(1, 2)), io.StringIO()
    callbacks = [JsonLines(tmp_path / "log.jsonl"), Progress(stream=stream)]
    objective.fit(data, validation_data=data, callbacks=callbacks, verbose=0, shuffle=False)
    line = json.loads((tmp_path / "log.jsonl").read_text())
    share = left(np.subtract(PLACES[2], PLACES[1]))
    assert line["hidden"] == line["val_hidden"] == pytest.approx(share, rel=1e-5)
    assert line["loss"] == line["photometric"]
    assert f"hidden {share:.4g}" in stream.getvalue()
