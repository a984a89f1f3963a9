"""The network that the commands take without --model, on a real pair."""

import numpy as np
import pytest

from kcorr.datasets import Motorcycle
from kcorr.io import read_disparity, read_flow, write_image


@pytest.fixture(scope="module")
def motorcycle():
    return Motorcycle(scale=0.25)[0]


@pytest.fixture
def pair(motorcycle, tmp_path):
    paths = [tmp_path / "left.png", tmp_path / "right.png"]
    for path, key in zip(paths, ("image1", "image2"), strict=True):
        write_image(path, motorcycle[key])
    return paths


# 1.08 px were measured of the flow and 1.04 of the disparity; of `ddflow`, the network that other
# parts take, 1.41 and 1.36, and of no motion 8.6.
BOUND = 1.2


def error(found, record, key):
    wrong = np.linalg.norm(found - record[key], axis=-1)
    return wrong[record["valid"][..., 0] > 0].mean()


def test_flow_of_a_real_pair(kcorr, pair, motorcycle, tmp_path):
    result = kcorr("flow", *pair, "-o", tmp_path / "out", "--save", "flow")
    assert result.status == 0, result.err
    flow, _ = read_flow(tmp_path / "out" / "flow.flo")
    assert error(flow, motorcycle, "flow") < BOUND


def test_disparity_of_a_real_pair(kcorr, pair, motorcycle, tmp_path):
    result = kcorr("stereo", *pair, "-o", tmp_path / "out", "--save", "pfm")
    assert result.status == 0, result.err
    disparity, _ = read_disparity(tmp_path / "out" / "disparity.pfm")
    assert error(disparity, motorcycle, "disparity") < BOUND
