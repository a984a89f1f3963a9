"""`kcorr flow` with a network of three frames: three pictures, videos, folders."""

import importlib
import inspect

import numpy as np
import pytest
from keras import ops

from kcorr.io import read_flow, write_image
from kcorr.models import SelFlowNet, from_authors_checkpoint, load, predict


@pytest.fixture
def three(planted, monkeypatch):
    """The planted network, of three frames: its flow is the frames' levels of grey, 0 to 255.

    (x, y) is (of the frame before, of the frame behind) for frame 1's flow.
    """
    seen = []

    def network(inputs, backward=False):
        levels = {key: round(255 * float(np.mean(image))) for key, image in inputs.items()}
        seen.append(levels)
        flow = ops.zeros_like(inputs["image1"][..., :2])
        flow = flow + np.float32([levels["image0"], levels["image2"]])
        return {"flow": flow, "flow_backward": -flow} if backward else {"flow": flow}

    network.frames, network.seen = 3, seen
    models = importlib.import_module("kcorr.models")
    monkeypatch.setattr(models, "load", lambda *args, **options: network)
    return network


def grey(path, level, size=(32, 48)):
    write_image(path, np.full((*size, 3), level, np.uint8))
    return path


def test_three_pictures_give_the_flow_of_the_last_two(kcorr, three, tmp_path):
    inputs = [grey(tmp_path / f"{level}.png", level) for level in (10, 20, 30)]
    result = kcorr("flow", *inputs, "-o", tmp_path / "out")
    assert (result.status, result.err) == (0, "")
    assert three.seen == [{"image0": 10, "image1": 20, "image2": 30, "image3": 30}]
    flow, _ = read_flow(tmp_path / "out" / "flow.flo")
    np.testing.assert_array_equal(flow[3, 4], [10, 30])


def test_two_pictures_repeat_the_first(kcorr, three, tmp_path):
    inputs = [grey(tmp_path / f"{level}.png", level) for level in (20, 30)]
    assert kcorr("flow", *inputs, "-o", tmp_path / "out").status == 0
    assert three.seen == [{"image0": 20, "image1": 20, "image2": 30, "image3": 30}]


def test_a_folder_shows_the_frames_around_but_none_behind_a_cut(kcorr, three, tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for index, level in enumerate((10, 12, 14, 200, 202)):
        grey(folder / f"f{index}.png", level)
    result = kcorr("flow", folder, "-o", tmp_path / "out", "--save", "flow,occlusion")
    assert (result.status, result.err) == (0, "")
    assert [tuple(levels[f"image{i}"] for i in range(4)) for levels in three.seen] == [
        (10, 10, 12, 14),
        (10, 12, 14, 14),
        (200, 200, 202, 202),
    ]
    names = sorted(path.name for path in (tmp_path / "out" / "flow").iterdir())
    assert names == ["f0.flo", "f1.flo", "f3.flo"]


def test_three_pictures_are_refused_where_they_are_not_seen(refused, planted, tmp_path):
    inputs = [grey(tmp_path / f"{level}.png", level) for level in (10, 20, 30)]
    line = refused("flow", *inputs, "-o", tmp_path / "out")
    assert "three pictures, and ddflow_zoom sees two at once; expected two, or a network of" in line
    assert not (tmp_path / "out").exists()
    other = grey(tmp_path / "other.png", 40, (32, 50))
    line = refused("flow", *inputs[:2], other, "-o", tmp_path / "out")
    assert f"{other} is 50x32; expected 48x32 like {inputs[0]}" in line
    line = refused("flow", *inputs, "--stride", "2")
    assert "--stride is for a video or a folder; got three pictures" in line


@pytest.mark.parametrize("protocol", ["selflow", "bilinear"])
def test_a_protocol_enlarges_what_the_network_sees(kcorr, planted, tmp_path, texture, protocol):
    """Of two pictures and of a folder; the flow is that of `predict`."""
    folder = tmp_path / "frames"
    folder.mkdir()
    pictures = [texture(seed, 40, 70) // 8 for seed in range(2)]  # no cut between them
    for seed, picture in enumerate(pictures):
        write_image(folder / f"{seed}.png", picture)
    options = ["--protocol", protocol, "--save", "flow"]
    files = sorted(folder.iterdir())
    assert kcorr("flow", *files, "-o", tmp_path / "pair", *options).status == 0
    assert kcorr("flow", folder, "-o", tmp_path / "folder", *options).status == 0
    assert [shape for shape, _ in planted.seen] == [(1, 64, 128, 3)] * 2
    expected = predict(planted, *pictures, backward=False, protocol=protocol)["flow"]
    np.testing.assert_allclose(expected[0, 0], [2 * 70 / 128, -40 / 64], rtol=1e-6)
    for file in ("pair/flow.flo", "folder/flow/0.flo"):
        np.testing.assert_array_equal(read_flow(tmp_path / file)[0], expected)


def test_an_unknown_protocol_is_refused(refused, planted, frames):
    line = refused("flow", *frames, "--protocol", "nearest")
    assert "argument --protocol: invalid choice: 'nearest' (choose from" in line


@pytest.mark.parametrize("standardise", [False, True])
def test_an_imported_checkpoint_of_selflow(kcorr, monkeypatch, tmp_path, standardise):
    """The command hands on what the file cannot tell; what it reads is held in tests/models."""
    asked = {}

    def reading(prefix, standardise):
        asked.update(prefix=prefix, standardise=standardise)
        network = SelFlowNet((2, 3), (4,), (4,), radius=1, standardise=standardise)
        network.build()
        return network

    assert "standardise" in inspect.signature(from_authors_checkpoint).parameters
    models = importlib.import_module("kcorr.models")
    monkeypatch.setattr(models, "from_authors_checkpoint", reading)
    (tmp_path / "model.index").touch()
    out = tmp_path / "net.keras"
    options = ["--standardise"] if standardise else []
    result = kcorr("import-checkpoint", tmp_path / "model", out, *options)
    assert (result.status, result.err) == (0, "")
    assert asked == {"prefix": str(tmp_path / "model"), "standardise": standardise}
    network = load(out)
    assert isinstance(network, SelFlowNet) and network.standardise == standardise
