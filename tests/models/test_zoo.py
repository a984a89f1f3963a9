"""`kcorr.load`: what is read, what is refused, and in which words."""

import zipfile

import keras
import numpy as np
import pytest

from kcorr.models import SelFlowNet, build, load, zoo
from kcorr.models.registry import MATCH_NETWORKS, NETWORKS

PWC_NETS = ("pwcnet", "pwcnet_published")  # their weights are shaped alike


@pytest.fixture(scope="module")
def network():
    return build("ddflow_small")


@pytest.fixture(scope="module")
def files(network, tmp_path_factory):
    """A folder with net.keras and net.weights.h5."""
    folder = tmp_path_factory.mktemp("zoo")
    network.save(folder / "net.keras")
    network.save_weights(folder / "net.weights.h5")
    return folder


def _same(first, second):
    return all(
        np.array_equal(a, b) for a, b in zip(first.get_weights(), second.get_weights(), strict=True)
    )


@pytest.mark.parametrize("name", ["net.keras", "net.weights.h5"])
def test_a_file_gives_the_network_back(network, files, name):
    loaded = load(files / name)
    assert loaded.get_config() == network.get_config()
    assert _same(loaded, network)


@pytest.mark.parametrize("name", ["net.keras", "net.weights.h5"])
def test_the_dtype_policy_is_the_callers(network, files, name):
    loaded = load(str(files / name), dtype="mixed_bfloat16")
    assert loaded.dtype_policy.name == "mixed_bfloat16"
    assert {layer.compute_dtype for layer in loaded.pyramid.levels[0]} == {"bfloat16"}
    assert _same(loaded, network)


def test_weights_find_their_network(tmp_path):
    # Not FlowNet's large ones: 155 MB each, and their small twins are found in the same way.
    for name in sorted(NETWORKS.keys() - {"flownet_s", "flownet_c", *PWC_NETS}):
        path = tmp_path / f"{name}.weights.h5"
        original = build(name)
        original.save_weights(path)
        loaded = load(path)
        assert loaded.get_config() == original.get_config()
        assert _same(loaded, original)


def test_weights_that_fit_two_networks_ask_which(files, monkeypatch):
    maker, config = NETWORKS["ddflow_small"]
    monkeypatch.setitem(NETWORKS, "twin", (maker, {**config, "border": "edge"}))
    with pytest.raises(ValueError, match="fits ddflow_small and twin; expected to be told which"):
        load(files / "net.weights.h5")
    assert load(files / "net.weights.h5", network="twin").border == "edge"


def test_weights_of_pwcnet_and_of_its_published_form_ask_which(tmp_path):
    path = tmp_path / "pwc.weights.h5"
    original = build("pwcnet_published")
    original.save_weights(path)
    with pytest.raises(ValueError, match="fits pwcnet and pwcnet_published; expected to be told"):
        load(path)
    loaded = load(path, network="pwcnet_published")
    assert loaded.flow_scale == 20 and _same(loaded, original)


def test_a_shipped_network_is_found_by_name(network, files, monkeypatch):
    monkeypatch.setattr(zoo, "_WEIGHTS", files)
    entry = zoo.Shipped("ddflow_small", "net.weights.h5", "for this test", {"zoom": 2})
    monkeypatch.setitem(zoo.SHIPPED, "planted", entry)
    planted = load("planted")
    assert _same(planted, network) and planted.zoom == 2
    monkeypatch.setitem(zoo.SHIPPED, "lost", zoo.Shipped("ddflow_small", "lost.weights.h5", ""))
    with pytest.raises(FileNotFoundError, match="the weights of 'lost' are missing from this"):
        load("lost")


@pytest.fixture(scope="module")
def recurrent(tmp_path_factory):
    """A folder with recurrent.keras and recurrent.weights.h5, and their network."""
    folder = tmp_path_factory.mktemp("recurrent")
    network = build("recurrent_small")
    network.save(folder / "recurrent.keras")
    network.save_weights(folder / "recurrent.weights.h5")
    return folder, network


@pytest.mark.parametrize("name", ["recurrent.keras", "recurrent.weights.h5"])
def test_options_replace_the_networks_own(recurrent, name):
    folder, network = recurrent
    loaded = load(folder / name, correlation="on_demand", iterations=2)
    changed = {"correlation": "on_demand", "iterations": 2}
    assert loaded.get_config() == {**network.get_config(), **changed}
    assert _same(loaded, network)
    random = np.random.default_rng(0)
    images = {key: random.random((1, 65, 84, 3), "float32") for key in ("image1", "image2")}
    found, expected = loaded(images), network(images, iterations=2)
    assert len(found["flow_pyramid"]) == 2 and np.abs(expected["flow"]).mean() > 0.1
    np.testing.assert_allclose(found["flow"], expected["flow"], rtol=1e-3, atol=1e-3)


def test_options_of_shipped_networks(network, files, monkeypatch):
    monkeypatch.setattr(zoo, "_WEIGHTS", files)
    entry = zoo.Shipped("ddflow_small", "net.weights.h5", "for this test", {"zoom": 2})
    monkeypatch.setitem(zoo.SHIPPED, "planted", entry)
    planted = load("planted", zoom=1.5)
    assert _same(planted, network) and planted.zoom == 1.5


@pytest.mark.parametrize("kind", ["keras", "weights.h5"])
def test_options_that_a_network_has_not(files, recurrent, kind):
    flow, folder = files / f"net.{kind}", recurrent[0] / f"recurrent.{kind}"
    for path, options, said in [
        (
            flow,
            {"correlation": "on_demand"},
            "DDFlowNet has no 'correlation' to choose; expected recurrent or recurrent_small",
        ),
        (flow, {"colour": 1}, "DDFlowNet has no 'colour' to choose"),
        (folder, {"iterations": 0}, "iterations must be a whole number from 1, got 0"),
        (folder, {"correlation": "none"}, "correlation must be one of all_pairs, on_demand, got"),
        (folder, {"hidden": 8}, "does not "),
    ]:
        with pytest.raises(ValueError) as caught:
            load(path, **options)
        line = str(caught.value)
        assert line.startswith(f"{path}: ") and said in line and "\n" not in line


def test_the_table_of_shipped_networks_makes_sense():
    assert list(zoo.SHIPPED) == ["ddflow", "ddflow_zoom", "matching"]
    for entry in zoo.SHIPPED.values():
        assert entry.network in {**NETWORKS, **MATCH_NETWORKS} and entry.file.endswith(
            ".weights.h5"
        )
        assert entry.description


def _text(folder, name):
    (folder / name).write_text("not a model")


def _truncated(folder, name, files):
    data = (files / f"net{name.removeprefix('cut')}").read_bytes()
    (folder / name).write_bytes(data[: len(data) * 2 // 3])


def test_what_is_refused(files, tmp_path):
    _text(tmp_path, "text.keras")
    _text(tmp_path, "text.weights.h5")
    _text(tmp_path, "model.pkl")
    _truncated(tmp_path, "cut.keras", files)
    _truncated(tmp_path, "cut.weights.h5", files)
    with zipfile.ZipFile(tmp_path / "zip.keras", "w") as archive:
        archive.writestr("notes.txt", "nothing")
    dense = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    dense.save(tmp_path / "dense.keras")
    dense.save_weights(tmp_path / "dense.weights.h5")
    (tmp_path / "folder").mkdir()
    allowed = (
        "; expected ddflow or ddflow_zoom or matching (shipped), a .keras file, a .weights.h5 file "
        "or a SavedModel folder"
    )
    cases = {
        "text.keras": "damaged, or not a .keras file; expected one that Keras saved",
        "cut.keras": "damaged, or not a .keras file; expected one that Keras saved",
        "zip.keras": "damaged, or not a network of kcorr (",
        "dense.keras": "holds a Sequential; expected a flow network such as ddflow or ddflow_small",
        "text.weights.h5": "damaged, or not a .weights.h5 file; expected one that Keras saved",
        "cut.weights.h5": "damaged, or not a .weights.h5 file; expected one that Keras saved",
        "dense.weights.h5": "its 2 arrays do not fit; expected exactly the parameters of ddflow or",
        "model.pkl": f"not a model by its name{allowed}",
        "folder": f"a folder without a SavedModel{allowed}",
    }
    for name, said in cases.items():
        with pytest.raises(ValueError) as caught:
            load(tmp_path / name)
        message = str(caught.value)
        assert message.startswith(f"{tmp_path / name}: {said}"), message
        assert "\n" not in message
    with pytest.raises(FileNotFoundError, match=r"none\.keras: no such file; expected ddflow"):
        load(tmp_path / "none.keras")
    unknown = r"unknown model 'flownet'; expected ddflow or ddflow_zoom or matching \(shipped\)"
    with pytest.raises(ValueError, match=unknown):
        load("flownet")
    with pytest.raises(ValueError, match="unknown network 'pwc'; known are ddflow, ddflow_small"):
        load(files / "net.weights.h5", network="pwc")
    with pytest.raises(ValueError, match="its 98 arrays do not fit; expected exactly the param"):
        load(files / "net.weights.h5", network="ddflow")


def test_code_in_a_file_is_not_run(tmp_path):
    """A .keras file may hold a pickled lambda; safe mode refuses it."""
    # With a shape Keras need not trace the function, which takes a minute late in a long session.
    code = keras.layers.Lambda(lambda x: x + 1, output_shape=(3,))
    model = keras.Sequential([keras.Input((3,)), code])
    model.save(tmp_path / "code.keras")
    with pytest.raises(ValueError, match=r"code\.keras: damaged, or not a network of kcorr"):
        load(tmp_path / "code.keras")


@pytest.fixture(scope="module")
def three_frames(tmp_path_factory):
    """A network, its export loaded again, and four pictures of 8 bits."""
    from kcorr.export import export_flow

    network = SelFlowNet((4, 5, 6), (6,), (6,), radius=1, residual=True, border="zero")
    network.build()
    folder = tmp_path_factory.mktemp("three") / "net"
    export_flow(network, folder)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 1, 33, 50, 3))
    images = {f"image{i}": np.float32(image) / 255 for i, image in enumerate(pixels)}
    return network, load(folder), images


@pytest.mark.tensorflow_only
class TestSavedModel:
    """A folder is called like a network; each signature runs one direction."""

    @pytest.fixture
    def folder(self, tmp_path):
        import tensorflow as tf

        class Means(tf.Module):
            """The flow is (mean of image1, mean of image2) times `factor`."""

            def __init__(self, factor):
                super().__init__()
                self.factor = tf.Variable(factor)

            @tf.function(
                input_signature=[
                    tf.TensorSpec([None, None, None, 3], "float32", name="image1"),
                    tf.TensorSpec([None, None, None, 3], "float32", name="image2"),
                ]
            )
            def serving_float(self, image1, image2):
                means = [tf.reduce_mean(image, [1, 2, 3], True) for image in (image1, image2)]
                flow = tf.concat(means, -1) * self.factor
                return {"flow": flow + tf.zeros_like(image1[..., :2])}

        for version, factor in ((2, 2.0), (10, 10.0)):
            module = Means(factor)
            signatures = {"serving_float": module.serving_float}
            tf.saved_model.save(module, str(tmp_path / "net" / str(version)), signatures)
        return tmp_path / "net"

    def test_the_newest_version_runs_both_ways(self, folder):
        images = {f"image{i}": np.full((1, 5, 7, 3), i / 10, "float32") for i in (1, 2)}
        network = load(folder)
        assert network.name == "net" and network.path == folder / "10"
        assert list(network(images)) == ["flow"]
        result = network(images, backward=True)
        assert result["flow"].shape == (1, 5, 7, 2)
        np.testing.assert_allclose(result["flow"][0, 0, 0], [1, 2], rtol=1e-5)
        np.testing.assert_allclose(result["flow_backward"][0, 0, 0], [2, 1], rtol=1e-5)

    def test_one_version_can_be_named(self, folder):
        images = {f"image{i}": np.full((1, 5, 7, 3), i / 10, "float32") for i in (1, 2)}
        flow = load(folder / "2")(images)["flow"]
        np.testing.assert_allclose(flow[0, 0, 0], [0.2, 0.4], rtol=1e-5)

    def test_it_predicts_pictures_compiled_or_not(self, folder):
        from kcorr.models import Predictor, predict

        network = load(folder)
        image = np.full((20, 24, 3), 51, np.uint8)
        np.testing.assert_allclose(predict(network, image, image)["flow"], 2, rtol=1e-5)
        np.testing.assert_allclose(Predictor(network)(image, image)["flow"], 2, rtol=1e-5)

    def test_damaged_and_foreign_ones_are_refused(self, folder):
        import tensorflow as tf

        (folder / "10" / "saved_model.pb").write_bytes(b"nonsense")
        with pytest.raises(ValueError, match="no SavedModel with the signature 'serving_float'"):
            load(folder)
        foreign = folder.parent / "foreign"
        tf.saved_model.save(tf.Module(), str(foreign))
        with pytest.raises(ValueError, match="no SavedModel with the signature 'serving_float'"):
            load(foreign)

    @pytest.mark.parametrize("backward", [False, True])
    def test_a_network_of_three_frames_sees_those_that_are_given(self, three_frames, backward):
        network, served, images = three_frames
        assert served.frames == 3
        ends = ["image0", "image3"] if backward else ["image0"]
        for left_out in ([], ends):
            given = {key: image for key, image in images.items() if key not in left_out}
            expected, found = (one(given, backward=backward) for one in (network, served))
            keys = {"flow", "flow_previous", *(["flow_backward"] if backward else [])}
            assert found.keys() == keys
            for key in keys:
                np.testing.assert_allclose(found[key], expected[key], atol=1e-4, err_msg=key)
        some = served(images, backward=backward)
        for key in (ends[-1], "image2"):  # it matters which they are
            other = served({**images, key: images["image1"]}, backward=backward)
            moved = "flow_backward" if key == "image3" else "flow"
            assert np.abs(np.asarray(other[moved] - some[moved])).max() > 1e-3

    def test_a_predictor_gives_it_the_frames_around_a_pair(self, three_frames):
        from kcorr.models import Predictor, predict

        network, served, images = three_frames
        before, first, second, after = (image[0] for image in images.values())
        expected = predict(network, first, second, image0=before, image3=after)
        found = Predictor(served)(first, second, before, after)
        for key in ("flow", "flow_previous", "flow_backward"):
            np.testing.assert_allclose(found[key], expected[key], atol=1e-4, err_msg=key)
        np.testing.assert_array_equal(found["occlusion"], expected["occlusion"])

    def test_without_a_readable_card_it_is_one_of_two_frames(self, three_frames, tmp_path):
        import shutil

        _, served, images = three_frames
        copy = shutil.copytree(served.path, tmp_path / "copy")
        (copy / "model_card.json").write_text("{")
        again = load(copy)
        assert again.frames == 2
        pair = {key: images[key] for key in ("image1", "image2")}
        assert again(pair, backward=True).keys() == {"flow", "flow_backward"}
        np.testing.assert_allclose(again(pair)["flow"], served(pair)["flow"], atol=1e-4)
