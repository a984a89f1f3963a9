"""The golden network, read once from a bundle that the tests write."""

import os

import pytest
from _authors_truth import golden_weights
from _bundle_writer import write_bundle

# These tests compile many networks under jax and run each of them once.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")


@pytest.fixture(scope="session")
def golden_prefix(tmp_path_factory):
    """A sound bundle in a folder with a space in its name, like the released "KITTI 2015"."""
    folder = tmp_path_factory.mktemp("checkpoints") / "KITTI 2015"
    folder.mkdir()
    return write_bundle(folder / "census_occlusion", golden_weights())


@pytest.fixture(scope="session")
def golden_network(golden_prefix):
    from kcorr.models import from_authors_checkpoint

    return from_authors_checkpoint(golden_prefix)


@pytest.fixture(scope="session")
def selflow_golden_network(tmp_path_factory):
    from kcorr.models import from_authors_checkpoint

    folder = tmp_path_factory.mktemp("selflow") / "KITTI 2015"
    folder.mkdir()
    prefix = write_bundle(folder / "self_supervision", golden_weights("SelFlow"))
    return from_authors_checkpoint(prefix)
