"""A data set that is not there: what was expected, and where to get it."""

import pytest

from kcorr import datasets

NAMES = [
    "FlyingChairs",
    "Sintel",
    "KITTI2012",
    "KITTI2015",
    "KITTIMultiView",
    "FlyingThings3D",
    "HD1K",
    "Middlebury",
    "CelebA",
    "AFLW",
    "AFLWRecropped",
    "Faces300W",
    "CatHeads",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_tree_shows_the_expected_one_and_its_source(tmp_path, name):
    with pytest.raises(FileNotFoundError) as caught:
        getattr(datasets, name)(tmp_path / "nowhere")
    message = str(caught.value)
    assert "nowhere: missing " in message and "\nexpected:\n" in message
    assert "\nfrom: http" in message
