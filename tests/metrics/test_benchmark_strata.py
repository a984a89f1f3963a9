"""The benchmarks' strata and tables, on cases counted by hand or by slow loops."""

import builtins
import itertools
import math

import numpy as np
import pytest

from kcorr.metrics import (
    DisparityEvaluation,
    FlowEvaluation,
    boundary_distance,
    disparity_error_map,
    official_scores,
)


def mask(*rows):
    """[h, w, 1] of strings, "#" = 1."""
    return np.array([[float(one == "#") for one in row] for row in rows])[..., None]


def street():
    """Two pictures, 2x4: all known but one pixel, a car on the right, the left column hidden.

    Errors (px) of the first: 0 4 4 1 / 2 8 0 5, where the true motion is 100 px long in the second
    row, so that 4 and 5 px there are no outlier of KITTI 2015.
    """
    errors = np.array([[0, 4, 4, 1], [2, 8, 0, 5]], "float32")
    target = np.zeros((2, 4, 2), "float32")
    target[0, :, 1], target[1, :, 1] = 10, 100
    first = {
        "flow": target + np.stack([errors, 0 * errors], -1),
        "target": target,
        "valid": mask("####", "###."),
        "occlusion": mask("#...", "#..."),
        "objects": 3 * mask("..##", "..##"),
    }
    second = {
        "flow": target + np.array([6, 0], "float32"),
        "target": target,
        "valid": mask("...#", "...."),
        "occlusion": mask("....", "...."),
        "objects": mask("....", "...."),
    }
    return first, second


def evaluated(*pictures, reduction=None, kind=FlowEvaluation, **options):
    evaluation = kind(reduction, **options)
    for picture in pictures:
        evaluation.update(**picture)
    return evaluation


# === Foreground and background ===


def test_foreground_and_background_of_all_and_of_visible_pixels():
    result = evaluated(*street()).result()
    # Background of the first: 0 4 / 2 8; 8 px of 100 are over 5 %. Of the second: one of 6 px.
    assert result["fl_bg_per_pixel"] == pytest.approx(100 * 3 / 5)
    assert result["fl_bg_per_image"] == pytest.approx((100 * 2 / 4 + 100) / 2)
    assert result["fl_noc_bg_per_pixel"] == pytest.approx(100 * 3 / 3)
    assert result["fl_fg_per_pixel"] == pytest.approx(100 * 1 / 3)  # 4 1 / 0
    assert result["fl_fg_per_image"] == pytest.approx(100 * 1 / 3)  # only one picture has a car
    assert result["fl_noc_fg"] == result["fl_fg_per_pixel"]
    assert result["epe_bg"] == result["epe_bg_per_image"] == pytest.approx((14 / 4 + 6) / 2)
    assert result["epe_bg_per_pixel"] == pytest.approx(20 / 5)
    assert result["out3_bg_per_pixel"] == pytest.approx(100 * 3 / 5)
    assert [result[f"pixels_{s}"] for s in ("bg", "fg", "noc_bg", "noc_fg")] == [5, 3, 3, 3]
    # Foreground and background together are everything.
    for measure in ("epe", "fl", "out3"):
        parts = (result[f"{measure}_bg_per_pixel"] * 5 + result[f"{measure}_fg_per_pixel"] * 3) / 8
        assert result[f"{measure}_all_per_pixel"] == pytest.approx(parts)


def test_without_object_maps_there_are_no_such_keys():
    first, second = street()
    del first["objects"], second["objects"]
    assert not [key for key in evaluated(first).result() if key.endswith(("fg", "bg"))]
    both = evaluated(first, {**second, "objects": mask("...#", "....")})
    assert both.result()["fl_fg"] == 100 and both.result()["fl_bg"] is None
    assert "fl_fg" not in both.images[0] and both.images[1]["fl_fg"] == 100
    # Objects without occlusions: the visible ones are not known.
    del second["occlusion"]
    result = evaluated({**second, "objects": mask("...#", "....")}).result()
    assert result["fl_fg"] == 100 and result["fl_noc_fg"] is None


# === Distance and speed ===


def test_distances_from_the_boundary_on_a_line():
    hidden = mask("...##.")
    # Both sides of each edge are on the boundary.
    assert boundary_distance(hidden)[0, :, 0].tolist() == [2, 1, 0, 0, 0, 0]
    assert boundary_distance(mask("####.")[:, ::-1])[0, :, 0].tolist() == [0, 0, 1, 2, 3]
    assert np.isinf(boundary_distance(mask("###"))).all()
    assert np.isinf(boundary_distance(mask("...", "..."))).all()


def test_distances_are_the_least_over_all_boundary_pixels():
    hidden = np.zeros((13, 17, 1))
    hidden[3:6, 4:9], hidden[11, 15] = 1, 1
    h, w = hidden.shape[:2]
    pixels = list(itertools.product(range(h), range(w)))
    edge = [
        (y, x)
        for y, x in pixels
        for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0))
        if 0 <= y + dy < h and 0 <= x + dx < w and hidden[y, x] != hidden[y + dy, x + dx]
    ]
    truth = [min(math.hypot(y - v, x - u) for v, u in edge) for y, x in pixels]
    np.testing.assert_allclose(boundary_distance(hidden).ravel(), truth, atol=1e-12)
    with pytest.raises(ValueError, match=r"must be \[h, w, 1\]"):
        boundary_distance(hidden[..., 0])


def wide():
    """One row, 200 px, hidden up to column 9: pixel x is x - 10 from the boundary behind it.

    The error is 1, 2, 4 and 8 px at one pixel of each distance, next to a limit.
    """
    target = np.zeros((1, 200, 2), "float32")
    error = np.zeros((1, 200), "float32")
    error[0, [19, 20, 69, 70, 149, 150]] = [1, 2, 4, 8, 16, 32]
    occlusion = np.zeros((1, 200, 1), "float32")
    occlusion[0, :10] = 1
    flow = np.stack([error, 0 * error], -1)
    return {"flow": flow, "target": target, "occlusion": occlusion}


def test_errors_by_distance():
    result = evaluated(wide(), distances=True).result()
    # 0..9: columns 0..9 (distances 9..0) and 10..19; 10..59: 20..69; 60..139: 70..149.
    assert [result[f"pixels_{d}"] for d in ("d0_10", "d10_60", "d60_140")] == [20, 50, 80]
    assert result["epe_d0_10"] == pytest.approx(1 / 20)
    assert result["epe_d10_60"] == pytest.approx(6 / 50)
    assert result["epe_d60_140"] == pytest.approx(24 / 80)  # 32 is farther away
    assert "epe_d0_10" not in evaluated(wide()).result()
    assert "fl_d0_10" not in result


def test_distances_are_pooled_and_a_frame_without_boundary_counts_nowhere():
    picture = wide()
    unknown = {**picture, "valid": np.ones((1, 200, 1))}
    unknown["valid"][0, :20] = 0
    nothing = {**picture, "occlusion": np.zeros((1, 200, 1))}
    evaluation = evaluated(picture, unknown, nothing, distances=True)
    result = evaluation.result()
    assert result["pixels_d0_10"] == 20 and result["epe_d0_10"] == pytest.approx(1 / 20)
    assert result["pixels_d10_60"] == 100 and result["epe_d10_60"] == pytest.approx(6 / 50)
    assert evaluation.images[1]["epe_d0_10"] is None and evaluation.images[2]["epe_d10_60"] is None


def test_distances_without_scipy_say_what_to_install(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("scipy"):
            raise ModuleNotFoundError("No module named 'scipy'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match="pip install scipy"):
        boundary_distance(mask(".#"))


def test_speeds_in_both_reductions():
    target = np.zeros((1, 4, 2), "float32")
    target[0, :, 1] = [9.9, 10, 10, 40]
    first = {"flow": target + np.array([1, 0], "float32"), "target": target}
    slow = np.zeros((1, 2, 2), "float32")
    second = {"flow": slow + np.array([4, 0], "float32"), "target": slow}
    result = evaluated(first, second).result()
    assert result["epe_s0_10_per_image"] == pytest.approx((1 + 4) / 2)
    assert result["epe_s0_10_per_pixel"] == result["epe_s0_10"] == pytest.approx((1 + 8) / 3)
    assert result["epe_s10_40_per_image"] == 1 and result["pixels_s40"] == 1
    by_image = evaluated(first, second, reduction="image").result()
    assert by_image["epe_s0_10"] == by_image["epe_s0_10_per_image"]


# === Occlusion ===


def test_occlusion_f_per_image_and_pooled():
    flow = np.zeros((1, 4, 2))

    def picture(said, hidden):
        maps = {"predicted_occlusion": mask(said), "occlusion": mask(hidden)}
        return {"flow": flow, "target": flow, **maps}

    # Hits, false alarms, misses: 1 0 0; 1 2 1; nothing to find.
    pictures = picture("#...", "#..."), picture("###.", "..##"), picture("....", "....")
    evaluation = evaluated(*pictures)
    result = evaluation.result()
    assert [row["occlusion_f"] for row in evaluation.images] == [1, pytest.approx(0.4), None]
    assert result["occlusion_f_per_image"] == pytest.approx((1 + 0.4) / 2)
    assert result["occlusion_f_per_pixel"] == pytest.approx(4 / 7)
    assert result["occlusion_f"] == result["occlusion_f_per_pixel"]
    by_image = evaluated(*pictures, reduction="image").result()
    assert by_image["occlusion_f"] == result["occlusion_f_per_image"]
    nowhere = evaluated(pictures[2]).result()
    assert nowhere["occlusion_f_per_image"] is None and nowhere["occlusion_f_per_pixel"] is None


# === Disparity ===


def stereo():
    """Two pictures, 2x4, errors of the first: 0 3 4 5 / 1 1 8 1, where the truth is 50 or 100."""
    error = np.array([[0, 3, 4, 5], [1, -1, 8, 1]], "float32")[..., None]
    target = np.full((2, 4, 1), 50, "float32")
    target[0, 3], target[1, 2] = 100, 0
    first = {
        "disparity": target + error,
        "target": target,
        "valid": mask("####", "##.#"),
        "occlusion": mask("...#", "...#"),
        "objects": mask("###.", "...."),
    }
    second = {
        "disparity": target + 6,
        "target": target,
        "valid": mask("#...", "...."),
        "occlusion": mask("....", "...."),
        "objects": mask("....", "...."),
    }
    return first, second


def test_disparity_by_both_averages():
    result = evaluated(*stereo(), kind=DisparityEvaluation).result()
    # Outliers of the first: 4 of 50; 3 is not over 3, and 5 of 100 is not over 5 %.
    assert result["d1_all"] == result["d1_all_per_pixel"] == pytest.approx(100 * 2 / 8)
    assert result["d1_all_per_image"] == pytest.approx((100 / 7 + 100) / 2)
    assert result["out3_all_per_pixel"] == pytest.approx(100 * 3 / 8)
    assert result["d1_noc"] == pytest.approx(100 * 2 / 6) and result["d1_occ"] == 0
    assert result["epe_all"] == result["epe_all_per_image"] == pytest.approx((15 / 7 + 6) / 2)
    assert result["epe_all_per_pixel"] == pytest.approx(21 / 8)
    assert result["epe_occ_per_pixel"] == pytest.approx((5 + 1) / 2)
    assert result["d1_fg"] == pytest.approx(100 / 3) and result["d1_bg"] == pytest.approx(100 / 5)
    assert result["d1_noc_bg"] == pytest.approx(100 / 3)
    assert (result["images"], result["pixels_all"], result["missing"]) == (2, 8, 0)


def test_disparity_is_flow_to_the_left():
    """D1 and EPE of a disparity are Fl and EPE of the flow (-d, 0)."""

    def as_flow(picture):
        flows = {
            new: np.concatenate([-picture[old], 0 * picture[old]], -1)
            for old, new in (("disparity", "flow"), ("target", "target"))
        }
        return {**{k: v for k, v in picture.items() if k != "disparity"}, **flows}

    result = evaluated(*stereo(), kind=DisparityEvaluation).result()
    flow = evaluated(*map(as_flow, stereo())).result()
    for key, value in result.items():
        assert flow[key.replace("d1_", "fl_")] == value, key


def test_disparity_lost_and_wrong_input():
    first, _ = stereo()
    first["disparity"][0, 0] = np.nan
    result = evaluated(first, kind=DisparityEvaluation).result()
    assert result["missing"] == 1 and result["epe_all"] == np.inf
    assert result["d1_all"] == pytest.approx(100 * 2 / 7)
    with pytest.raises(ValueError, match=r"disparity must be \[h, w, 1\] or \[b, h, w, 1\]"):
        evaluated({**first, "disparity": np.zeros((2, 4, 2))}, kind=DisparityEvaluation)
    with pytest.raises(ValueError, match=r"objects must have shape \(2, 4, 1\) to fit the disp"):
        evaluated({**first, "objects": np.zeros((4, 2, 1))}, kind=DisparityEvaluation)
    with pytest.raises(ValueError, match="reduction"):
        DisparityEvaluation("batch")
    with pytest.raises(ValueError, match=r"disparity must be \[..., h, w, 1\]"):
        disparity_error_map(np.zeros((2, 3, 2)), np.zeros((2, 3, 2)))


def test_a_batch_of_disparities_is_its_pictures():
    pictures = stereo()
    together = DisparityEvaluation()
    together.update(**{key: np.stack([p[key] for p in pictures]) for key in pictures[0]})
    assert together.result() == evaluated(*pictures, kind=DisparityEvaluation).result()


# === The benchmarks' tables ===


def test_kitti_2015():
    result = evaluated(*street()).result()
    scores = official_scores(result, "kitti2015")
    assert scores == {
        "Fl-bg": pytest.approx(60),
        "Fl-fg": pytest.approx(100 / 3),
        "Fl-all": pytest.approx(50),
        "Fl-bg noc": pytest.approx(100),
        "Fl-fg noc": pytest.approx(100 / 3),
        "Fl-all noc": pytest.approx(100 * 4 / 6),
    }
    d1 = official_scores(
        evaluated(*stereo(), kind=DisparityEvaluation).result(), "kitti2015", "disparity"
    )
    assert list(d1) == ["D1-bg", "D1-fg", "D1-all", "D1-bg noc", "D1-fg noc", "D1-all noc"]
    assert d1["D1-all"] == pytest.approx(25) and d1["D1-fg"] == pytest.approx(100 / 3)
    first, _ = street()
    del first["objects"]
    assert official_scores(evaluated(first).result(), "kitti2015")["Fl-fg"] is None


def test_kitti_2012_is_3_px_alone_and_the_mean_of_pictures():
    scores = official_scores(evaluated(*street()).result(), "kitti2012")
    # First: 4, 4 and 8 of 7 known pixels, of 5 visible ones; second: its one pixel.
    assert scores == {
        "Out-Noc": pytest.approx((60 + 100) / 2),
        "Out-All": pytest.approx((100 * 3 / 7 + 100) / 2),
        "Avg-Noc": pytest.approx((17 / 5 + 6) / 2),
        "Avg-All": pytest.approx((19 / 7 + 6) / 2),
    }
    disparity = evaluated(*stereo(), kind=DisparityEvaluation).result()
    assert official_scores(disparity, "kitti2012", "disparity")["Avg-All"] == disparity["epe_all"]


def test_sintel():
    scores = official_scores(evaluated(wide(), distances=True).result(), "sintel")
    assert list(scores) == [
        "EPE all", "EPE matched", "EPE unmatched", "d0-10", "d10-60", "d60-140",
        "s0-10", "s10-40", "s40+",
    ]  # fmt: skip
    assert scores["EPE all"] == scores["s0-10"] == pytest.approx(63 / 200)
    assert scores["EPE matched"] == pytest.approx(63 / 190) and scores["EPE unmatched"] == 0
    assert scores["d60-140"] == pytest.approx(24 / 80) and scores["s40+"] is None
    with pytest.raises(ValueError, match="no table of 'sintel' for 'disparity'; known are"):
        official_scores({}, "sintel", "disparity")
