"""DDFlow's terms against the released code's numbers, and against a slow numpy truth of crops."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kcorr.objectives import DistilledFlow, UnsupervisedFlow
from kcorr.objectives.distilled import crop_at

HEIGHT, WIDTH = 24, 32
CROP = (14, 18)


class Planted(keras.Model):
    """A network whose flows are (forward + shift, backward - shift), cut to the frames' size."""

    def __init__(self, forward, backward):
        super().__init__()
        self.flows = [np.asarray(flow, "float32") for flow in (forward, backward)]
        self.shift = self.add_weight(shape=(2,), initializer="zeros", name="shift")
        self.seen = None

    def build(self, input_shape=None):
        self.built = True

    def call(self, inputs, training=False, backward=False):
        self.seen = [np.array(inputs[key]) for key in ("image1", "image2")]
        height, width = inputs["image1"].shape[1:3]
        shift = keras.ops.convert_to_tensor(self.shift)
        forward, back = (flow[:, :height, :width] for flow in self.flows)
        # The tensor first: numpy would add by itself, without a gradient.
        forward, back = shift + forward, -shift + back
        return {"flow": forward, "flow_backward": back}


# === The authors' numbers (their functions, run unmodified) ===


def golden():
    y, x, c = np.ogrid[:HEIGHT, :WIDTH, :3]
    image1 = ((7 * y + 3 * x + 5 * c) % 11) / 10
    image2 = ((5 * y + 2 * x + 3 * c) % 13) / 12
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype("float64")
    forward = np.stack([1.5 + 0.05 * x, -0.75 + 0.1 * y], -1)
    backward = np.stack([-1.25 - 0.04 * x + 1.5 * ((x >= 10) & (x < 16)), 0.5 - 0.08 * y], -1)
    batch = {"image1": image1, "image2": image2}
    return {k: np.float32(v)[None] for k, v in batch.items()}, Planted(
        forward[None], backward[None]
    )


@pytest.mark.parametrize(
    ("photometric", "occlusion", "expected"),
    [
        ("brightness", False, 1.8176821),
        ("brightness", True, 1.7748009),
        ("census", False, 3.5670948),
        ("census", True, 3.5680821),
    ],
)
def test_photometric_terms_are_the_authors(photometric, occlusion, expected):
    batch, network = golden()
    objective = UnsupervisedFlow(network, photometric, occlusion, border="authors")
    terms = objective.terms(batch, training=True)
    assert terms.keys() == {"photometric", "hidden"}
    np.testing.assert_allclose(terms["photometric"], [expected], rtol=1e-5)


# === Distillation ===

CORNERS = np.array([[3, 2], [9, 7], [WIDTH - CROP[1], HEIGHT - CROP[0]]])  # (x, y)
RIGHT = np.array([4.0, 0.0])


def steady(flow, size, batch=3):
    return np.broadcast_to(np.asarray(flow, "float64"), (batch, *size, 2)).copy()


def teacher_flows():
    """Everything moves right by 4; in one block the way back disagrees, so it is hidden."""
    forward, backward = steady(RIGHT, (HEIGHT, WIDTH)), steady(-RIGHT, (HEIGHT, WIDTH))
    backward[:, 8:12, 20:26] = [9, 9]
    return forward, backward


def hidden(forward, backward):
    """The forward-backward check of whole-pixel flows, pixel by pixel."""
    out = np.ones(forward.shape[:3])
    height, width = forward.shape[1:3]
    for b, y, x in np.ndindex(*forward.shape[:3]):
        u, v = forward[b, y, x]
        to_x, to_y = int(x + u), int(y + v)
        if 0 <= to_x < width and 0 <= to_y < height:
            back = backward[b, to_y, to_x]
            gap = np.sum((forward[b, y, x] + back) ** 2)
            out[b, y, x] = gap > 0.01 * (np.sum(forward[b, y, x] ** 2) + np.sum(back**2)) + 0.5
    return out


def cut(maps, corners=CORNERS):
    height, width = CROP
    pairs = zip(maps, corners, strict=True)
    return np.stack([one[y : y + height, x : x + width] for one, (x, y) in pairs])


def robust_difference(student, teacher, mask):
    penalty = (np.abs(teacher - student) + 0.01) ** 0.4 * mask[..., None]
    return penalty.sum((1, 2, 3)) / (2 * mask.sum((1, 2)) + 1e-6)


@pytest.fixture
def batch():
    random = np.random.default_rng(0)
    frames = random.random((2, 3, HEIGHT, WIDTH, 3), "float32")
    return {"image1": frames[0], "image2": frames[1], "crop": np.float32(CORNERS)}


def student():
    return Planted(steady(RIGHT - [1, 0], CROP), steady([1, 0] - RIGHT, CROP))


def expected_distillation():
    """Spec 3.1: both directions, where hidden for the student and visible for the teacher."""
    values = []
    own, theirs = student().flows, teacher_flows()
    for i in (0, 1):
        student_hidden = hidden(own[i], own[1 - i])
        teacher_hidden = cut(hidden(theirs[i], theirs[1 - i]))
        mask = np.clip(student_hidden - teacher_hidden, 0, 1)
        # The truth must tell: pixels that only the student, only the teacher, both, none lose.
        for a, b in ((0, 0), (0, 1), (1, 0), (1, 1)):
            assert i == 1 or ((student_hidden == a) & (teacher_hidden == b)).any()
        values.append(robust_difference(own[i], cut(theirs[i]), mask))
    return 0.5 * (values[0] + values[1])


def teacher_results(flows):
    keys = ("teacher_flow", "teacher_flow_backward")
    there, back = flows
    results = dict(zip(keys, np.float32(flows), strict=True))
    results["teacher_occlusion"] = np.float32(hidden(there, back))[..., None]
    results["teacher_occlusion_backward"] = np.float32(hidden(back, there))[..., None]
    return results


def test_a_student_of_three_frames_sees_the_neighbours_in_its_crop(batch):
    random = np.random.default_rng(1)
    outer = {f"image{i}": random.random((3, HEIGHT, WIDTH, 3), "float32") for i in (0, 3, 4)}
    objective = DistilledFlow(student(), CROP, teacher=Planted(*teacher_flows()))
    pair = {key: outer[key] for key in ("image0", "image3")}
    patches, flow, occlusion = objective.cut({**batch, **pair})
    assert list(patches) == ["image0", "image1", "image2", "image3"]
    for key, seen in patches.items():
        np.testing.assert_array_equal(seen, cut({**batch, **outer}[key]))
    for one, two in zip((flow, occlusion), objective.cut(batch)[1:], strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("live", [True, False], ids=["live teacher", "results from files"])
def test_distillation_counts_where_only_the_student_cannot_see(batch, live):
    network, flows = student(), teacher_flows()
    teacher = Planted(*flows) if live else None
    given = batch if live else {**batch, **teacher_results(flows)}
    objective = DistilledFlow(network, CROP, teacher=teacher)
    terms = objective.terms(given, training=True)
    assert set(objective.term_names) == {"photometric", "distillation"}
    assert terms.keys() == {*objective.term_names, "hidden"}
    np.testing.assert_allclose(terms["distillation"], expected_distillation(), rtol=1e-5)
    for seen, key in zip(network.seen, ("image1", "image2"), strict=True):
        np.testing.assert_array_equal(seen, cut(batch[key]))
    if live:
        for seen, key in zip(teacher.seen, ("image1", "image2"), strict=True):
            np.testing.assert_array_equal(seen, batch[key])


def test_the_photometric_term_is_that_of_the_patches_alone(batch):
    objective = DistilledFlow(student(), CROP, teacher=Planted(*teacher_flows()))
    alone = UnsupervisedFlow(student())
    patches = {key: cut(batch[key]) for key in ("image1", "image2")}
    np.testing.assert_allclose(
        objective.terms(batch, training=True)["photometric"],
        alone.terms(patches, training=True)["photometric"],
        rtol=1e-6,
    )


def test_unknown_flow_of_the_teacher_teaches_nothing(batch):
    forward, backward = teacher_flows()
    forward[:, :, -8:], backward[:, :, :8] = np.nan, np.inf
    objective = DistilledFlow(student(), CROP, teacher=Planted(forward, backward))
    with tf.GradientTape() as tape:
        terms = objective.terms(batch, training=True)
        loss = tf.reduce_sum(terms["distillation"])
    assert np.isfinite(terms["distillation"]).all()
    assert np.isfinite(tape.gradient(loss, objective.network.shift.value)).all()


def test_the_teacher_is_frozen_and_the_student_learns(batch):
    teacher, network = Planted(*teacher_flows()), student()
    objective = DistilledFlow(network, CROP, teacher=teacher, weights={"photometric": 0.0})
    objective.build()
    assert objective.trainable_variables == network.trainable_variables
    objective.compile(keras.optimizers.SGD(0.1))
    objective.build_optimizer()
    objective.train_step({key: tf.constant(value) for key, value in batch.items()})
    np.testing.assert_array_equal(teacher.shift, [0, 0])
    assert network.shift[0] > 0  # 3 px towards the teacher's 4


def test_windows_stay_inside_the_frame():
    maps = np.arange(2 * 5 * 6, dtype="float32").reshape(2, 5, 6, 1)
    found = crop_at(maps, np.float32([[9, -4], [1, 2]]), (3, 4))
    np.testing.assert_array_equal(found[0], maps[0, 0:3, 2:6])
    np.testing.assert_array_equal(found[1], maps[1, 2:5, 1:5])


def test_what_cannot_be_distilled_is_refused(batch):
    network = student()
    with pytest.raises(ValueError, match="another network than the student"):
        DistilledFlow(network, CROP, teacher=network)
    objective = DistilledFlow(network, (14, 40), teacher=Planted(*teacher_flows()))
    with pytest.raises(ValueError, match=r"size \(24, 32\) are smaller than the crop \(14, 40\)"):
        objective.terms(batch, training=True)
    objective = DistilledFlow(network, CROP)
    with pytest.raises(ValueError, match="must hold teacher_flow, teacher_flow_backward"):
        objective.terms(batch, training=True)
    del batch["crop"]
    with pytest.raises(ValueError, match="lacks 'crop'"):
        objective.terms(batch, training=True)
    with pytest.raises(ValueError, match="one of brightness, census, got 'ssim'"):
        UnsupervisedFlow(network, "ssim")
