"""`kcorr.models.predict` with three frames, and with the sizes of SelFlow's test protocol."""

import numpy as np
import pytest
from keras import ops

from kcorr.models import Predictor, SelFlowNet, predict

AHEAD, BEHIND = np.float32([3, -2]), np.float32([-2, 1])


class Planted:
    """Three frames; the flows are constant. Keeps what it saw."""

    frames = 3

    def __call__(self, inputs, backward=False):
        self.inputs = {key: np.array(value)[0] for key, value in inputs.items()}
        zero = ops.zeros_like(inputs["image1"][..., :2])
        outputs = {"flow": zero + AHEAD, "flow_previous": zero + BEHIND}
        return {**outputs, "flow_backward": zero - AHEAD} if backward else outputs


class Ramps:
    """Two frames; the flow of a pixel says which one it is: (x + 100 y, y)."""

    def __call__(self, inputs, backward=False):
        self.inputs = {key: np.array(value)[0] for key, value in inputs.items()}
        _, height, width, _ = inputs["image1"].shape
        y, x = np.mgrid[:height, :width].astype("float32")
        self.flow = np.stack([x + 100 * y, y], axis=-1)
        return {"flow": ops.convert_to_tensor(self.flow[None])}


def pictures(height, width, count):
    random = np.random.default_rng(0)
    return [random.random((height, width, 3), dtype="float32") for _ in range(count)]


@pytest.mark.parametrize("backward", [True, False])
def test_a_network_of_three_frames_sees_all_that_are_given(backward):
    before, first, second, after = pictures(20, 30, 4)
    network = Planted()
    result = predict(network, first, second, backward, image0=before, image3=after)
    expected = {"image0": before, "image1": first, "image2": second, "image3": after}
    if not backward:
        del expected["image3"]
    assert network.inputs.keys() == expected.keys()
    for key, image in expected.items():
        np.testing.assert_array_equal(network.inputs[key], image)
    np.testing.assert_array_equal(result["flow"], np.broadcast_to(AHEAD, (20, 30, 2)))
    np.testing.assert_array_equal(result["flow_previous"], np.broadcast_to(BEHIND, (20, 30, 2)))
    assert ("occlusion" in result) == ("flow_backward" in result) == backward


def test_of_two_frames_the_ends_are_repeated():
    first, second = pictures(20, 30, 2)
    network = Planted()
    predict(network, first, second)
    for key, image in {"image0": first, "image3": second}.items():
        np.testing.assert_array_equal(network.inputs[key], image)


@pytest.mark.parametrize(("size", "seen"), [((30, 40), (18, 24)), ((10, 40), (16, 24))])
def test_all_frames_are_resized_and_padded_alike(size, seen):
    images = [np.full((*size, 3), value, np.float32) for value in (0.1, 0.2, 0.3, 0.4)]
    network = Planted()
    result = predict(network, *images[1:3], max_side=24, image0=images[0], image3=images[3])
    for key, value in zip(("image0", "image1", "image2", "image3"), images, strict=True):
        assert network.inputs[key].shape == (*seen, 3)
        np.testing.assert_allclose(network.inputs[key], value[0, 0, 0], rtol=1e-5)
    shrunk = max(size) / 24
    np.testing.assert_allclose(result["flow_previous"][5, 5], BEHIND * shrunk, rtol=1e-5)


def test_frames_that_do_not_fit_are_refused():
    first, second, small = *pictures(20, 30, 2), pictures(20, 29, 1)[0]
    with pytest.raises(ValueError, match="image1 is 30x20 and image0 29x20, expected one size"):
        predict(Planted(), first, second, image0=small)
    with pytest.raises(ValueError, match="image3 has shape"):
        predict(Planted(), first, second, image3=first[0])
    with pytest.raises(ValueError, match="for a network of three frames; this takes two"):
        predict(Ramps(), first, second, image0=first)


def test_a_predictor_gives_what_predict_gives_from_one_graph():
    network = SelFlowNet((4, 5, 6), (6,), (6,), radius=1, residual=True, border="zero")
    network.build()
    traces, original = [], network.call

    def counting(*args, **kwargs):
        traces.append(1)
        return original(*args, **kwargs)

    before, first, second, after = pictures(24, 40, 4)
    expected = [
        predict(network, first, second, image0=before, image3=after),
        predict(network, first, second),
    ]
    assert np.abs(expected[0]["flow"] - expected[1]["flow"]).max() > 1e-3
    network.call = counting
    predictor = Predictor(network)
    found = [predictor(first, second, before, after)]
    once = len(traces)
    found.append(predictor(first, second))
    assert len(traces) == once > 0
    for one, other in zip(found, expected, strict=True):
        assert one.keys() == other.keys()
        for key in ("flow", "flow_previous", "flow_backward", "warped"):
            np.testing.assert_allclose(one[key], other[key], atol=1e-4, err_msg=key)


def nearest(old, new):
    """Which of `old` pixels each of `new` ones takes, corners on corners, halves up."""
    return np.floor(np.arange(new) * (old - 1) / (new - 1) + 0.5).astype(int)


def test_protocol_selflow_takes_nearest_neighbours_both_ways():
    first, second = pictures(70, 190, 2)
    network = Ramps()
    flow = predict(network, first, second, backward=False, protocol="selflow")["flow"]
    rows, columns = nearest(70, 128), nearest(190, 192)
    for key, image in (("image1", first), ("image2", second)):
        np.testing.assert_array_equal(network.inputs[key], image[rows[:, None], columns])
    back = network.flow[nearest(128, 70)[:, None], nearest(192, 190)]
    np.testing.assert_allclose(flow, back * np.float32([190 / 192, 70 / 128]), rtol=1e-6)


def test_protocol_bilinear_interpolates_both_ways():
    y, x = np.mgrid[:70, :190].astype("float32")
    ramp = np.stack([x / 200, y / 100, 0 * x], axis=-1)
    network = Ramps()
    flow = predict(network, ramp, ramp, backward=False, protocol="bilinear")["flow"]
    inner = np.s_[2:-2, 2:-2]
    # Half-pixel centres: of the seen pixels, then of the flow's.
    y, x = np.mgrid[:128, :192]
    seen = np.stack([((x + 0.5) * 190 / 192 - 0.5) / 200, ((y + 0.5) * 70 / 128 - 0.5) / 100], -1)
    np.testing.assert_allclose(network.inputs["image1"][..., :2][inner], seen[inner], atol=1e-4)
    y, x = (np.mgrid[:70, :190] + 0.5) * np.array([128 / 70, 192 / 190])[:, None, None] - 0.5
    expected = np.stack([(x + 100 * y) * 190 / 192, y * 70 / 128], -1)
    np.testing.assert_allclose(flow[inner], expected[inner], rtol=1e-4)


@pytest.mark.parametrize("protocol", ["selflow", "bilinear"])
def test_sizes_that_fit_stay_as_they_are(protocol):
    first, second = pictures(64, 128, 2)
    network = Ramps()
    flow = predict(network, first, second, backward=False, protocol=protocol)["flow"]
    np.testing.assert_array_equal(network.inputs["image1"], first)
    np.testing.assert_array_equal(flow, network.flow)


def test_protocol_bilinear_shrinks_first():
    network = Ramps()
    image = np.full((100, 200, 3), 0.5, np.float32)
    result = predict(network, image, image, backward=False, max_side=150, protocol="bilinear")
    assert network.inputs["image1"].shape == (128, 192, 3)  # of 75x150
    assert result["flow"].shape == (100, 200, 2)


def test_a_compiled_predictor_follows_the_protocol():
    def network(inputs, backward=False):
        return {"flow": 8 * inputs["image1"][..., :2] - 4}

    first, second = pictures(50, 70, 2)
    flows = {}
    for protocol in (None, "selflow", "bilinear"):
        options = {"backward": False, "protocol": protocol}
        flows[protocol] = predict(network, first, second, **options)["flow"]
        found = Predictor(network, **options)(first, second)["flow"]
        np.testing.assert_allclose(found, flows[protocol], atol=1e-4)
    assert np.abs(flows["selflow"] - flows["bilinear"]).max() > 0.5


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"protocol": "sintel"}, "unknown protocol 'sintel'; known are None, 'selflow', 'bili"),
        ({"protocol": "selflow", "max_side": 640}, "'selflow' sees pictures enlarged"),
    ],
)
def test_bad_protocols_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        Predictor(Planted(), **options)
