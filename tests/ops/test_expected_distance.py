"""Values and laws of the matching losses; their gradients have a file of their own."""

import keras
import numpy as np
import pytest
from _compiled import compiled
from _gradients import evaluate, gradient
from _matching_truth import pixel_grid, slow_distance, slow_log_loss
from _modes import assert_same_in_every_mode
from keras import ops

from kcorr.ops import expected_distance, matching_log_loss, rotations

RANDOM = np.random.default_rng(11)


def draw(height=4, width=5, channels=3, batch=2, stride=2, noise=1.5, seed=0):
    """Features of both views, and a rough grid that stays in the picture."""
    random = np.random.default_rng(seed)
    first, second = random.normal(size=(2, batch, height, width, channels))
    grid = pixel_grid(height * stride, width * stride, batch)
    grid = grid + random.normal(size=grid.shape) * noise
    last = [width * stride - 1, height * stride - 1]
    return first, second, np.clip(grid, 0, last)


def distance(*arrays, **options):
    return evaluate(compiled(lambda *a: expected_distance(*a, **options)), *arrays)


def log_loss(*arrays, **options):
    return evaluate(compiled(lambda *a: matching_log_loss(*a, **options)), *arrays)


@pytest.mark.parametrize("side, stride, power, expected", [
    (35, 2, 0.5, 5.838295449673514),
    (35, 2, 1.0, 36.4838411931886),
    (48, 2, 0.5, 6.838115008314782),
    (45, 2, 0.5, 6.620828360867105),
    (4, 1, 1.0, 2.0080149693800875),
    (4, 1, 0.5, 1.3428264336495868),
    (5, 1, 0.5, 1.5252384291653778),
])  # fmt: skip
def test_what_a_constant_embedding_costs(side, stride, power, expected):
    """The specification's chance levels (A2.6)."""
    zero = np.zeros((1, side, side, 3))
    grid = pixel_grid(side * stride, side * stride)
    for lattice in ("centre", "topleft"):
        found = distance(zero, zero, grid, power=power, lattice=lattice)
        np.testing.assert_allclose(found, [expected], rtol=1e-13)


@pytest.mark.parametrize("power", [0.5, 1, 2, 0.7])
@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("lattice", ["centre", "topleft"])
def test_the_slow_truth(power, stride, lattice):
    arrays = draw(stride=stride, seed=stride)
    found = distance(*arrays, power=power, lattice=lattice)
    expected = slow_distance(*arrays, power, stride=stride, lattice=lattice)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("chunk", [1, 3, 7, 19, 20, 64])
def test_chunks_do_not_change_the_result(chunk):
    arrays = draw()
    aux = RANDOM.normal(size=(2, 3, 4, 3))
    options = {"aux": aux, "group": rotations(3)}
    expected = slow_distance(*arrays, **options)
    np.testing.assert_allclose(distance(*arrays, chunk=chunk, **options), expected, rtol=1e-12)
    np.testing.assert_allclose(
        log_loss(*arrays, chunk=chunk, aux=aux), slow_log_loss(*arrays, aux=aux), rtol=1e-12
    )


def test_the_maps_may_differ_in_size():
    first, _, grid = draw()
    second = RANDOM.normal(size=(2, 6, 3, 3))
    expected = slow_distance(first, second, grid)
    np.testing.assert_allclose(distance(first, second, grid), expected, rtol=1e-12)


@pytest.mark.parametrize("pixels, count", [(71, 35), (71, 36), (17, 8), (17, 9)])
def test_odd_pictures_have_the_stride_of_even_ones(pixels, count):
    """Rounded up or down, cell i is pixels 2 i and 2 i + 1."""
    first, second = RANDOM.normal(size=(2, 1, count, count, 3))
    large = pixel_grid(2 * count, 2 * count)
    found = distance(first, second, pixel_grid(pixels, pixels))
    if pixels < 2 * count:  # the last cell is half padding, and read at the border
        large = np.minimum(large, pixels - 1)
        large[:, -2:, :, 1] = large[:, :, -2:, 0] = pixels - 1
    np.testing.assert_allclose(found, slow_distance(first, second, large), rtol=1e-12)


def test_a_mask_of_cells_and_a_mask_of_pixels():
    arrays = draw()
    mask = (RANDOM.random((2, 4, 5, 1)) > 0.4).astype("float64")
    mask[0, 1, 2] = 1
    expected = slow_distance(*arrays, mask=mask)
    np.testing.assert_allclose(distance(*arrays, mask=mask), expected, rtol=1e-12)
    pixels = mask.repeat(2, 1).repeat(2, 2)
    pixels[0, 2:4, 4:6, 0] = [0, 1]  # half of a cell is not enough
    mask[0, 1, 2] = 0
    expected = slow_distance(*arrays, mask=mask)
    np.testing.assert_allclose(distance(*arrays, mask=pixels), expected, rtol=1e-12)


def test_what_does_not_count_may_be_anything():
    first, second, grid = draw()
    mask = np.ones((2, 4, 5, 1))
    mask[0, 1, 2] = mask[1, 3, 4] = 0
    expected = slow_distance(first, second, grid, mask=mask)
    first[0, 1, 2] = np.nan
    grid[1, 7, 9] = np.inf  # one pixel of the last cell
    mask[1, 3, 4] = 1
    for options in ({}, {"aux": RANDOM.normal(size=(2, 4, 5, 3))}, {"normalise": True}):
        run = compiled(lambda a, b, o=options: expected_distance(a, b, grid, mask=mask, **o))
        found = gradient(run, first, second)
        assert all(np.isfinite(x).all() and x.any() for x in found)
        assert not found[0][0, 1, 2].any() and not found[0][1, 3, 4].any()
    np.testing.assert_allclose(distance(first, second, grid, mask=mask), expected, rtol=1e-12)


def test_nothing_that_counts_costs_nothing():
    arrays = draw()
    mask = np.zeros((2, 4, 5, 1))
    assert not distance(*arrays, mask=mask).any() and not log_loss(*arrays, mask=mask).any()


def test_a_bad_target_spoils_its_own_example_only():
    first, second, grid = draw()
    second[1, 2, 2, 0] = np.nan
    found = distance(first, second, grid)
    assert np.isfinite(found[0]) and np.isnan(found[1])


def test_one_hot_features_find_their_place():
    """T3: the loss is the mean distance of each cell from where it must be, through aux too."""
    first = np.eye(20).reshape(1, 4, 5, 20) * 20
    _, _, grid = draw(batch=1, noise=3)
    zero = np.zeros((1, 4, 5, 1))
    lone = [
        slow_distance(zero, zero[:, :1, :1], grid[:, y : y + 2, x : x + 2] - [x, y])
        for y in range(0, 8, 2)
        for x in range(0, 10, 2)
    ]
    np.testing.assert_allclose(distance(first, first, grid), np.mean(lone), rtol=1e-6)
    np.testing.assert_allclose(distance(first, first, grid, aux=first), np.mean(lone), rtol=1e-6)


def test_logits_of_400_are_nothing_special():
    first = np.eye(20, dtype="float32").reshape(1, 4, 5, 20) * 20
    grid = pixel_grid(8, 10).astype("float32")
    for sign in (1, -1):
        for loss in (expected_distance, matching_log_loss):
            run = compiled(lambda a, b, s=sign, f=loss: f(s * a, b, grid, aux=a))
            found = gradient(run, first, first)
            assert all(np.isfinite(x).all() for x in found)
    np.testing.assert_allclose(log_loss(-first, first, grid), [400 + np.log(19)], rtol=1e-6)


# === Vector exchange ===


@pytest.mark.parametrize("normalise", [False, True, 3.0])
def test_exchange_equals_the_slow_truth(normalise):
    arrays = draw(channels=4)
    aux = RANDOM.normal(size=(2, 6, 3, 4))
    options = {"aux": aux, "normalise": normalise}
    np.testing.assert_allclose(distance(*arrays, **options), slow_distance(*arrays, **options))
    np.testing.assert_allclose(log_loss(*arrays, **options), slow_log_loss(*arrays, **options))


def test_several_auxiliaries_share_one_softmax():
    arrays = draw(channels=4)
    several = RANDOM.normal(size=(2, 5, 4, 3, 4))
    stacked = several.reshape(2, 20, 3, 4)
    found = distance(*arrays, aux=several)
    np.testing.assert_allclose(found, slow_distance(*arrays, aux=stacked), rtol=1e-12)
    single = np.mean([slow_distance(*arrays, aux=several[:, i]) for i in range(5)], axis=0)
    assert np.abs(found - single).max() > 1e-3  # not an average of five


def test_exchange_does_not_see_where_things_are_in_the_auxiliary():
    arrays = draw(channels=4)
    aux = RANDOM.normal(size=(2, 5, 4, 4))
    shuffled = aux.reshape(2, 20, 4)[:, RANDOM.permutation(20)].reshape(aux.shape)
    np.testing.assert_allclose(distance(*arrays, aux=shuffled), distance(*arrays, aux=aux))


def test_a_common_orthogonal_map_changes_nothing():
    first, second, grid = draw(channels=4)
    aux = RANDOM.normal(size=(2, 4, 5, 4))
    turn = np.linalg.qr(RANDOM.normal(size=(4, 4)))[0]
    for loss in (distance, log_loss):
        np.testing.assert_allclose(
            loss(first @ turn, second @ turn, grid), loss(first, second, grid)
        )
        np.testing.assert_allclose(
            loss(first @ turn, second @ turn, grid, aux=aux @ turn),
            loss(first, second, grid, aux=aux),
        )


# === Symmetries ===


def reflection(batch_flags, first, second, grid, stride=2):
    """The pair whose second view is a mirror image where the flag is 1."""
    second, grid = second.copy(), grid.copy()
    for b, flag in enumerate(batch_flags):
        if flag:
            second[b] = second[b, :, ::-1] * np.array([-1] + [1] * (second.shape[-1] - 1))
            grid[b, ..., 0] = stride * second.shape[2] - 1 - grid[b, ..., 0]
    return first, second, grid


@pytest.mark.parametrize("loss", [distance, log_loss])
def test_a_mirror_image_costs_the_same_on_the_lattice_of_centres(loss):
    """T7: mirrored features, negated sources, x to w - 1 - x."""
    arrays = draw()
    flags = np.array([0.0, 1.0])
    mirrored = reflection(flags, *arrays)
    expected = loss(*arrays)
    for form in (flags, flags[:, None], flags > 0):
        np.testing.assert_allclose(loss(*mirrored, mirror=form), expected, rtol=1e-12)
    assert abs(loss(*mirrored)[1] - expected[1]) > 1e-3
    if loss is distance:
        parity = [
            loss(*pair, mirror=flag, lattice="topleft")
            for pair, flag in ((mirrored, flags), (arrays, 0 * flags))
        ]
        assert parity[0][0] == parity[1][0] and abs(parity[0][1] - parity[1][1]) > 1e-3


def test_mirror_and_exchange_negate_what_was_rebuilt():
    arrays = draw()
    options = {"aux": RANDOM.normal(size=(2, 4, 4, 3)), "mirror": np.array([1.0, 0.0])}
    np.testing.assert_allclose(distance(*arrays, **options), slow_distance(*arrays, **options))


@pytest.mark.parametrize("channels", [3, 5])
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_the_best_of_a_group_is_taken_per_pair(count, channels):
    arrays = draw(channels=channels, batch=6, seed=count)
    found = distance(*arrays, group=rotations(count))
    np.testing.assert_allclose(found, slow_distance(*arrays, group=rotations(count)), rtol=1e-12)
    if count == 1:
        np.testing.assert_allclose(found, distance(*arrays), rtol=1e-12)


def test_turning_the_sources_by_an_element_changes_nothing():
    first, second, grid = draw(batch=4)
    group = rotations(5)
    for loss in (distance, log_loss):
        expected = loss(first, second, grid, group=group)
        for element in group:
            found = loss(first @ element.T, second, grid, group=group)
            np.testing.assert_allclose(found, expected, rtol=1e-12)
        assert (expected <= loss(first, second, grid) + 1e-12).all()


def test_any_orthogonal_matrices_are_a_group():
    arrays = draw(batch=5)
    group = [np.linalg.qr(RANDOM.normal(size=(3, 3)))[0] for _ in range(4)]
    group.append(np.diag([-1.0, 1, 1]))
    np.testing.assert_allclose(distance(*arrays, group=group), slow_distance(*arrays, group=group))


def test_rotations_about_z_are_combinations_of_three_correlations():
    a, b = RANDOM.normal(size=(2, 3))
    for k, turn in enumerate(rotations(7)):
        angle = 2 * np.pi * k / 7
        expected = a[2] * b[2] + np.cos(angle) * (a[:2] @ b[:2])
        expected += np.sin(angle) * (a[0] * b[1] - a[1] * b[0])
        np.testing.assert_allclose((turn @ a) @ b, expected, atol=1e-12)


# === The logarithmic loss ===


def test_the_log_loss_equals_the_slow_truth():
    arrays = draw(noise=3)
    np.testing.assert_allclose(log_loss(*arrays), slow_log_loss(*arrays), rtol=1e-12)
    zero = np.zeros((2, 4, 5, 3))
    np.testing.assert_allclose(log_loss(zero, zero, arrays[2]), np.log(20))


def test_a_match_outside_the_map_does_not_count():
    first, second, grid = draw()
    mask = np.ones((2, 4, 5, 1))
    mask[0, 1, 2] = mask[1, 0, 0] = 0
    expected = log_loss(first, second, grid, mask=mask)
    grid[0, 2:4, 4:6] = [9.6, 3]  # the last cell, 8 and 9, ends at 9.5
    grid[1, 0:2, 0:2] = [3, -0.6]
    np.testing.assert_allclose(log_loss(first, second, grid), expected, rtol=1e-12)


# === Modes, precision, memory, arguments ===


def test_every_mode():
    first, second, grid = (x.astype("float32") for x in draw(5, 7, 4))
    aux = RANDOM.normal(size=(2, 5, 7, 4)).astype("float32")
    mask = np.ones((2, 10, 14, 1), "float32")
    mirror = np.array([[1.0], [0.0]], "float32")

    def losses(first, second, grid, aux, mask, mirror):
        options = {"mask": mask, "aux": aux, "mirror": mirror, "group": rotations(2)}
        return [
            expected_distance(first, second, grid, normalise=True, chunk=9, **options),
            matching_log_loss(first, second, grid),
        ]

    assert_same_in_every_mode(losses, first, second, grid, aux, mask, mirror, rtol=1e-4)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_summed_in_float32(dtype):
    first, second, grid = draw(channels=16)
    first, second = (ops.cast(x * 5, dtype) for x in (first, second))
    found = expected_distance(first, second, grid.astype("float32"))
    assert keras.backend.standardize_dtype(found.dtype) == "float32"
    exact = [ops.convert_to_numpy(ops.cast(x, "float32")) for x in (first, second)]
    np.testing.assert_allclose(found, slow_distance(*exact, grid), rtol=1e-4)


def test_no_tensor_has_all_pairs(monkeypatch):
    """At 24 x 24 cells with chunks of 10 rows, forward and backward, all forms."""
    from kcorr.ops import _streaming

    seen = []

    def watched(function):
        def call(*arguments, **options):
            result = function(*arguments, **options)
            seen.append(np.prod(result.shape))
            return result

        return call

    for name in ("matmul", "_distances", "_logits"):
        monkeypatch.setattr(_streaming, name, watched(getattr(_streaming, name)))
    first, second, grid = (x.astype("float32") for x in draw(24, 24, batch=1))
    options = {"chunk": 10, "aux": first, "group": rotations(2)}
    gradient(lambda a, b: expected_distance(a, b, grid, **options), first, second)
    gradient(lambda a, b: matching_log_loss(a, b, grid, **options), first, second)
    assert len(seen) > 8 and max(seen) <= 10 * 2 * 24 * 24 * 2


def test_what_is_refused():
    first, second, grid = draw()
    for options, message in [
        ({"power": 0}, "power must be above 0"),
        ({"chunk": 0}, "chunk must be"),
        ({"chunk": 1.5}, "chunk must be"),
        ({"lattice": "corner"}, "lattice must be one of centre, topleft, got 'corner'"),
        ({"normalise": -1}, "normalise must be"),
        ({"group": np.eye(3)}, "list of 3x3 matrices"),
        ({"group": 2 * np.eye(3)[None]}, "orthogonal"),
        ({"mirror": np.zeros((2, 3))}, r"mirror must be \[b\]"),
        ({"mask": np.ones((2, 4, 5))}, r"mask \[b, H, W, 1\]"),
        ({"mask": np.ones((2, 7, 1, 1))}, "mask: 4x5 cells are not those of a picture of 7x1"),
        ({"aux": np.ones((2, 4, 5, 2))}, r"aux \[b, h3, w3, c\]"),
    ]:
        with pytest.raises(ValueError, match=message):
            expected_distance(first, second, grid, **options)
    with pytest.raises(ValueError, match=r"first \[b, h, w, c\]"):
        expected_distance(first[0], second, grid)
    with pytest.raises(ValueError, match="4x5 cells are not those of a picture of 8x3"):
        matching_log_loss(first, second, grid[:, :, :3])
    with pytest.raises(ValueError, match="turns three channels, the features have 2"):
        expected_distance(first[..., :2], second[..., :2], grid, group=rotations(2))
    with pytest.raises(ValueError, match="at least 1"):
        rotations(0)
