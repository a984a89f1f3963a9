"""Averaging over a data set: what is counted, how it is pooled, what is refused."""

import json
import subprocess
import sys

import numpy as np
import pytest

from kcorr.metrics import FlowEvaluation


def two_pictures():
    """A picture with 4 known pixels, errors 0 0 4 8, and one with 2 known pixels, errors 1 1."""
    target = np.zeros((2, 3, 2), "float32")
    target[..., 0] = 2.0
    flow = target.copy()
    flow[0, 2, 1], flow[1, 0, 0] = 4, 10
    flow[1, 1:] = 1000  # unknown there
    valid = np.ones((2, 3, 1), "float32")
    valid[1, 1:] = 0
    occlusion = np.zeros_like(valid)
    occlusion[1] = 1
    first = {"flow": flow, "target": target, "valid": valid, "occlusion": occlusion}
    valid = np.zeros((2, 3, 1), "float32")
    valid[0, :2] = 1
    second = {
        "flow": target + np.array([0, 1], "float32"),
        "target": target,
        "valid": valid,
        "occlusion": np.zeros_like(valid),
    }
    return first, second


def evaluate(*pictures, reduction=None):
    evaluation = FlowEvaluation(reduction)
    for picture in pictures:
        evaluation.update(**picture)
    return evaluation.result()


def test_both_averages():
    result = evaluate(*two_pictures())
    assert result["epe_all_per_image"] == pytest.approx((12 / 4 + 1) / 2)
    assert result["epe_all_per_pixel"] == pytest.approx(14 / 6)
    assert result["epe_noc_per_image"] == pytest.approx((4 / 3 + 1) / 2)
    assert result["epe_noc_per_pixel"] == pytest.approx(6 / 5)
    assert result["epe_occ_per_image"] == pytest.approx(8)  # the second picture hides nothing
    assert result["fl_all_per_image"] == pytest.approx(100 * (2 / 4 + 0) / 2)
    assert result["fl_all_per_pixel"] == pytest.approx(100 * 2 / 6)
    assert result["fl_noc_per_pixel"] == pytest.approx(100 * 1 / 5)
    assert result["fl_occ_per_pixel"] == pytest.approx(100)
    assert (result["pixels_all"], result["pixels_noc"], result["pixels_occ"]) == (6, 5, 1)
    assert result["images"] == 2 and result["missing"] == 0


@pytest.mark.parametrize(
    ("reduction", "epe", "fl"),
    [(None, "image", "pixel"), ("image", "image", "image"), ("pixel", "pixel", "pixel")],
)
def test_short_keys_follow_the_reduction(reduction, epe, fl):
    result = evaluate(*two_pictures(), reduction=reduction)
    for stratum in ("all", "noc", "occ"):
        assert result[f"epe_{stratum}"] == result[f"epe_{stratum}_per_{epe}"]
        assert result[f"fl_{stratum}"] == result[f"fl_{stratum}_per_{fl}"]
        assert result[f"out3_{stratum}"] == result[f"out3_{stratum}_per_{fl}"]
    with pytest.raises(ValueError, match="reduction"):
        FlowEvaluation("batch")


def test_a_batch_is_its_pictures():
    pictures = two_pictures()
    together = FlowEvaluation()
    together.update(**{key: np.stack([p[key] for p in pictures]) for key in pictures[0]})
    assert together.result() == evaluate(*pictures)
    assert [row["name"] for row in together.images] == ["0", "1"]


def test_rows_carry_names_and_the_pictures_own_numbers():
    evaluation = FlowEvaluation()
    evaluation.update(**two_pictures()[0], name="alley/frame_0001")
    assert evaluation.images[0]["name"] == "alley/frame_0001"
    assert evaluation.images[0]["epe_all"] == pytest.approx(3)
    assert evaluation.images[0]["fl_occ"] == pytest.approx(100)


def test_out3_is_not_fl():
    target = np.full((2, 2, 2), 200.0)
    result = evaluate({"flow": target + 3, "target": target})  # 4.2 px, 1.5 %
    assert result["out3_all"] == 100 and result["fl_all"] == 0


def test_speeds():
    target = np.zeros((1, 4, 2), "float32")
    target[0, :, 1] = [9.5, 10, 39.5, 40]
    flow = target.copy()
    flow[0, :, 0] = [1, 2, 4, 8]
    result = evaluate({"flow": flow, "target": target})
    assert result["epe_s0_10"] == pytest.approx(1)
    assert result["epe_s10_40"] == pytest.approx(3)
    assert result["epe_s40"] == pytest.approx(8)


def test_what_leaves_the_frame():
    """Its last column and row still lie within it."""
    target = np.zeros((2, 3, 2), "float32")
    target[0] = [(-0.5, 0), (1, 1), (0.5, 0)]
    target[1] = [(0, -1), (0, 0.25), (0, -1.25)]
    flow = target.copy()
    flow[..., 0] += [[1, 2, 4], [8, 16, 32]]
    result = evaluate({"flow": flow, "target": target})
    assert result["pixels_out"] == 4
    assert result["epe_out"] == pytest.approx((1 + 4 + 16 + 32) / 4)


def test_occlusion_is_pooled_over_the_data_set():
    first, second = two_pictures()
    first["predicted_occlusion"] = first["occlusion"]  # 1 hidden pixel that is known: a hit
    second["predicted_occlusion"] = np.ones_like(second["occlusion"])  # 2 false alarms
    assert evaluate(first, second)["occlusion_f"] == pytest.approx(2 * 1 / (2 * 1 + 2))


def test_nothing_to_count_is_none():
    evaluation = FlowEvaluation()
    assert evaluation.result()["epe_all"] is None and evaluation.result()["images"] == 0
    first, _ = two_pictures()
    del first["occlusion"]
    result = evaluate(first)
    assert result["epe_all"] == pytest.approx(3)
    assert result["epe_noc"] is None and result["occlusion_f"] is None
    result = evaluate({**first, "valid": np.zeros_like(first["valid"])}, two_pictures()[1])
    assert result["epe_all"] == pytest.approx(1)  # the picture without ground truth is left out
    assert result["images"] == 2
    json.dumps(result, allow_nan=False)


def test_a_prediction_that_is_not_a_number_is_an_error_not_a_gap():
    first, _ = two_pictures()
    first["flow"][0, 0] = np.nan
    first["flow"][1, 2] = np.nan  # unknown there: does not count
    result = evaluate(first)
    assert result["missing"] == 1
    assert result["epe_all"] == np.inf and np.isfinite(result["epe_occ"])
    assert result["fl_all"] == pytest.approx(100 * 3 / 4)


def test_ground_truth_may_be_anything_where_it_is_unknown_only():
    first, second = two_pictures()
    expected = evaluate(first, second)
    first["target"] = first["target"].copy()
    first["target"][1, 1] = np.nan
    assert evaluate(first, second) == expected
    first["target"][0, 1] = np.inf
    evaluation = FlowEvaluation()
    with pytest.raises(ValueError, match="'frame 7': target is not finite at 1 pixels"):
        evaluation.update(**first, name="frame 7")
    assert evaluation.images == [] and evaluation.result()["pixels_all"] == 0


@pytest.mark.parametrize("key", ["target", "valid", "occlusion", "predicted_occlusion"])
def test_shape_mismatches_are_named_and_count_nothing(key):
    first, _ = two_pictures()
    first["predicted_occlusion"] = first["occlusion"]
    for bad in (first[key][:, 1:], first[key][..., 0], first[key][None]):
        evaluation = FlowEvaluation()
        with pytest.raises(ValueError, match=f"{key} must have shape"):
            evaluation.update(**{**first, key: bad})
        assert evaluation.images == []
    with pytest.raises(ValueError, match="flow must be"):
        FlowEvaluation().update(**{**first, "flow": first["flow"][..., :1]})


def test_names_of_a_batch():
    flow = np.zeros((2, 3, 4, 2))
    evaluation = FlowEvaluation()
    evaluation.update(flow, flow, name=["a", "b"])
    assert [row["name"] for row in evaluation.images] == ["a", "b"]
    for wrong in ("ab", ["a"]):
        with pytest.raises(ValueError, match="list of 2 names"):
            evaluation.update(flow, flow, name=wrong)


def test_nothing_heavy_is_imported():
    code = (
        "import sys, kcorr.metrics; kcorr.metrics.FlowEvaluation(); "
        "sys.exit(any(name in sys.modules for name in ('keras', 'tensorflow', 'jax')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
