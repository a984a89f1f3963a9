"""Flow2Stereo: twelve directions, the geometry's terms, and the student's harder task."""

from itertools import permutations

import keras
import numpy as np
import pytest
import tensorflow as tf

from kcorr import pipelines
from kcorr.datasets import StereoScenes
from kcorr.losses import census, quadrilateral, triangle
from kcorr.models import build
from kcorr.objectives import DistilledStereo, Flow2Stereo, FusedAdam
from kcorr.ops import backward_warp, fb_occlusion, transform_flow
from kcorr.pipelines.stereo import proxy_task

FOUR = [f"image{k}" for k in (1, 2, 3, 4)]
PAIRS = list(permutations((1, 2, 3, 4), 2))
SIZE = (48, 64)


class Planted(keras.Model):
    """A network that knows the flow between any two of the pictures it was given before.

    It recognises a picture by its mean; `shift` is learned and added to every flow.
    """

    def __init__(self, batch, flows):
        super().__init__()
        self.means = {i: float(np.mean(batch[f"image{i}"])) for i in (1, 2, 3, 4)}
        self.flows, self.calls = flows, 0
        self.shift = self.add_weight(shape=(2,), initializer="zeros", name="shift")

    def build(self, input_shape=None):
        self.built = True

    def which(self, image):
        mean = float(np.mean(image))
        return min(self.means, key=lambda i: abs(self.means[i] - mean))

    def call(self, inputs, training=False):
        self.calls += 1
        pairs = zip(*(inputs[key].numpy() for key in ("image1", "image2")), strict=True)
        flows = [self.flows[self.which(one), self.which(two)] for one, two in pairs]
        return {"flow": tf.convert_to_tensor(self.shift) + np.stack(flows)}


@pytest.fixture(scope="module")
def scene():
    """One record with its true flows; each picture has a mean of its own."""
    scenes = StereoScenes(size=SIZE, seed=2, max_motion=4, max_disparity=6, all_pairs=True)
    record = scenes[1]
    batch = {key: record[key][None].astype("float32") / 255 for key in FOUR}
    batch = {
        key: np.clip(0.8 * value + 0.05 * k, 0, 1) for k, (key, value) in enumerate(batch.items())
    }
    return batch, {(i, j): record[f"flow{i}{j}"] for i, j in PAIRS}


def test_terms_against_one_call_for_each_direction(scene):
    batch, flows = scene
    network = Planted(batch, flows)
    terms = Flow2Stereo(network).terms(batch, training=True)
    assert network.calls == 1
    assert terms.keys() == {"photometric", "quadrilateral", "triangle", "hidden"}
    flow = {pair: flows[pair][None] for pair in PAIRS}
    hidden = {(i, j): fb_occlusion(flow[i, j], flow[j, i]) for i, j in PAIRS}
    expected = 0.0
    for i, j in PAIRS:
        warped, _ = backward_warp(batch[f"image{j}"], flow[i, j])
        expected += census(batch[f"image{i}"], warped, 1 - hidden[i, j])
    np.testing.assert_allclose(terms["photometric"], expected, rtol=1e-5)
    share = np.mean([np.mean(mask) for mask in hidden.values()])
    assert 0.05 < share < 0.5
    np.testing.assert_allclose(terms["hidden"], [share], rtol=1e-5)
    around, across = [(1, 2), (1, 3), (2, 4), (3, 4)], [(1, 2), (1, 4), (2, 4)]
    expected = quadrilateral(*(flow[p] for p in around), *(hidden[p] for p in around))
    np.testing.assert_allclose(terms["quadrilateral"], expected, rtol=1e-5)
    expected = triangle(*(flow[p] for p in across), *(hidden[p] for p in across))
    np.testing.assert_allclose(terms["triangle"], expected, rtol=1e-5)
    # On the true flows the geometry costs almost nothing, and photometry little.
    assert float(terms["triangle"][0]) < 2 * 0.01**0.4 + 0.1


def test_a_wrong_flow_costs_geometry(scene):
    batch, flows = scene
    # Both ways, or the forward-backward check would hide it.
    wrong = {**flows, (2, 4): flows[2, 4] + np.float32([1, 0])}
    wrong[4, 2] = flows[4, 2] - np.float32([1, 0])
    right, changed = (Flow2Stereo(Planted(batch, f)).terms(batch, True)
                      for f in (flows, wrong))  # fmt: skip
    for name in ("quadrilateral", "triangle"):
        assert float(changed[name][0]) > float(right[name][0]) + 0.1


def test_weights_and_the_warm_up(scene):
    batch, flows = scene
    for warmup, before in ((0, 1.0), (5, 0.0)):
        objective = Flow2Stereo(Planted(batch, flows), warmup=warmup)
        objective.build()
        objective.compile(keras.optimizers.SGD(0.0))
        objective.build_optimizer()
        terms = {name: float(value[0]) for name, value in objective.terms(batch, False).items()}
        for step, share in ((0, before), (5, 1.0)):
            objective.optimizer.iterations.assign(step)
            loss = float(objective._weighted({k: tf.constant([v]) for k, v in terms.items()}))
            geometry = 0.1 * terms["quadrilateral"] + 0.2 * terms["triangle"]
            assert loss == pytest.approx(terms["photometric"] + share * geometry, rel=1e-5)


@pytest.mark.parametrize("keys", [FOUR[:2], FOUR[:3], ["image0", *FOUR]])
def test_batches_without_four_pictures_are_refused(scene, keys):
    batch, flows = scene
    given = {key: batch.get(key, batch["image1"]) for key in keys}
    for objective in (Flow2Stereo(Planted(batch, flows)), DistilledStereo(Planted(batch, flows))):
        with pytest.raises(ValueError, match=r"expected image1 to image4 .* got image"):
            objective.terms(given, training=True)


def proxied(batch, crop, **options):
    """The batch and what a student sees of it."""
    one = {key: tf.constant(batch[key][0]) for key in FOUR}
    out = proxy_task({**one, "seed": tf.constant([3, 4])}, crop, **options)
    return {key: value[None] for key, value in out.items() if key != "seed"}


def test_the_student_learns_what_is_visible_for_the_teacher_and_no_noise(scene):
    batch, flows = scene
    given = proxied(batch, (32, 40), scale=(0.7, 0.7), noise=0.0, patches=(3, 3))
    affine = given["student_affine1"].numpy()
    said = {pair: np.full((32, 40, 2), (1.0, -0.5), np.float32) for pair in PAIRS}
    views = {key: given[f"student_{key}"].numpy() for key in FOUR}
    terms = DistilledStereo(Planted(views, said), Planted(batch, flows)).terms(given, True)
    assert terms.keys() == {"distillation", "hidden", "taught"}
    expected = 0.0
    for i, j in PAIRS:
        flow, back = flows[i, j][None], flows[j, i][None]
        visible = 1 - fb_occlusion(flow, back)
        target, known = transform_flow(flow, affine, affine, (32, 40), visible)
        mask = known.numpy()[0, ..., 0] * (1 - given[f"student_noise{i}"].numpy()[0, ..., 0])
        assert 0.2 < mask.mean() < 0.99
        penalty = (np.abs(target.numpy()[0] - said[i, j]) + 0.01) ** 0.4
        expected += (penalty * mask[..., None]).sum() / (2 * mask.sum())
    np.testing.assert_allclose(terms["distillation"], [expected], rtol=1e-4)


@pytest.mark.parametrize("occlusion", [True, False])
def test_noise_that_the_student_sees_is_not_compared(scene, occlusion):
    """Whatever is in the rectangles of any picture, the photometric term stays as it is."""
    batch, flows = scene
    given = proxied(batch, (32, 40), scale=(0.7, 0.7), noise=0.0, patches=(3, 3))
    options = {"photometric": "brightness", "photometric_frames": "seen", "occlusion": occlusion}
    # The same small flow everywhere, there and back, so that what is seen tells none apart.
    said = {(i, j): np.full((32, 40, 2), np.sign(j - i), np.float32) for i, j in PAIRS}
    found = []
    for value in (None, 0.5):
        changed = dict(given)
        for i, key in enumerate(FOUR, start=1):
            noise, seen = given[f"student_noise{i}"], given[f"student_{key}"]
            assert 0 < np.mean(noise) < 0.5
            changed[f"student_{key}"] = seen if value is None else tf.where(noise > 0, value, seen)
        views = {key: changed[f"student_{key}"].numpy() for key in FOUR}
        objective = DistilledStereo(Planted(views, said), Planted(batch, flows), **options)
        found.append(float(objective.terms(changed, True)["photometric"][0]))
    assert found[0] == pytest.approx(found[1], rel=1e-5) and found[0] > 0


def test_a_student_that_is_right_has_no_loss_but_the_least(scene):
    """Teacher's flow times the scale is what a perfect student says."""
    batch, flows = scene
    given = proxied(batch, SIZE, scale=(1.0, 1.0), noise=0.0, patches=(0, 0))
    terms = DistilledStereo(Planted(batch, flows), Planted(batch, flows)).terms(given, True)
    np.testing.assert_allclose(terms["distillation"], [12 * 0.01**0.4], rtol=1e-3)


def stream(scenes, proxy=False):
    examples = pipelines.examples(scenes, [*FOUR, "flow", "valid"] if not proxy else FOUR, seed=1)
    if proxy:
        examples = pipelines.mapped(examples, lambda e: proxy_task(e, (48, 48)))
    return pipelines.batches(examples, 1)


def test_a_real_network_trains_in_both_stages():
    # Of some untrained networks the forward-backward check hides everything.
    keras.utils.set_random_seed(1)
    tiny = {
        "feature_widths": (4, 6, 8),
        "estimator_widths": (8, 8),
        "context_widths": (8, 8, 8, 8, 8, 8),
    }
    scenes = StereoScenes(size=(64, 64), seed=5, max_motion=3, max_disparity=4, length=2)
    network, teacher = (build("ddflow_small", **tiny) for _ in range(2))
    for objective, proxy in (
        (Flow2Stereo(network, warmup=2), False),
        (DistilledStereo(network, teacher), True),
    ):
        before = [weight.numpy() for weight in network.weights]
        fixed = [weight.numpy() for weight in teacher.weights]
        objective.build()
        objective.compile(FusedAdam(1e-3), run_eagerly=True)
        data = stream(scenes, proxy)
        logs = objective.fit(data, steps_per_epoch=2, verbose=0, shuffle=False).history
        assert set(objective.term_names) < set(logs)
        assert all(np.isfinite(values).all() for values in logs.values())
        assert logs["skipped_steps"] == [0]
        changed = [
            np.abs(a - b.numpy()).max() for a, b in zip(before, network.weights, strict=True)
        ]
        assert np.mean(np.array(changed) > 0) > 0.9
        assert all((a == b.numpy()).all() for a, b in zip(fixed, teacher.weights, strict=True))
    result = Flow2Stereo(network)
    result.build()
    result.compile(run_eagerly=True)
    found = result.evaluate(stream(scenes), steps=1, verbose=0, return_dict=True)
    assert {"epe", "epe_zero"} < set(found)
