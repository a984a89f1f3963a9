"""`kcorr.models.predict`: pictures in, flow and what follows from it out."""

import numpy as np
import pytest
from keras import ops

from kcorr.models import Predictor, predict

SHIFT = np.float32([3.0, -2.0])


class Planted:
    """A network whose flow is `SHIFT` everywhere, and back."""

    def __call__(self, inputs, backward=False):
        self.inputs = {key: np.array(value) for key, value in inputs.items()}
        flow = ops.zeros_like(inputs["image1"][..., :2]) + SHIFT
        return {"flow": flow, "flow_backward": -flow} if backward else {"flow": flow}


@pytest.fixture
def pair():
    """Frame 1 is frame 2 pulled by `SHIFT`, away from the border."""
    second = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    return np.roll(second, (2, -3), axis=(0, 1)), second


def test_the_shift_undoes_itself(pair):
    result = predict(Planted(), *pair)
    assert {key: value.shape for key, value in result.items()} == {
        "flow": (30, 40, 2),
        "flow_backward": (30, 40, 2),
        "warped": (30, 40, 3),
        "inside": (30, 40, 1),
        "occlusion": (30, 40, 1),
        "occlusion_backward": (30, 40, 1),
    }
    assert {value.dtype for value in result.values()} == {np.dtype("float32")}
    # What goes right by 3 and up by 2 leaves at the right and at the top, and comes in on the
    # other sides.
    hidden = np.zeros((30, 40), bool)
    hidden[:2], hidden[:, -3:] = True, True
    np.testing.assert_array_equal(result["occlusion"][..., 0] > 0, hidden)
    np.testing.assert_array_equal(result["occlusion_backward"][..., 0] > 0, hidden[::-1, ::-1])
    np.testing.assert_array_equal(result["inside"][..., 0] > 0, ~hidden)
    expected = pair[0] / 255 * ~hidden[..., None]
    np.testing.assert_allclose(result["warped"], expected, atol=1e-6)


def test_without_backward_there_is_no_occlusion(pair):
    assert set(predict(Planted(), *pair, backward=False)) == {"flow", "warped", "inside"}


@pytest.mark.tensorflow_only  # nothing of a backend is in it, and jax compiles for every size
@pytest.mark.parametrize("size", [(1, 1), (1, 40), (15, 16), (16, 16), (17, 3)])
def test_tiny_pictures_are_padded_with_their_border(size):
    first = np.random.default_rng(0).random((*size, 3), dtype="float32")
    network = Planted()
    result = predict(network, first, first)
    assert result["flow"].shape == (*size, 2) and result["occlusion"].shape == (*size, 1)
    # Occlusion is about the picture itself and not about what was padded.
    expected = predict(Planted(), *[np.pad(first, [(0, 40), (0, 40), (0, 0)])] * 2)
    assert result["occlusion"][0, -1] == 1 and expected["occlusion"][4, 0] == 0
    seen = network.inputs["image1"][0]
    assert seen.shape == (max(16, size[0]), max(16, size[1]), 3)
    np.testing.assert_array_equal(seen[: size[0], : size[1]], first)
    np.testing.assert_array_equal(seen[-1, -1], first[-1, -1])
    np.testing.assert_array_equal(seen[0, -1], first[0, -1])


@pytest.mark.parametrize(
    ("size", "seen"),
    [((30, 40), (15, 20)), ((40, 30), (20, 15)), ((20, 10), (20, 10)), ((3, 400), (1, 20))],
)
def test_max_side_rescales_the_vectors(size, seen):
    image = np.full((*size, 3), 0.5, np.float32)
    network = Planted()
    result = predict(network, image, image, max_side=20)
    padded = tuple(max(16, side) for side in seen)
    assert network.inputs["image1"].shape == (1, *padded, 3)
    np.testing.assert_allclose(network.inputs["image1"], 0.5)
    scale = np.float32([size[1] / seen[1], size[0] / seen[0]])
    expected = np.broadcast_to(SHIFT * scale, (*size, 2))
    np.testing.assert_allclose(result["flow"], expected, rtol=1e-5)
    np.testing.assert_allclose(result["flow_backward"], -expected, rtol=1e-5)


def test_shrinking_averages():
    """A checkerboard becomes grey and not one of its two colours."""
    board = np.indices((64, 64)).sum(0) % 2
    image = np.repeat(board[..., None], 3, axis=-1).astype(np.float32)
    network = Planted()
    predict(network, image, image, max_side=16)
    np.testing.assert_allclose(network.inputs["image1"], 0.5, atol=0.05)


def test_depth_of_the_pixels_does_not_matter(pair):
    network = Planted()
    for convert in (np.uint8, lambda image: image.astype(np.uint16) * 257, lambda x: x / 255):
        predict(network, *[convert(image) for image in pair])
        for key, image in zip(("image1", "image2"), pair, strict=True):
            assert network.inputs[key].dtype == np.float32
            np.testing.assert_allclose(network.inputs[key][0], image / 255, atol=1e-6)


def test_a_predictor_gives_what_predict_gives(pair):
    """Compiled, for two sizes that are shrunk, for one that is not, and for one that is padded."""

    def network(inputs, backward=False):
        flows = [8 * inputs[key][..., :2] - 4 for key in ("image1", "image2")]
        return dict(zip(("flow", "flow_backward"), flows[: 1 + backward], strict=False))

    predictor = Predictor(network, max_side=36)
    for height, width in ((30, 40), (24, 40), (30, 36), (9, 40)):
        images = [image[:height, :width] for image in pair]
        expected = predict(network, *images, max_side=36)
        result = predictor(*images)
        assert result.keys() == expected.keys()
        for key in ("flow", "flow_backward", "warped"):
            np.testing.assert_allclose(result[key], expected[key], atol=1e-4, err_msg=key)
    assert set(Predictor(network, backward=False)(*pair)) == {"flow", "warped", "inside"}


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (np.zeros((4, 5)), np.zeros((4, 5)), r"image1 has shape \(4, 5\), expected \[h, w, 3\]"),
        (np.zeros((4, 5, 3)), np.zeros((4, 6, 3)), "image1 is 5x4 and image2 6x4, expected one"),
        (np.zeros((4, 5, 3)), np.full((4, 5, 3), 255.0), "image2 has values from 255 to 255"),
        (np.full((4, 5, 3), np.nan), np.zeros((4, 5, 3)), "image1 has values from nan to nan"),
        (np.zeros((4, 5, 3), int), np.zeros((4, 5, 3)), "image1 has dtype int64, expected uint8"),
        (np.zeros((0, 5, 3)), np.zeros((0, 5, 3)), "image1 has shape"),
    ],
)
def test_what_is_no_picture_is_refused(first, second, said):
    with pytest.raises(ValueError, match=said):
        predict(Planted(), first, second)


@pytest.mark.parametrize("whole", [np.int64, np.uint16, np.int32])
def test_max_side_may_be_an_integer_of_numpy(pair, whole):
    expected = predict(Planted(), *pair, max_side=20)
    found = predict(Planted(), *pair, max_side=whole(20))
    np.testing.assert_array_equal(found["flow"], expected["flow"])


@pytest.mark.parametrize("max_side", [0, 15, 20.5, "20", np.float32(20), True])
def test_a_bad_max_side_is_refused(max_side):
    with pytest.raises(ValueError, match="expected a whole number from 16"):
        Predictor(Planted(), max_side=max_side)
