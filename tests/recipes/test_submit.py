"""`recipes.submit` with the shipped network, on a test split of the official length."""

import json
import shutil

import numpy as np
import pytest
from _command import recipe

import kcorr
from kcorr.datasets import check_submission, demo_images
from kcorr.io import FormatError, read_disparity, read_image, write_image
from kcorr.models import predict

SHIFT = 5  # pixels that the right pictures lie to the left


@pytest.fixture(scope="module")
def kitti(tmp_path_factory):
    """KITTI 2012's 195 test pairs: two textures, all others the same files again."""
    root = tmp_path_factory.mktemp("kitti")
    for camera in ("colored_0", "colored_1"):
        (root / "testing" / camera).mkdir(parents=True)
    for number, path in enumerate(demo_images("test")[:2]):
        picture = read_image(path)[100:164, 100:212]
        left, right = picture[:, :-SHIFT], picture[:, SHIFT:]
        for scene in range(number, 195, 2):
            for camera, image in (("colored_0", left), ("colored_1", right)):
                file = root / f"testing/{camera}/{scene:06d}_10.png"
                if scene < 2:
                    write_image(file, image)
                else:
                    shutil.copy(file.with_name(f"{number:06d}_10.png"), file)
    return root


def run(kitti, workdir):
    flags = ["--benchmark=kitti2012", "--task=disparity", f"--data_dir={kitti}"]
    return recipe("submit", *flags, f"--workdir={workdir}")


@pytest.mark.slow
def test_a_whole_test_split_is_predicted_written_and_checked(kitti, tmp_path):
    done = run(kitti, tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    path = tmp_path / "kitti2012_disparity.zip"
    assert f"195 predictions, checked: {path}" in done.stdout
    assert check_submission(path, "kitti2012", "disparity") == 195
    with pytest.raises(FormatError, match="missing flow/000000_10"):
        check_submission(path, "kitti2015")
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["kitti2012 disparity"]["predictions"] == 195

    shutil.unpack_archive(path, tmp_path / "unpacked")
    network = kcorr.load("ddflow")
    for scene in (0, 1):
        found, valid = read_disparity(tmp_path / f"unpacked/{scene:06d}_10.png")
        pair = [
            read_image(kitti / f"testing/{camera}/{scene:06d}_10.png")
            for camera in ("colored_0", "colored_1")
        ]
        expected = np.maximum(-predict(network, *pair, backward=False)["flow"][..., :1], 0)
        # 1/512 of rounding, 1/256 for what is 0, and the order of sums.
        np.testing.assert_allclose(found, expected, atol=1 / 256 + 1e-3)
        assert valid.all() and abs(np.median(found) - SHIFT) < 0.5


@pytest.mark.slow
def test_a_test_split_that_lacks_a_picture_is_refused_before_the_work(kitti, tmp_path):
    for camera in ("colored_0", "colored_1"):
        (kitti / "testing" / camera / "000100_10.png").unlink()
    done = run(kitti, tmp_path)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.strip().splitlines()[-1] == (
        f"submit: --data_dir {kitti}: of the test split, missing 000100_10"
    )
    assert not list(tmp_path.glob("*.zip"))
