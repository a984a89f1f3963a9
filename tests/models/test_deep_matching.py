"""Deep matching as a network: planted shifts, strips, saving, blank and small pictures."""

import keras
import numpy as np
import pytest
from _gradients import evaluate
from keras import ops
from PIL import Image

from kcorr.layers import HogDescriptor
from kcorr.models import DeepMatching, SmallDescriptor, build, predict_matches
from kcorr.models import deep_matching as module

SHIFT = (-6, 8)


def textured(height, width, seed=0):
    coarse = np.random.default_rng(seed).integers(0, 255, (height // 4, width // 4, 3), "uint8")
    return np.asarray(Image.fromarray(coarse).resize((width, height), 3), "float32") / 255


@pytest.fixture(scope="module")
def pair():
    """What is at p in image1 is at p + SHIFT in image2."""
    big = textured(120, 140)
    images = big[20:84, 20:100], big[20 - SHIFT[1] : 84 - SHIFT[1], 20 - SHIFT[0] : 100 - SHIFT[0]]
    return {f"image{k}": image[None] for k, image in enumerate(images, start=1)}


def network(descriptor="small", **options):
    keras.utils.set_random_seed(0)
    return built(DeepMatching(descriptor, **{"radius": 16, "levels": 3, **options}))


def built(net):
    net.build()
    return net


def numpy_of(output):
    return {key: ops.convert_to_numpy(value) for key, value in output.items()}


@pytest.mark.parametrize("descriptor", ["hog", "hog_gpu", "small", "vgg"])
def test_a_shift_is_found_by_the_points_that_see_it(pair, descriptor):
    net = network(descriptor)
    output = numpy_of(net(pair))
    points, found = output["points1"][0], output["points2"][0]
    assert points.shape == found.shape == (8 * 10, 2)
    kept = output["reciprocal"][0, :, 0] > 0
    seen = ((points + SHIFT > 6) & (points + SHIFT < (80 - 6, 64 - 6))).all(-1)
    assert kept[seen].mean() > 0.9
    right = (np.abs(found - points - SHIFT).max(-1) < 0.01)[kept & seen]
    assert right.mean() > 0.95
    # Points are 8 i + 4, HOG's half a pixel before them.
    offset = 3.5 if descriptor.startswith("hog") else 4
    x, y = np.meshgrid(8 * np.arange(10) + offset, 8 * np.arange(8) + offset)
    np.testing.assert_array_equal(points, np.stack([x.ravel(), y.ravel()], axis=-1))


def test_strips_and_scores_say_the_same_as_the_whole(pair, monkeypatch):
    net = network("hog", radius=8, cell=8)
    whole = numpy_of(net(pair))
    scores = ops.convert_to_numpy(net(pair, training=True)["scores"])
    assert scores.shape == (1, 9, 9, 8, 10)
    np.testing.assert_array_equal(scores.max((1, 2)).ravel(), whole["confidence"].ravel())
    monkeypatch.setattr(module, "_HELD", 9 * 9 * 10 * 3)  # three rows of points at a time
    monkeypatch.setattr(module, "_FEWEST", 1)
    strips = numpy_of(net(pair))
    for key, value in whole.items():
        np.testing.assert_array_equal(strips[key], value, err_msg=key)


def test_the_gradient_reaches_descriptors_and_exponents(pair):
    net = network(radius=8, levels=2)
    before = [ops.convert_to_numpy(weight) for weight in net.trainable_weights]
    assert len(before) == 9 and net.exponents.shape == (2,)
    if keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    with tf.GradientTape() as tape:
        scores = net(pair, training=True)["scores"]
        total = tf.reduce_sum(tf.where(tf.math.is_finite(scores), scores, 0.0))
    for slope, weight in zip(
        tape.gradient(total, net.trainable_weights), net.trainable_weights, strict=True
    ):
        assert np.isfinite(slope).all() and np.abs(slope).max() > 0, weight.path


def test_exponents_by_name_of_the_descriptor():
    hog, cnn = network("hog", exponent=1.2), network("small", learned_exponents=False)
    assert hog.exponents.shape == (4,) and cnn.exponents.shape == (3,)  # level 0 of HOG, too
    np.testing.assert_allclose(hog.exponents, 1.2)
    assert not any(weight is cnn.exponents for weight in cnn.trainable_weights)


@pytest.mark.parametrize(
    "descriptor", ["small", HogDescriptor("gpu"), SmallDescriptor(widths=(4, 5))], ids=str
)
def test_saved_and_read_back(pair, tmp_path, descriptor):
    net = network(descriptor, levels=2, radius=8, rounding="ceil", border="valid")
    expected = numpy_of(net(pair))
    net.save(tmp_path / "net.keras")
    again = keras.saving.load_model(tmp_path / "net.keras", compile=False)
    one, other = ({**n.get_config(), "descriptor": None} for n in (again, net))
    assert one == other
    for key, value in numpy_of(again(pair)).items():
        np.testing.assert_array_equal(value, expected[key])


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_finds_the_shift(pair, policy):
    net = network(dtype=policy)
    output = numpy_of(net(pair))
    assert {value.dtype for value in output.values()} == {np.dtype("float32")}
    kept = output["reciprocal"][..., 0] > 0
    right = np.abs(output["points2"] - output["points1"] - SHIFT).max(-1) < 0.01
    assert right[kept].mean() > 0.9


@pytest.mark.tensorflow_only
def test_a_graph_of_unknown_sizes_says_the_same(pair):
    import tensorflow as tf

    net = network("hog", radius=8)
    spec = tf.TensorSpec([None, None, None, 3], tf.float32)
    graph = tf.function(lambda a, b: net({"image1": a, "image2": b}), input_signature=[spec, spec])
    expected = numpy_of(net(pair))
    for key, value in graph(pair["image1"], pair["image2"]).items():
        np.testing.assert_allclose(value, expected[key], atol=1e-5, err_msg=key)


# === Arrays in, arrays out ===


def test_matches_come_verified_and_the_surest_first(pair):
    net = network("hog")
    image1, image2 = (np.asarray(pair[key][0]) for key in ("image1", "image2"))
    matches = predict_matches(net, image1, image2)
    output = numpy_of(net(pair))
    assert matches.dtype == np.float32 and matches.shape[1] == 5
    assert len(matches) == int(output["reciprocal"].sum()) < 80
    assert (np.diff(matches[:, 4]) <= 0).all()
    assert len(predict_matches(net, image1, image2, verified=False)) == 80
    bytes_of = [(255 * image).round().astype("uint8") for image in (image1, image2)]
    close = predict_matches(net, *bytes_of)
    assert abs(len(close) - len(matches)) <= 4


@pytest.mark.parametrize("descriptor", ["hog", "hog_gpu", "small"])
def test_blank_pictures_match_nowhere(descriptor):
    blank = np.full((48, 64, 3), 0.5, "float32")
    assert predict_matches(network(descriptor), blank, blank).shape == (0, 5)


def test_wrong_pictures_are_named():
    net = network("hog")
    picture = np.zeros((40, 48, 3), "float32")
    with pytest.raises(ValueError, match="48x40 and image2 40x48, expected one size"):
        predict_matches(net, picture, picture.transpose(1, 0, 2))
    with pytest.raises(ValueError, match="12x40, too small for patches to match"):
        predict_matches(net, picture[:, :12], picture[:, :12])
    with pytest.raises(ValueError, match="gives flow; expected a network of matches such as deep"):
        predict_matches(build("spynet_small"), picture, picture)
    with pytest.raises(ValueError, match="at least 16x16, got"):
        net({"image1": picture[None, :8], "image2": picture[None, :8]})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"descriptor": "sift"}, "descriptor must be one of hog, hog_gpu, small, vgg"),
        ({"radius": 7, "descriptor": "hog"}, "radius must be a multiple of 2"),
        ({"spacing": 6, "descriptor": "hog"}, "spacing of 4, got"),
        ({"radius": 1, "rounding": "floor"}, "radius must be from 2 with rounding 'floor', got 1"),
        ({"radius": 2, "rounding": "floor", "descriptor": "hog"}, "radius must be from 4 with"),
        ({"levels": 0}, "need levels and cell from 1"),
        ({"cell": 0}, "need levels and cell from 1"),
        ({"rounding": "up"}, "rounding must be one of ceil, floor"),
    ],
)
def test_wrong_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        network(**options)


@pytest.mark.parametrize(("radius", "rounding"), [(1, "ceil"), (2, "floor")])
def test_the_smallest_radius_has_a_level(pair, radius, rounding):
    net = network(radius=radius, rounding=rounding)
    assert net.levels >= 1
    found = numpy_of(net(pair))
    assert np.abs(found["points2"] - found["points1"]).max() <= radius


def test_points_of_level_zero_are_raised_where_asked(pair):
    plain, raised = (network("hog", level_zero=flag, levels=1) for flag in (False, True))
    a, b = (
        evaluate(lambda x, net=net: net({"image1": x, "image2": x})["confidence"], pair["image1"])
        for net in (plain, raised)
    )
    np.testing.assert_allclose(a, 2, rtol=1e-5)  # a picture and itself: 1 at each level
    np.testing.assert_allclose(b, 2, rtol=1e-5)
