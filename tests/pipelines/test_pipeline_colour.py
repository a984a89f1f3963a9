"""Colour changes: geometry stays, images stay in step, values stay in [0, 1]."""

from itertools import permutations

import numpy as np
import pytest
import tensorflow as tf
from _sources import changed, equal, example, textured

from kcorr import pipelines


def _record():
    flow = np.random.default_rng(1).normal(size=(40, 56, 2)).astype(np.float32)
    return {
        "image0": textured(seed=1),
        "image1": textured(seed=2),
        "image2": textured(seed=3),
        "flow": flow,
        "valid": np.ones((40, 56, 1), np.float32),
    }


def test_the_channel_order_is_the_same_in_all_images_and_all_six_come():
    record, orders = _record(), set()
    for out in changed(record, pipelines.random_channel_order, 60):
        fits = [
            order
            for order in permutations(range(3))
            if all(
                np.array_equal(out[key], record[key][..., order]) for key in record if "im" in key
            )
        ]
        assert len(fits) == 1
        assert np.array_equal(out["flow"], record["flow"])
        orders.update(fits)
    assert len(orders) == 6


def test_colour_changes_images_only_and_keeps_them_in_range():
    record = _record()
    record["image2"][:8], record["image2"][-8:] = 0, 255

    def strong(each):
        return pipelines.random_colour(each, brightness=0.5, contrast=0.9, gamma=0.7)

    outs = changed(record, strong, 20)
    for out in outs:
        for key in ("image0", "image1", "image2"):
            assert out[key].dtype == np.float32
            assert out[key].min() >= 0 and out[key].max() <= 1
            assert np.isfinite(out[key]).all()
            assert not np.allclose(out[key], record[key] / 255, atol=1e-3)
        assert equal(
            {k: out[k] for k in ("flow", "valid")}, {k: record[k] for k in ("flow", "valid")}
        )


def test_colour_is_monotone():
    """Brightness, contrast and gamma never swap two grey levels."""
    ramp = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=-1)
    for out in changed({"image1": ramp, "image2": ramp}, pipelines.random_colour, 20):
        assert (np.diff(out["image1"][..., 0].reshape(-1)) >= 0).all()


def test_colour_of_bytes_and_of_floats_is_the_same():
    """The look-up of 256 values against the formula for every pixel."""
    each = example(_record())
    looked_up = pipelines.random_colour(each)
    computed = pipelines.random_colour(pipelines.to_float(each))
    for key in ("image0", "image1", "image2"):
        assert np.allclose(looked_up[key], computed[key], atol=2e-6)


def test_no_change_and_a_change_of_known_size():
    record = {key: _record()[key] // 2 + np.uint8(60) for key in ("image1", "image2")}

    def none(each):
        return pipelines.random_colour(each, brightness=0, contrast=0, gamma=0)

    (out,) = changed(record, none, 1)
    assert np.allclose(out["image1"], record["image1"] / 255, atol=1e-6)

    def brighter(each):
        return pipelines.random_colour(each, brightness=0.05, contrast=0, gamma=0)

    shifts = [(out["image1"] - record["image1"] / 255) for out in changed(record, brighter, 200)]
    assert all(np.ptp(shift) < 1e-6 for shift in shifts)
    sizes = [shift.mean() for shift in shifts]
    assert -0.05 <= min(sizes) < -0.03 and 0.03 < max(sizes) <= 0.05


@pytest.mark.parametrize("between, same", [(0.0, True), (0.5, False)])
def test_between_is_the_share_that_images_do_not_have_in_common(between, same):
    record = {"image1": textured(), "image2": textured()}

    def change(each):
        return pipelines.random_colour(each, between=between)

    for out in changed(record, change, 5):
        assert np.array_equal(out["image1"], out["image2"]) is same


def test_what_images_have_in_common_keeps_equal_colours_equal():
    """A colour that both frames show stays one colour, whatever else they show."""
    first, second = textured(), textured()
    second[:, 28:] //= 3

    def change(each):
        return pipelines.random_colour(each, contrast=0.8, between=0.0)

    for out in changed({"image1": first, "image2": second}, change, 5):
        assert np.array_equal(out["image1"][:, :28], out["image2"][:, :28])


def test_batches_are_float_in_any_case():
    each = example(_record())
    stream = tf.data.Dataset.from_tensors(each).repeat(4)
    batch = next(iter(pipelines.batches(stream, 2)))
    assert "seed" not in batch
    assert batch["image1"].dtype == tf.float32 and batch["image1"].shape == (2, 40, 56, 3)
    assert np.allclose(batch["image1"][1] * 255, _record()["image1"], atol=1e-4)
    coloured = next(iter(pipelines.batches(stream.map(pipelines.random_colour), 2)))
    alone = pipelines.random_colour(each)["image1"]
    assert np.allclose(coloured["image1"], [alone, alone], atol=1e-6)


def test_mixing_keeps_every_example():
    records = [{"image1": np.full((4, 4, 3), i, np.uint8)} for i in range(24)]
    stream = tf.data.Dataset.from_generator(
        lambda: iter(records), output_signature={"image1": tf.TensorSpec([4, 4, 3], tf.uint8)}
    )
    out = [batch["image1"].numpy()[:, 0, 0, 0] for batch in pipelines.batches(stream, 4, mixing=9)]
    numbers = np.round(np.concatenate(out) * 255).astype(int).tolist()
    assert sorted(numbers) == list(range(24)) != numbers
