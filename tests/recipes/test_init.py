"""What a training recipe may start from."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from _command import recipe

from kcorr.models import build, load
from recipes import common, networks


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Files of a network that takes pictures as they are, and of one that standardises them."""
    folder = tmp_path_factory.mktemp("init")
    for name, standardise in (("plain", False), ("standard", True)):
        build("ddflow_small", standardise=standardise).save(folder / f"{name}.keras")
    return folder


@pytest.fixture
def load_init(monkeypatch):
    monkeypatch.setattr(networks, "FLAGS", SimpleNamespace(network="ddflow_small"))
    return networks.load_init


def test_standardised_pictures_are_no_matter_of_weights_alone(saved, load_init):
    """Without the check the network would see other pictures than it learned from."""
    plain, standard = (build("ddflow_small", standardise=one) for one in (False, True))
    with pytest.raises(common.UserError, match=r"standard\.keras: this network learned from stand"):
        load_init(plain, str(saved / "standard.keras"))
    load_init(standard, str(saved / "standard.keras"))
    load_init(standard, str(saved / "plain.keras"))  # as the authors fine-tune
    known = build("ddflow_small")
    load_init(known, str(saved / "plain.keras"))
    for one, other in zip(known.get_weights(), standard.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_zoomed_network_stays_one(saved, load_init):
    build("ddflow_small", zoom=1.5).save(saved / "zoomed.keras")
    zoomed = build("ddflow_small", zoom=1.5)
    load_init(zoomed, str(saved / "zoomed.keras"))
    load_init(zoomed, str(saved / "plain.keras"))  # it learns to be one
    with pytest.raises(common.UserError, match=r"enlarged 1 times; expected --zoom=1"):
        load_init(zoomed, str(saved / "plain.keras"), learns=False)
    for other in (build("ddflow_small"), build("ddflow_small", zoom=2)):
        with pytest.raises(common.UserError, match=r"enlarged 1\.5 times; expected --zoom=1\.5"):
            load_init(other, str(saved / "zoomed.keras"))


def test_flow_in_another_unit_is_no_start(tmp_path, load_init):
    """The weights of pwcnet and pwcnet_published are shaped alike and mean another flow."""
    for options, said in (({"normalise": "mean"}, "normalise"), ({"flow_scale": 20.0}, "flow_sc")):
        build("pwcnet_small", **options).save(tmp_path / "pwc.keras")
        with pytest.raises(common.UserError, match=rf"pwc\.keras: this network has another {said}"):
            load_init(build("pwcnet_small"), str(tmp_path / "pwc.keras"))
        load_init(build("pwcnet_small", **options), str(tmp_path / "pwc.keras"))


def test_weights_of_another_network_are_one_line(saved, load_init):
    with pytest.raises(common.UserError, match=r"plain\.keras: its weights do not fit --network="):
        load_init(build("flownet_s_small"), str(saved / "plain.keras"))


@pytest.mark.slow
def test_flownet_s_learns_from_nothing(tmp_path):
    """The other networks learn in the smoke runs of the recipes."""
    done = recipe("flow_scenes", "--smoke", "--network=flownet_s_small", f"--workdir={tmp_path}")
    assert done.returncode == 0, done.stderr[-3000:]
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == [2, 4]
    for line in log:
        assert np.isfinite(line["loss"]) and line["skipped_steps"] == 0 < line["gradient_norm"]
    network = load(tmp_path / "network.keras")
    assert network.count_params() == 5_462_674
    assert all(np.isfinite(weight).all() for weight in network.get_weights())
