"""One network and one export of it for all tests of this folder."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kcorr.export import export_flow
from kcorr.models import build


def random_network(**overrides):
    """A small network that is nobody's: random kernels and, unlike a fresh one, random biases."""
    keras.utils.set_random_seed(7)
    network = build("ddflow_small", **overrides)
    random = np.random.default_rng(7)
    for variable in network.variables:
        if len(variable.shape) == 1:
            variable.assign(random.normal(0, 0.1, variable.shape))
    return network


@pytest.fixture(scope="session")
def network():
    return random_network()


@pytest.fixture(scope="session")
def exported(network, tmp_path_factory):
    directory = tmp_path_factory.mktemp("served") / "planted"
    return export_flow(network, directory, card={"data": "none", "steps": 0})


@pytest.fixture(scope="session")
def served(exported):
    """The SavedModel, loaded by plain TensorFlow in this process."""
    return tf.saved_model.load(str(exported))


@pytest.fixture(scope="session")
def image_pair():
    """Makes uint8 pairs: a smooth random picture and a shifted, noisy copy."""

    def make(batch, height, width, seed=0):
        random = np.random.default_rng(seed)
        coarse = random.integers(0, 256, (batch, height // 4 + 3, width // 4 + 3, 3))
        image = np.repeat(np.repeat(coarse, 4, axis=1), 4, axis=2)
        noise = random.integers(-5, 6, (batch, height, width, 3))
        second = image[:, 3 : height + 3, 2 : width + 2] + noise
        return (
            image[:, :height, :width].astype(np.uint8),
            np.clip(second, 0, 255).astype(np.uint8),
        )

    return make
