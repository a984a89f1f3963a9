"""What a training recipe may start from."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from kcorr.models import build
from recipes import common


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Files of a network that takes pictures as they are, and of one that standardises them."""
    folder = tmp_path_factory.mktemp("init")
    for name, standardise in (("plain", False), ("standard", True)):
        build("ddflow_small", standardise=standardise).save(folder / f"{name}.keras")
    return folder


@pytest.fixture
def load_init(monkeypatch):
    monkeypatch.setattr(common, "FLAGS", SimpleNamespace(network="ddflow_small"))
    return common.load_init


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


def test_weights_of_another_network_are_one_line(saved, load_init):
    with pytest.raises(common.UserError, match=r"plain\.keras: its weights do not fit --network="):
        load_init(build("flownet_s_small"), str(saved / "plain.keras"))


def test_a_network_with_more_parts_begins_with_what_there_is(saved, load_init):
    small, fine = keras.saving.load_model(saved / "plain.keras"), build("ddflow_fine")
    before = fine.get_weights()
    load_init(fine, str(saved / "plain.keras"))
    known = small.get_weights()
    for found, expected in zip(fine.get_weights(), [*known, *before[len(known) :]], strict=True):
        np.testing.assert_array_equal(found, expected)
    fine.save(saved / "fine.keras")
    with pytest.raises(common.UserError, match=r"fine\.keras: its weights do not fit"):
        load_init(small, str(saved / "fine.keras"))
