"""SelFlow's and DistillFlow's terms against slow truths; any network as teacher or student."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from _planted import PixelReader, marked

from kcorr.losses import photometric
from kcorr.models import build
from kcorr.objectives import ChallengedFlow, DistilledFlow, HallucinatedFlow, UnsupervisedFlow
from kcorr.objectives.directions import flows_between

pytestmark = pytest.mark.tensorflow_only

SIZE, SEEN = (24, 32), (14, 18)
PLACES = [(2, 3), (5, 3), (7, 4), (8, 6), (8, 9)]  # where the scene stands in five frames
CORNER = (6, 4)
CROP = np.float32([[1, 0, -CORNER[0]], [0, 1, -CORNER[1]]])


def challenged(images, affines, noise=None):
    """A batch of one example, student images cropped or zero but for the marks they need."""
    batch = dict(images)
    numbers = [int(key[-1]) for key in images]
    for number, affine in zip(numbers, affines, strict=True):
        image = images[f"image{number}"]
        x, y = CORNER
        seen = image[:, y : y + SEEN[0], x : x + SEEN[1]].copy()
        seen[:, 0, 0] = image[:, 0, 0]
        batch[f"student_image{number}"] = seen
        batch[f"student_affine{number}"] = np.float32(affine)[None]
    batch["hallucinated"] = np.zeros((1, *SEEN, 1), "float32") if noise is None else noise
    return batch


def pair():
    images = dict(zip(("image1", "image2"), marked(SIZE, PLACES[1:3]), strict=True))
    return challenged(images, [CROP, CROP])


def window():
    images = {f"image{i}": image for i, image in enumerate(marked(SIZE, PLACES))}
    return challenged(images, [CROP] * 5)


def penalty(difference, mask):
    values = (np.abs(difference) + 0.01) ** 0.4 * mask[..., None]
    return values.sum() / (2 * mask.sum() + 1e-6)


def leaves(flow, size, corner=(0, 0), whole=SIZE):
    """Which pixels of a window of `size` leave a frame of size `whole` by a constant flow."""
    y, x = np.mgrid[: size[0], : size[1]]
    x, y = x + corner[0] + flow[0], y + corner[1] + flow[1]
    return (x < 0) | (y < 0) | (x > whole[1] - 1) | (y > whole[0] - 1)


def displacement(i, j):
    return np.subtract(PLACES[j], PLACES[i])


# === Which flows ===


@pytest.mark.parametrize("frames", [2, 3])
def test_every_network_gives_all_directions(frames):
    """A network of three frames in its training mode, one of two frames pair by pair."""
    network = PixelReader(frames=frames)
    for batch, count in ((pair(), 2), (window(), 4)):
        images = {key: value for key, value in batch.items() if key.startswith("image")}
        flows, finest, sequences = flows_between(network, images)
        assert list(flows) == list(finest) == [(1, 2), (2, 1), (2, 3), (3, 2)][:count]
        assert sequences == {}
        for (i, j), flow in flows.items():
            expected = np.broadcast_to(displacement(i, j), (1, *SIZE, 2))
            np.testing.assert_allclose(flow, expected, atol=1e-5)
            np.testing.assert_allclose(finest[i, j], expected, atol=1e-5)
    wanted = [f"image{i}" for i in range(5)] if frames == 3 else ["image1", "image2"]
    assert network.asked[-1] == wanted


def test_unsupervised_learning_of_windows_sums_four_directions():
    images = {key: value for key, value in window().items() if key.startswith("image")}
    expected = 0
    for i, j in ((1, 2), (2, 3)):
        two = {"image1": images[f"image{i}"], "image2": images[f"image{j}"]}
        expected = expected + UnsupervisedFlow(PixelReader()).terms(two, True)["photometric"]
    for frames in (2, 3):
        terms = UnsupervisedFlow(PixelReader(frames=frames)).terms(images, True)
        np.testing.assert_allclose(terms["photometric"], expected, rtol=1e-5)


# === SelFlow ===


@pytest.mark.parametrize("batch", [pair(), window()], ids=["pairs", "windows"])
def test_hallucination_teaches_what_only_the_student_cannot_see(batch):
    """The student errs by one pixel in each direction; hidden are pixels that leave the crop."""
    wrong = np.array([1.0, 0.0])
    student, teacher = PixelReader(offset=wrong), PixelReader(frames=3)
    objective = HallucinatedFlow(student, teacher)
    terms = objective.terms(batch, training=True)
    assert set(objective.term_names) == {"photometric", "distillation"}
    assert terms.keys() == {*objective.term_names, "hidden", "taught"}
    ways = [(1, 2), (2, 1), (2, 3), (3, 2)][: 4 if "image4" in batch else 2]
    expected = 0
    for i, j in ways:
        truth = displacement(i, j)
        # The student's two flows disagree by (2, 0) everywhere: all is hidden for it.
        teacher_hidden = leaves(truth, SEEN, CORNER)
        expected += penalty(np.broadcast_to(wrong, (*SEEN, 2)), ~teacher_hidden)
    np.testing.assert_allclose(terms["distillation"], [expected], rtol=1e-4)


def test_a_consistent_student_learns_only_what_leaves_its_crop():
    batch = pair()
    # Both directions err the same way and so agree: only pixels that leave the view are hidden.
    student = PixelReader(scale=12.0)
    terms = HallucinatedFlow(student, PixelReader()).terms(batch, training=True)
    expected = 0
    for i, j in ((1, 2), (2, 1)):
        truth = displacement(i, j)
        mask = leaves(1.2 * truth, SEEN, whole=SEEN) & ~leaves(truth, SEEN, CORNER)
        assert 0 < mask.sum() < mask.size
        expected += penalty(np.broadcast_to(0.2 * truth, (*SEEN, 2)), mask)
    np.testing.assert_allclose(terms["distillation"], [expected], rtol=1e-4)


def test_crops_teach_as_ddflow_does():
    """The same crop, once cut by DDFlow's objective and once as an affine map."""
    batch = {**pair(), "crop": np.float32([CORNER])}
    student, teacher = PixelReader(scale=12.0), PixelReader()
    for i in (1, 2):  # the marks must be in what DDFlow cuts, too
        batch[f"image{i}"][0, CORNER[1], CORNER[0], :2] = batch[f"image{i}"][0, 0, 0, :2]
        batch[f"student_image{i}"] = batch[f"image{i}"][:, 4:18, 6:24]
    ours = HallucinatedFlow(student, teacher).terms(batch, training=True)
    theirs = DistilledFlow(student, SEEN, teacher=teacher).terms(batch, training=True)
    np.testing.assert_allclose(ours["distillation"], 2 * theirs["distillation"], rtol=1e-5)
    np.testing.assert_allclose(ours["photometric"], theirs["photometric"], rtol=1e-5)


@pytest.mark.parametrize("occlusion", [True, False])
def test_the_photometric_term_compares_clean_frames_or_those_seen(occlusion):
    noise = np.zeros((1, *SEEN, 1), "float32")
    noise[:, 5:9, 6:12] = 1
    images = dict(zip(("image1", "image2"), marked(SIZE, PLACES[1:3]), strict=True))
    random = np.random.default_rng(3)

    def term(frames, noisy):
        batch = challenged(images, [CROP, CROP], noise)
        if noisy:
            seen = batch["student_image2"]
            seen[...] = np.where(noise > 0, random.random(seen.shape, "float32"), seen)
        options = {"photometric_frames": frames, "occlusion": occlusion}
        objective = HallucinatedFlow(PixelReader(), PixelReader(), "brightness", **options)
        return float(objective.terms(batch, True)["photometric"][0])

    assert term("clean", False) == term("clean", True)
    assert term("seen", False) == pytest.approx(term("seen", True), rel=1e-5)
    # Without noise both compare the same frames, but for the marks and the patch left out.
    assert term("clean", False) != term("seen", False)
    assert term("clean", False) == pytest.approx(term("seen", False), rel=0.2)


@pytest.mark.parametrize("occlusion", [True, False])
def test_what_lies_beside_a_frame_is_not_compared(occlusion):
    """Black equals black: such pixels would make the term small. Hiding nothing counts none."""
    beside = np.float32([[1, 0, 5], [0, 1, 3]])  # five columns and three rows
    images = dict(zip(("image1", "image2"), marked(SIZE, PLACES[1:3]), strict=True))
    still = PixelReader(scale=0.0)
    options = {"photometric": "brightness", "occlusion": occlusion}
    objective = ChallengedFlow(still, PixelReader(), **options)
    found = objective.terms(challenged(images, [beside, beside]), True)["photometric"]
    first, second = (image[:, : SEEN[0] - 3, : SEEN[1] - 5] for image in images.values())
    np.testing.assert_allclose(found, 2 * photometric(first, second), rtol=1e-4)


# === DistillFlow ===

TURN = np.float32([[0, -1, 26], [1, 0, -6]])  # by a quarter, exactly
OTHER = np.float32([[0, -1, 27], [1, 0, -4]])


def turned_truth(i, j, maps):
    """Pixel by pixel: the displaced scene between two maps, and what of it is known."""
    flow, known = np.zeros((*SEEN, 2)), np.zeros(SEEN, bool)
    first, second = maps[i].astype("float64"), maps[j].astype("float64")
    hidden = leaves(displacement(i, j), SIZE)
    for y, x in np.ndindex(*SEEN):
        px, py = np.linalg.solve(first[:, :2], [x, y] - first[:, 2]).round().astype(int)
        if 0 <= px < SIZE[1] and 0 <= py < SIZE[0] and not hidden[py, px]:
            end = np.array([px, py]) + displacement(i, j)
            flow[y, x] = second[:, :2] @ end + second[:, 2] - [x, y]
            known[y, x] = True
    return flow, known


def test_teachers_flow_is_moved_by_both_maps():
    images = dict(zip(("image1", "image2"), marked(SIZE, PLACES[1:3]), strict=True))
    batch = challenged(images, [TURN, OTHER])
    student = PixelReader(scale=7.0)
    terms = ChallengedFlow(student, PixelReader()).terms(batch, training=True)
    assert terms.keys() == {"distillation", "hidden", "taught"}
    expected = 0
    for i, j in ((1, 2), (2, 1)):
        flow, known = turned_truth(i, j, {1: TURN, 2: OTHER})
        assert 30 < known.sum() < known.size
        expected += penalty(flow - 0.7 * displacement(i, j), known)
    np.testing.assert_allclose(terms["distillation"], [expected], rtol=1e-4)


def test_an_ensemble_teaches_its_mean_where_it_agrees():
    batch = pair()
    teachers = [PixelReader(offset=(0.4, 0)), PixelReader(offset=(-0.2, 0), frames=3)]
    student = PixelReader(offset=(2.1, 0))
    for agreement, counts in ((None, True), (1.0, True), (0.5, False)):
        objective = ChallengedFlow(student, teachers, agreement=agreement)
        terms = objective.terms(batch, training=True)
        expected = 0
        for i, j in ((1, 2), (2, 1)):
            mean = displacement(i, j) + np.array([0.1, 0])
            mask = ~leaves(mean, SEEN, CORNER) & counts
            expected += penalty(np.broadcast_to([2.0, 0], (*SEEN, 2)), mask)
        np.testing.assert_allclose(terms["distillation"], [expected], rtol=1e-4, atol=1e-7)
        assert (expected > 0) == counts


def test_results_from_files_teach_as_the_teacher_does():
    batch = pair()
    ways = {(1, 2): "", (2, 1): "_backward"}
    for (i, j), suffix in ways.items():
        truth = displacement(i, j)
        batch[f"teacher_flow{suffix}"] = np.float32(np.broadcast_to(truth, (1, *SIZE, 2)))
        hidden = leaves(truth, SIZE)[None, ..., None]
        batch[f"teacher_occlusion{suffix}"] = np.float32(hidden)
    student = PixelReader(scale=12.0)
    live, files = (
        ChallengedFlow(student, teachers).terms(batch, True) for teachers in (PixelReader(), ())
    )
    np.testing.assert_allclose(files["distillation"], live["distillation"], rtol=1e-5)


def test_teachers_stay_as_they_are_and_out_of_the_checkpoint(tmp_path):
    teacher, student = PixelReader(), PixelReader(scale=0.0, offset=(1, 0))
    objective = ChallengedFlow(student, teacher)
    objective.build()
    assert objective.trainable_variables == student.trainable_variables
    assert [weight.path for weight in objective.weights].count(teacher.shift.path) <= 1
    objective.compile(keras.optimizers.SGD(0.5))
    objective.build_optimizer()
    objective.train_step({key: tf.constant(value) for key, value in pair().items()})
    np.testing.assert_array_equal(teacher.shift, [0, 0])
    assert np.abs(student.shift).max() > 0 and not teacher.trainable


# === Any network, as it is ===

TINY = {
    "feature_widths": (4, 4, 4, 4, 4, 4),
    "estimator_widths": (4,),
    "context_widths": (4, 4, 4, 4, 4, 4),
    "radius": 1,
}


def tiny(name, **options):
    return build(name, **({**TINY, **options} if "flow_small" in name else options))


def frames(count, size=(64, 80)):
    random = np.random.default_rng(1)
    images = random.random((count, 1, *size, 3), "float32")
    first = 1 if count == 2 else 0
    batch = {f"image{i + first}": image for i, image in enumerate(images)}
    for key in list(batch):
        batch[f"student_{key}"] = batch[key]
        batch[f"student_affine{key[-1]}"] = np.float32([[[1, 0.1, -2], [0, 1, -1]]])
    batch["hallucinated"] = np.zeros((1, *size, 1), "float32")
    return {key: tf.constant(value) for key, value in batch.items()}


@pytest.mark.parametrize("count", [2, 5])
@pytest.mark.parametrize(
    ("name", "others"),
    [("ddflow_small", ["selflow_small"]), ("selflow_small", ["ddflow_small", "spynet"])],
)
def test_networks_teach_each_other(name, others, count):
    keras.utils.set_random_seed(0)
    student, teachers = tiny(name), [tiny(other) for other in others]
    objective = HallucinatedFlow(student, teachers, smoothness=1.0, learn="visible")
    batch = frames(count)
    with tf.GradientTape() as tape:
        terms = objective.terms(batch, training=True)
        loss = tf.add_n([tf.reduce_sum(value) for value in terms.values()])
    assert terms.keys() == {"photometric", "smoothness", "distillation", "hidden", "taught"}
    assert all(value.shape == (1,) and np.isfinite(value).all() for value in terms.values())
    gradients = tape.gradient(loss, student.trainable_variables)
    # The first level of the pyramid's features carries no flow, but leads to those that do.
    assert all(g is not None and np.isfinite(g).all() for g in gradients)
    assert sum(float(tf.reduce_sum(tf.abs(g))) > 0 for g in gradients) >= len(gradients) - 2
    assert not any(teacher.trainable_variables for teacher in teachers)


def test_the_student_learns_the_moved_flow_of_its_teacher():
    """One pair, planted teacher, another map for each frame: the student's error falls."""
    keras.utils.set_random_seed(0)
    texture = np.random.default_rng(0).random((1, 40, 48, 3), "float32")
    texture = tf.image.resize(texture, (80, 96), "bicubic").numpy().clip(0, 1)
    images = {"image1": texture[:, 4:72, 4:84], "image2": texture[:, 4:72, 2:82]}  # right by 2
    batch = {**images, "hallucinated": np.zeros((1, 64, 72, 1), "float32")}
    for i, map_ in ((1, [[1, 0, -3], [0, 1, -2]]), (2, [[1, 0, -2], [0, 1, -2]])):
        left = -map_[0][2]
        batch[f"student_image{i}"] = images[f"image{i}"][:, 2:66, left : left + 72]
        batch[f"student_affine{i}"] = np.float32([map_])

    class Right(PixelReader):
        def between(self, inputs, i, j):
            return keras.ops.zeros_like(inputs["image1"][..., :2]) + np.float32([2 * (j - i), 0])

    network = tiny("ddflow_small", dtype="mixed_bfloat16")
    objective = ChallengedFlow(network, Right())
    objective.build()
    steps = 80
    objective.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(3e-3, steps)))
    objective.build_optimizer()
    step = tf.function(objective.train_step, autograph=False)
    batch = {key: tf.constant(value) for key, value in batch.items()}
    for _ in range(steps):
        step(batch)
    views = {f"image{i}": batch[f"student_image{i}"] for i in (1, 2)}
    wrong = np.linalg.norm(np.asarray(network(views)["flow"]) - [3, 0], axis=-1)
    assert wrong.mean() < 1.0  # of 3


def test_what_cannot_be_learned_from_is_refused():
    network = PixelReader()
    with pytest.raises(ValueError, match="another network than the student"):
        ChallengedFlow(network, [PixelReader(), network])
    with pytest.raises(ValueError, match="visible, hidden, got 'all'"):
        ChallengedFlow(network, learn="all")
    with pytest.raises(ValueError, match="clean, seen, got 'noisy'"):
        HallucinatedFlow(network, photometric_frames="noisy")
    with pytest.raises(ValueError, match=r"two or more teachers, got 1\.0 and 1 teachers"):
        ChallengedFlow(network, PixelReader(), agreement=1.0)
    batch = pair()
    with pytest.raises(ValueError, match="must hold teacher_flow, teacher_flow_backward"):
        ChallengedFlow(network).terms(batch, True)
    keys = ("teacher_flow", "teacher_flow_backward")
    given = {key: np.zeros((1, *SIZE, 2), "float32") for key in keys}
    for key in ("teacher_occlusion", "teacher_occlusion_backward"):
        given[key] = np.zeros((1, *SIZE, 1), "float32")
    with pytest.raises(ValueError, match="results in the batch are of image1 and image2 only"):
        ChallengedFlow(network).terms({**window(), **given}, True)
    del batch["student_image2"]
    with pytest.raises(ValueError, match="lacks student_image2: see"):
        ChallengedFlow(network, PixelReader()).terms(batch, True)
