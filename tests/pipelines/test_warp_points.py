"""Points that travel with a warped picture, single views, and the published settings."""

import numpy as np
import pytest
from _sources import as_numpy, example, textured

from kcorr import pipelines
from kcorr.ops import pixel_grid

POINTS = np.float32([[30, 30], [50.5, 41.25], [66, 60], [48, 70], [1, 2]])


def drawn(record, change, count):
    """Independent changes of a record, eagerly: of a size that is known, which is much faster."""
    return [as_numpy(change(example(record, seed))) for seed in range(count)]


def dotted(points, size=(96, 104)):
    """A dark picture with a bright spot at each point; its centre of mass is the point."""
    x, y = np.moveaxis(np.asarray(pixel_grid(*size)), -1, 0)
    spots = [np.exp(-((x - px) ** 2 + (y - py) ** 2) / 8) for px, py in points]
    return np.uint8(255 * np.clip(sum(spots), 0, 1))[..., None].repeat(3, -1)


def spot_near(image, at):
    """Centre of mass of what is bright within five pixels of `at`."""
    x, y = np.moveaxis(np.asarray(pixel_grid(*image.shape[:2])), -1, 0)
    weight = image[..., 0] * (np.hypot(x - at[0], y - at[1]) < 6)
    return np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum()


def test_points_lie_on_what_they_mark_in_both_views():
    """Where visible, the spot that was drawn at the point is seen at the point, in both views."""
    record = {"image1": dotted(POINTS), "points1": POINTS}
    seen = 0
    for out in drawn(record, lambda e: pipelines.warp_pair(e, 10), 4):
        assert out["points1"].shape == out["points2"].shape == (5, 2)
        for which in ("1", "2"):
            for point, visible in zip(out[f"points{which}"], out["visible"][:, 0], strict=True):
                if visible and (point > 6).all() and (point < [77, 69]).all():
                    at = spot_near(out[f"image{which}"], point)
                    # The rest is the spot's own stretching.
                    assert np.abs(at - point).max() < 0.6
                    seen += 1
    assert seen > 12


def test_the_grid_maps_the_points_of_image1_onto_those_of_image2():
    from kcorr.ops import sample_points

    record = {"image1": textured((96, 104), 0), "points1": POINTS}
    errors = {"newton": [], "nearest": []}
    for method, found in errors.items():
        out = as_numpy(pipelines.warp_pair(example(record), 10, point_method=method))
        visible = out["visible"][:, 0] > 0
        assert 2 <= visible.sum() < 5
        mapped = np.asarray(sample_points(out["grid"][None], out["points1"][None])[0][0])
        found.append(np.abs(mapped - out["points2"])[visible].max())
    assert max(errors["newton"]) < 0.01 and 0.05 < max(errors["nearest"]) < 1
    assert np.array_equal(out["points2"], np.round(out["points2"]))


def test_visible_needs_both_views_and_the_records_word():
    record = {
        "image1": textured((96, 104), 0),
        "points1": POINTS,
        "visible": np.float32([[1], [0], [1], [1], [1]]),
    }
    still = dict.fromkeys(
        ("deformation", "strong_deformation", "translation", "scale", "rotation"), 0
    )
    out = as_numpy(pipelines.warp_pair(example(record), 10, **still))
    assert out["visible"][:, 0].tolist() == [1, 0, 1, 1, 0]  # hidden before; cropped away
    for key in ("points1", "points2"):
        np.testing.assert_allclose(out[key], POINTS - 10, atol=1e-3)


def test_a_single_view_moves_its_points_a_little():
    record = {"image1": dotted(POINTS), "points1": POINTS, "identity": np.float32([7])}
    outs = drawn(record, lambda e: pipelines.warp_view(e, 12), 4)
    for out in outs:
        assert out.keys() == {"image1", "valid", "points1", "visible", "identity", "seed"}
        assert out["image1"].shape == (72, 80, 3) and out["identity"] == 7
        point = out["points1"][1]
        assert np.abs(spot_near(out["image1"], point) - point).max() < 0.6
        assert 0.01 < np.abs(point - (POINTS[1] - 12)).max() < 8
        assert out["visible"][:, 0].tolist() == [1, 1, 1, 1, 0] and out["valid"].mean() > 0.95
    assert not np.allclose(outs[0]["points1"], outs[1]["points1"], atol=0.05)


def test_the_published_settings():
    """Sizes the networks see, and a hand-written call with the published numbers."""
    record = {"image1": textured((96, 120), 0), "points1": POINTS}
    sizes = {"smallnet": 70, "hourglass": 96, "landmarks": 80}
    assert pipelines.WARPS.keys() == sizes.keys()
    for name, size in sizes.items():
        assert {kind: o["side"] - 2 * o["crop"] for kind, o in pipelines.WARPS[name].items()} == (
            dict.fromkeys(("training", "evaluation", "hard", "single"), size)
        )
    one = example(record)
    resized = pipelines.resize_example(one, (100, 100))
    found = as_numpy(pipelines.published_pair(one))
    expected = as_numpy(pipelines.warp_pair(resized, 15))
    assert all(np.array_equal(found[key], expected[key]) for key in expected)
    weak = as_numpy(pipelines.published_pair(one, kind="evaluation"))
    half = (0.0005, 0.005, 0.05, 0.05, 2.5, 1.0)
    expected = as_numpy(pipelines.warp_pair(resized, 15, *half))
    assert np.array_equal(weak["grid"], expected["grid"])
    assert np.array_equal(weak["image2"], expected["image2"])
    assert np.abs(weak["flow"]).mean() < 0.7 * np.abs(found["flow"]).mean()
    single = as_numpy(pipelines.published_view(one))
    assert single["image1"].shape == (70, 70, 3)
    expected = pipelines.warp_view(resized, 15, 0.0005, 0.0, 0.02, 0.02, 2.0)
    assert np.array_equal(single["image1"], expected["image1"])
    changed_crop = pipelines.published_view(one, "smallnet", crop=20)
    assert changed_crop["image1"].shape == (60, 60, 3)
    stronger = as_numpy(pipelines.published_view(one, kind="evaluation"))
    expected = pipelines.warp_view(resized, 15, 0.0005, 0.005, 0.05, 0.05, 2.5)
    assert np.array_equal(stronger["points1"], expected["points1"])
    # As they are: pictures that have their size already.
    found = as_numpy(pipelines.published_pair(one, resized=False, crop=4))
    expected = as_numpy(pipelines.warp_pair(one, 4))
    assert found["image1"].shape == (88, 112, 3)
    assert all(np.array_equal(found[key], expected[key]) for key in expected)
    found = as_numpy(pipelines.published_view(one, resized=False, crop=0))
    assert np.array_equal(found["image1"], pipelines.warp_view(one, 0)["image1"])


def test_the_affine_share_moves_image2():
    record = {"image1": textured((96, 104), 0)}

    def view2(**options):
        plain = {"deformation": 0, "strong_deformation": 0}
        return as_numpy(pipelines.warp_pair(example(record), 10, **plain, **options))

    still, moved = view2(first_affine_share=0), view2()
    inner = record["image1"][10:-10, 10:-10] / 255
    assert np.abs(still["image2"] - inner).max() < 1e-3 < np.abs(moved["image2"] - inner).max()
    np.testing.assert_allclose(still["grid"], moved["grid"], atol=1e-4)


def test_what_is_refused():
    one = example({"image1": textured((96, 104), 0), "points1": POINTS})
    with pytest.raises(ValueError, match=r"no published warp 'tiny' .* smallnet, hourglass"):
        pipelines.published_pair(one, "tiny")
    with pytest.raises(ValueError, match="of kind 'single'; known are"):
        pipelines.published_pair(one, kind="single")
    with pytest.raises(ValueError, match=r"of kind 'weak'; known are .* each single or training"):
        pipelines.published_view(one, kind="weak")
    with pytest.raises(ValueError, match="method must be newton or nearest"):
        pipelines.warp_pair(one, point_method="linear")
    with pytest.raises(ValueError, match="nothing of a 96x104 picture is left"):
        pipelines.warp_view(one | {"image1": np.zeros((96, 104, 3), np.float32)}, 48)
