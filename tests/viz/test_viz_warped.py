"""What shows a flow's quality without ground truth: before and after, and the flicker."""

import numpy as np
import pytest
from PIL import Image, ImageSequence

from kcorr import viz


def textured(seed, height=40, width=56):
    """A smooth coloured texture, uint8 [h, w, 3], of far more than 256 colours."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (height // 8 + 2, width // 8 + 2, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def frames_of(path):
    with Image.open(path) as image:
        return [np.asarray(f.convert("RGB")).astype(int) for f in ImageSequence.Iterator(image)]


def test_mean_difference_counts_inside_only():
    first = np.zeros((4, 6, 3), np.uint8)
    second = first.copy()
    second[:2] = (30, 0, 60)
    inside = np.ones((4, 6, 1))
    assert viz.mean_difference(first, second) == 15
    inside[:1] = 0
    assert viz.mean_difference(first, second, inside) == 10
    assert viz.mean_difference(first, second, 0 * inside) is None
    assert viz.mean_difference(first / 255.0, second) == 15


def test_the_right_warp_is_dark_after_and_the_frames_were_not_before():
    scene = textured(0, 40, 64)
    first, second = scene[:, 8:], scene[:, :-8]  # 8 px to the right
    inside = np.ones((40, 56))
    inside[:, -8:] = 0
    warped = np.where(inside[..., None] > 0, first, 0).astype(np.uint8)
    sheet = viz.before_after(first, second, warped, inside)
    dark, bright = viz.difference(first, first)[0, 0], viz.difference(first, second, inside)
    # The same cells, with the same titles' rows, hold the four pictures.
    plain = viz.side_by_side(
        [("", second), ("", bright), ("", warped), ("", viz.difference(first, first, inside))], 2
    )
    assert sheet.shape == plain.shape
    differing = (sheet != plain).any(-1)
    assert 0 < differing.sum() < 0.2 * differing.size, "only the titles differ"
    lower = sheet[sheet.shape[0] // 2 :, sheet.shape[1] // 2 :]
    upper = sheet[: sheet.shape[0] // 2, sheet.shape[1] // 2 :]
    enlarged = (lower == dark).all(-1).sum()
    assert enlarged > 0.8 * 40 * 48 * 9, "three times enlarged and dark but for the outside"
    assert (upper == dark).all(-1).sum() < 0.1 * enlarged


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_only_what_is_wrong_flickers(tmp_path, suffix):
    first = textured(1)
    warped = first.copy()
    warped[10:20, 12:30] = 255 - warped[10:20, 12:30]  # a wrong patch
    inside = np.ones(first.shape[:2])
    inside[:, 50:] = 0
    warped[:, 50:] = 0  # what the warp could not find
    viz.warped_flicker(first, warped, tmp_path / f"a.{suffix}", inside)
    one, two = frames_of(tmp_path / f"a.{suffix}")
    moving = (one != two).any(-1)
    assert not moving[:, 50:].any(), "outside stands still"
    assert moving[10:20, 12:30].mean() > 0.9
    moving[10:20, 12:30] = False
    assert not moving.any(), "equal pixels stay equal, whatever the format does to colours"
    assert np.abs(one[:, :50] - first[:, :50]).mean() < (12 if suffix == "gif" else 1e-9)
    assert np.abs(one[:, 50:] - first[:, 50:] // 3).mean() < (12 if suffix == "gif" else 1e-9)


def test_the_callers_pictures_are_left_as_they_were(tmp_path):
    first, warped = textured(2), textured(3)
    copies = first.copy(), warped.copy()
    viz.warped_flicker(first, warped, tmp_path / "a.png", np.zeros(first.shape[:2]))
    assert (first == copies[0]).all() and (warped == copies[1]).all()


def test_other_sizes_are_refused(tmp_path):
    first = textured(4)
    for wrong in (first[1:], first[:, 1:]):
        with pytest.raises(ValueError, match="expected 40x56"):
            viz.warped_flicker(first, wrong, tmp_path / "a.gif")
        with pytest.raises(ValueError, match="expected 40x56"):
            viz.before_after(first, first, wrong)
        with pytest.raises(ValueError, match="expected 40x56"):
            viz.before_after(first, first, first, wrong[..., 0])
    with pytest.raises(ValueError, match="duration"):
        viz.warped_flicker(first, first, tmp_path / "a.gif", duration=0)
    assert not list(tmp_path.iterdir())
