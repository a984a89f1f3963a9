"""Mirrored pairs, pairs of a video, and changes of colour after the warp."""

import numpy as np
import pytest
import tensorflow as tf
from _sources import Listed, as_numpy, changed, equal, example, textured

from kcorr import pipelines, schema
from kcorr.ops import pixel_grid

H, W = 24, 33  # an odd width


def pair():
    """image1 shows image2 shifted by (3, -1): pixel p of image1 lies at p + (3, -1)."""
    image2 = textured((H, 40), 1)[:, :W]
    image1 = np.roll(image2, (1, -3), (0, 1))
    flow = np.zeros((H, W, 2), np.float32) + np.float32([3, -1])
    points1 = np.float32([[5, 9], [20, 9], [12, 17]])
    grid = np.asarray(pixel_grid(H, W)) + flow
    return {
        "image1": image1,
        "image2": image2,
        "grid": grid,
        "flow": flow,
        "points1": points1,
        "points2": points1 + np.float32([3, -1]),
        "visible": np.float32([[1], [1], [0]]),
    }


def test_a_mirrored_pair_still_matches_at_the_grid():
    record = pair()
    out = as_numpy(pipelines.mirror_second(example(record), 1.0))
    assert out["mirrored"].tolist() == [1] and out["mirrored"].dtype == np.float32
    assert np.array_equal(out["image2"], record["image2"][:, ::-1])
    assert np.array_equal(out["image1"], record["image1"])
    x, y = np.int32(out["grid"][2:-2, 2:-4]).transpose(2, 0, 1)
    assert np.array_equal(out["image2"][y, x], out["image1"][2:-2, 2:-4])
    np.testing.assert_allclose(out["flow"] + np.asarray(pixel_grid(H, W)), out["grid"], atol=1e-4)
    expected = record["points2"] * [-1, 1] + [W - 1, 0]
    np.testing.assert_allclose(out["points2"], expected)
    assert np.array_equal(out["points1"], record["points1"])
    assert np.array_equal(out["visible"], record["visible"])


def test_unmirrored_it_is_what_it_was():
    one = example(pair())
    out = dict(pipelines.mirror_second(one, 0.0))
    assert out.pop("mirrored").numpy().tolist() == [0]
    assert equal(as_numpy(out), as_numpy(one))


def test_half_of_the_pairs_are_mirrored_and_shapes_stay():
    outs = changed(pair(), pipelines.mirror_second, 64)
    assert 0.3 < np.mean([out["mirrored"][0] for out in outs]) < 0.7
    stream = tf.data.Dataset.from_tensors(example(pair())).map(pipelines.mirror_second)
    assert stream.element_spec["image2"].shape == (H, W, 3)
    assert stream.element_spec["mirrored"].shape == (1,)


def test_in_the_mirror_the_left_eye_is_where_the_right_one_was():
    record = pair()
    out = as_numpy(pipelines.mirror_second(example(record), 1.0, swap=(0, 2, 1)))
    plain = as_numpy(pipelines.mirror_second(example(record), 1.0))
    assert np.array_equal(out["points2"], plain["points2"][[0, 2, 1]])
    assert out["visible"][:, 0].tolist() == [1, 0, 0]  # one of the two was not
    for swap in ((0, 1), (1, 2, 0), (0, 1, 3)):
        with pytest.raises(ValueError, match="swap must name each of 3 points' counterpart"):
            pipelines.mirror_second(
                {**example(record), "points2": tf.zeros((3, 2))}, 1.0, swap=swap
            )


def test_frames_of_a_video_are_a_pair_of_views():
    record = pair()
    flow = record["flow"].copy()
    flow[:6] = 0
    flow[6, :, :] = (0.0005, 0)
    frames = {
        "image1": record["image1"],
        "image2": record["image2"],
        "flow": flow,
        "occlusion": np.zeros((H, W, 1), np.float32),
        "points1": record["points1"],
    }
    frames["occlusion"][9:11, 4] = 1
    out = as_numpy(pipelines.video_pair(example(frames)))
    assert np.array_equal(out["grid"], np.asarray(pixel_grid(H, W)) + flow)
    expected = np.zeros((H, W))
    expected[7:, : W - 3] = 1
    expected[9:11, 4] = 0
    assert np.array_equal(out["valid"][..., 0], expected) and "occlusion" not in out
    np.testing.assert_allclose(out["points2"], record["points2"])
    assert out["visible"][:, 0].tolist() == [1, 1, 1]
    every = as_numpy(pipelines.video_pair(example(frames), still=None))["valid"][..., 0]
    assert every[:7, :-1].all() and np.array_equal(every[7:], expected[7:])
    slow = as_numpy(pipelines.video_pair(example(frames), still=0))["valid"][..., 0]
    assert slow[6, : W - 3].all() and not slow[:6].any()
    # And it goes on like any pair.
    turned = pipelines.mirror_second(pipelines.video_pair(example(frames)), 1.0)
    assert turned["mirrored"].numpy() == 1


def test_what_is_no_pair_is_refused():
    one = example(pair())
    with pytest.raises(ValueError, match="mirror_second needs grid"):
        pipelines.mirror_second({k: v for k, v in one.items() if k != "grid"})
    with pytest.raises(ValueError, match="mirror_second cannot mirror flow_backward"):
        pipelines.mirror_second({**one, "flow_backward": one["flow"]})
    with pytest.raises(ValueError, match="video_pair needs flow"):
        pipelines.video_pair({k: v for k, v in one.items() if k != "flow"})


# === Colour ===


def images(seed=0):
    record = pair()
    return example({key: record[key] for key in ("image1", "image2", "points1")}, seed)


def test_every_view_looks_different_and_geometry_stays():
    one = images()
    one["image2"] = one["image1"]
    out = as_numpy(pipelines.random_appearance(one))
    assert out["image1"].dtype == np.float32 and out["image1"].shape == (H, W, 3)
    assert out["image1"].min() >= 0 and out["image1"].max() <= 1
    assert np.abs(out["image1"] - out["image2"]).mean() > 0.01
    assert np.array_equal(out["points1"], one["points1"])
    again = as_numpy(pipelines.random_appearance(one))
    assert np.array_equal(out["image1"], again["image1"])
    other = as_numpy(pipelines.random_appearance({**images(5), "image2": one["image1"]}))
    assert np.abs(out["image1"] - other["image1"]).mean() > 0.01
    # What each stage adds, one at a time; nothing is nothing.
    still = as_numpy(pipelines.random_appearance(one, jpeg=False, jitter=0.0, lighting=0.0))
    np.testing.assert_allclose(still["image1"], one["image1"] / np.float32(255), atol=1e-6)


def test_jpeg_noise_is_noise_and_not_another_picture():
    one = images()
    clean = np.asarray(one["image1"]) / 255
    rough = np.asarray(pipelines.random_jpeg(one, (30, 30), 0.0, 1.0)["image1"])
    fine = np.asarray(pipelines.random_jpeg(one, (98, 98), 0.0, 1.0)["image1"])
    small = np.asarray(pipelines.random_jpeg(one, (98, 98), 0.0, 0.25)["image1"])
    assert np.array_equal(small, fine)  # the factor is 1; `smallest` is only a bound
    errors = [np.abs(image - clean).mean() for image in (fine, rough)]
    assert 0 < errors[0] < 0.5 * errors[1] < 0.05
    for bad in ((0, 50), (60, 50), (50, 101)):
        with pytest.raises(ValueError, match="1 <= lowest <= highest quality <= 100"):
            pipelines.random_jpeg(one, bad)


def test_lighting_is_one_colour_along_the_principal_components():
    """Its covariance over many draws is V diag(0.1 lambda)^2 V^T."""
    grey = {"image1": np.full((2, 2, 3), 128, np.uint8)}
    shifts = []
    for out in changed(grey, pipelines.random_lighting, 400):
        shift = out["image1"] - np.float32(128 / 255)
        assert np.abs(shift - shift[0, 0]).max() < 1e-6
        shifts.append(shift[0, 0])
    values, vectors = np.linalg.eigh(np.cov(np.array(shifts).T))
    # Chi-squared with 400 draws: 7 % of a variance, so 15 % is two deviations of it.
    np.testing.assert_allclose(
        np.sqrt(values[::-1]), 0.1 * np.array([0.2175, 0.0188, 0.0045]), rtol=0.12
    )
    brightest = vectors[:, -1] * np.sign(vectors[0, -1])
    np.testing.assert_allclose(brightest, [0.5675, 0.5808, 0.5836], atol=0.02)


# === All of it, from records to batches ===


def test_records_of_any_size_become_batches_for_a_network():
    """Two sizes, points, people; every key of the batch is what the schema says."""
    records = [
        {
            "image1": textured(size, seed),
            "points1": np.float32([[20, 20], [24, 16]]),
            "identity": np.float32([seed]),
        }
        for seed, size in enumerate([(40, 48), (56, 40)])
    ]

    def views(one):
        one = pipelines.published_pair(one)
        return pipelines.random_appearance(pipelines.mirror_second(one))

    keys = ("image1", "points1", "identity")
    stream = pipelines.examples(Listed(records), keys, seed=1).map(views)
    first, second = pipelines.batches(stream, 2).take(2)
    shapes = {
        **{key: (70, 70, 3) for key in ("image1", "image2")},
        **{key: (70, 70, 2) for key in ("grid", "flow")},
        **{key: (2, 2) for key in ("points1", "points2")},
        "valid": (70, 70, 1),
        "visible": (2, 1),
        "identity": (1,),
        "mirrored": (1,),
    }
    assert {key: tuple(value.shape) for key, value in first.items()} == {
        key: (2, *shape) for key, shape in shapes.items()
    }
    for key, value in first.items():
        assert len(schema.FIELDS[key].shape.split()) == value.ndim and np.isfinite(value).all()
    # Static sizes, so that a network and its losses are traced once and fast.
    for key in ("image1", "image2", "grid", "flow", "valid"):
        assert stream.element_spec[key].shape.is_fully_defined()
    assert np.asarray(first["visible"]).mean() > 0.5
    assert sorted(np.ravel(first["identity"])) == [0, 1]
    assert not np.array_equal(first["image1"], second["image1"])
    again = next(iter(pipelines.batches(stream, 2)))
    assert equal(as_numpy(first), as_numpy(again))
