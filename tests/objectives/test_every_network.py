"""Every network takes every method: one step each, at a size that nothing divides.

Flow2Stereo's student is `ChallengedFlow` over twelve directions; test_flow2stereo.py has it.
"""

import keras
import numpy as np
import pytest

from kcorr import pipelines
from kcorr.models import build
from kcorr.models.registry import NETWORKS
from kcorr.objectives import (
    ChallengedFlow,
    DistilledFlow,
    FineTunedFlow,
    Flow2Stereo,
    FusedAdam,
    HallucinatedFlow,
    SupervisedFlow,
    UnsupervisedFlow,
)
from recipes import common

HEIGHT, WIDTH = 64, 96
SMALL = sorted(name for name in NETWORKS if name.endswith("_small"))


@pytest.fixture(scope="module", params=SMALL)
def network(request):
    keras.utils.set_random_seed(0)
    return build(request.param)


@pytest.fixture(scope="module")
def batch():
    random = np.random.default_rng(0)
    image = random.random((2, HEIGHT, WIDTH, 3))
    for axis in (1, 2):
        image = (image + np.roll(image, 1, axis) + np.roll(image, 2, axis)) / 3
    flow = np.broadcast_to([2, 1], (2, HEIGHT, WIDTH, 2))
    arrays = {
        "image1": image,
        "image2": np.roll(image, (1, 2), (1, 2)),
        "flow": flow,
        "valid": np.ones((2, HEIGHT, WIDTH, 1)),
        "crop": np.array([[0, 8], [16, 0]]),
        # A teacher to whom nothing is hidden.
        "teacher_flow": flow,
        "teacher_flow_backward": -flow,
        "teacher_occlusion": np.zeros((2, HEIGHT, WIDTH, 1)),
        "teacher_occlusion_backward": np.zeros((2, HEIGHT, WIDTH, 1)),
        "hallucinated": np.zeros((2, HEIGHT, WIDTH, 1)),
    }
    for i in (1, 2):  # the student sees the frames as they are
        arrays[f"student_image{i}"] = arrays[f"image{i}"]
        arrays[f"student_affine{i}"] = np.broadcast_to(np.eye(2, 3), (2, 2, 3))
    return {name: keras.ops.convert_to_tensor(np.float32(a)) for name, a in arrays.items()}


class Mover(keras.Model):
    """A teacher who says one motion; the scene moves by (2, 1) from each frame to the next."""

    def __init__(self, x=2, y=1):
        super().__init__()
        self.motion, self.built = np.float32([x, y]), True

    def call(self, inputs, training=False, backward=False):
        flow = keras.ops.zeros_like(inputs["image1"][..., :2]) + self.motion
        return {"flow": flow, "flow_backward": -flow} if backward else {"flow": flow}


@pytest.fixture(scope="module")
def challenges(batch):
    """{how many frames: batch} of what DistillFlow's and SelFlow's students see of the scene."""
    frames = [np.roll(batch["image1"], (i - 1, 2 * i - 2), (1, 2)) for i in range(5)]
    noise = {"shape": "rectangles", "fewest": 2, "most": 4}
    harder = {"colour": pipelines.COLOUR, "geometry": pipelines.GEOMETRY}
    batches = {}
    for count, numbers, options in ((2, (1, 2), harder), (5, range(5), {})):
        examples = [
            pipelines.challenge(
                {"seed": np.int32([b, 7]), **{f"image{i}": frames[i][b] for i in numbers}},
                (48, 72),
                noise,
                **options,
            )
            for b in range(2)
        ]
        keys = sorted(examples[0].keys() - {"seed"})
        batches[count] = {key: keras.ops.stack([one[key] for one in examples]) for key in keys}
    return batches


# Without occlusion handling, as one begins: the masks of an untrained network can hide everything.
def unsupervised(network):
    return UnsupervisedFlow(network, occlusion=False, smoothness=0.1)


def distilled(network):
    return DistilledFlow(network, (48, 72), occlusion=False, smoothness=0.1)


def hallucinated(network):
    return HallucinatedFlow(network, learn="visible", occlusion=False)


def challenged(network):
    """Of an ensemble that agrees well enough."""
    teachers = [Mover(1.8), Mover(2.2)]
    return ChallengedFlow(network, teachers, agreement=1.0, smoothness=0.1)


def window(network):
    """Five frames, four flows."""
    return HallucinatedFlow(network, Mover(), learn="visible", occlusion=False)


def stereo(network):
    return Flow2Stereo(network, occlusion=False)


def four_pictures(image):
    """One picture moved to the left: to the right camera, over time, and both."""
    moved = [keras.ops.roll(image[:1, :, :64], -shift, 2) for shift in (0, 2, 1, 3)]
    return {f"image{i}": one for i, one in enumerate(moved, 1)}


METHODS = [
    unsupervised,
    distilled,
    hallucinated,
    window,
    challenged,
    stereo,
    SupervisedFlow,
    FineTunedFlow,
]


@pytest.mark.parametrize("method", METHODS)
def test_a_step_moves_all_weights(method, network, batch, challenges):
    if method is stereo:
        batch = four_pictures(batch["image1"])
        if network.frames == 3:
            with pytest.raises(ValueError, match="expected a network of two frames"):
                method(network).terms(batch, True)
            return
    batch = {window: challenges[5], challenged: challenges[2]}.get(method, batch)
    kept = network.get_weights()
    objective = method(network)
    objective.build()
    # Adam moves what has any gradient; the first levels' would drown in SGD's rounding.
    objective.compile(FusedAdam(1e-3, epsilon=1e-20))
    objective.build_optimizer()
    logs = {name: float(value) for name, value in objective.train_step(batch).items()}
    moved = zip(network.trainable_variables, kept, strict=True)
    still = [weight.path for weight, old in moved if np.array_equal(weight, old)]
    network.set_weights(kept)
    assert not still
    assert set(objective.term_names) <= set(logs)
    assert np.isfinite(list(logs.values())).all() and logs["skipped_steps"] == 0, logs
    # Of the geometry an untrained network's forward-backward check can leave nothing.
    sure = {"gradient_norm", *objective.term_names} - {"quadrilateral", "triangle"}
    assert min(logs[name] for name in sure) > 0, logs


def test_recipes_offer_every_network():
    assert sorted(common.NETWORKS) == sorted(NETWORKS)
