"""Matches to dense flow: laws, the published formulas slowly, filters, and hard cases."""

import inspect
import sys

import numpy as np
import pytest

from kcorr.models import corner_saliency, edge_map, interpolate_matches, interpolation, refine_flow
from kcorr.models.geodesic import geodesic_labels, nearest_seeds, seed_graph

OPEN = {"saliency": None, "consistency": None}  # no filters


def noise(height=40, width=60, seed=0):
    return np.random.default_rng(seed).uniform(0, 1, (height, width, 3)).astype(np.float32)


def moved(x, y, motion):
    """Matches of places by a function of (x, y)."""
    u, v = motion(x, y)
    return np.stack([x, y, x + u, y + v, np.ones_like(x)], axis=-1)


def lattice(height=40, width=60, step=8, margin=4):
    y, x = np.mgrid[margin:height:step, margin:width:step].astype(float)
    return x.ravel(), y.ravel()


@pytest.mark.parametrize("method", ["affine", "average"])
@pytest.mark.parametrize("preset", [None, "sintel", "kitti", "middlebury"])
def test_equal_motions_are_reproduced_exactly(method, preset):
    matches = moved(*lattice(margin=6), lambda x, y: (3 + 0 * x, -2.5 + 0 * x))
    found = interpolate_matches(matches, noise(), method=method, preset=preset)
    assert found.shape == (40, 60, 2) and found.dtype == np.float32
    np.testing.assert_array_equal(found, np.broadcast_to([3, -2.5], found.shape))


def test_an_affine_motion_is_reproduced_by_affine_alone():
    def motion(x, y):
        return 0.05 * (x - 30) - 0.02 * y + 1, 0.03 * (x - 30) + 0.04 * (y - 20)

    rng = np.random.default_rng(1)
    matches = moved(rng.uniform(3, 56, 80), rng.uniform(3, 36, 80), motion)
    y, x = np.mgrid[:40, :60].astype(float)
    truth = np.stack(motion(x, y), axis=-1)
    flat = np.zeros((40, 60))
    found = interpolate_matches(matches, noise(), flat)
    assert np.abs(found - truth).max() < 1e-3
    mean = interpolate_matches(matches, noise(), flat, method="average")
    assert np.abs(mean - truth).max() > 0.1


def test_an_edge_separates_two_motions():
    """Columns 21 to 24 are nearer to matches of the left, but lie beyond the edge at 20."""
    image = np.zeros((40, 60, 3), np.float32)
    image[:, 20:] = 1
    y = np.arange(2.0, 40, 6)
    left = moved(np.full_like(y, 10), y, lambda x, y: (4 + 0 * x, 0 * x))
    right = moved(np.full_like(y, 40), y, lambda x, y: (-2 + 0 * x, 1 + 0 * x))
    matches = np.concatenate([left, right])
    found = interpolate_matches(matches, image, method="average", **OPEN)
    # Through the gradient of the edge, 5 pixels of Gaussian, some of the other side's weight comes.
    assert np.abs(found[:, :20] - [4, 0]).max() < 0.1
    assert np.abs(found[:, 20:] - [-2, 1]).max() < 0.1
    # Without edges the cells meet in the middle.
    flat = np.zeros((40, 60))
    near = interpolate_matches(matches, image, flat, "average", neighbours=1, **OPEN)
    np.testing.assert_array_equal(near[:, :25], np.broadcast_to([4, 0], (40, 25, 2)))
    np.testing.assert_array_equal(near[:, 26:], np.broadcast_to([-2, 1], (40, 34, 2)))


@pytest.mark.parametrize("method", ["affine", "average"])
@pytest.mark.parametrize("coefficient", [0.6, 5])  # with 5 the pseudo-points decide
def test_the_published_formulas_slowly(method, coefficient):
    rng = np.random.default_rng(3)
    matches = np.concatenate([rng.uniform(6, 30, (20, 4)), np.ones((20, 1))], axis=1)
    matches = matches[np.unique(np.rint(matches[:, :2]), axis=0, return_index=True)[1]]
    edges = rng.uniform(0, 1, (36, 34))
    found = interpolate_matches(
        matches, noise(36, 34), edges, method, neighbours=7, coefficient=coefficient, **OPEN
    )
    points, targets = matches[:, :2], matches[:, 2:4]
    cost = edges + 0.001
    labels, distance = geodesic_labels(cost, np.rint(points).astype(int))
    index, far = nearest_seeds(seed_graph(labels, distance, cost), 7)
    weight = np.exp(-coefficient * far) + 1e-8
    for y, x in np.ndindex(36, 34):
        k = labels[y, x]
        if method == "average":
            motion = np.average((targets - points)[index[k]], axis=0, weights=weight[k])
        else:
            rows, values = [], []
            for j, w in zip(index[k], weight[k], strict=True):
                w = 0.96 * w if j == k else w
                rows.append(w * np.array([*points[j], 1]))
                values.append(w * targets[j])
            for shift in ((-0.1, -0.1), (0.1, -0.1), (-0.1, 0.1), (0.1, 0.1)):
                rows.append(0.01 * weight[k, 0] * np.array([*(points[k] + shift), 1]))
                values.append(0.01 * weight[k, 0] * (targets[k] + shift))
            model = np.linalg.lstsq(np.array(rows), np.array(values), rcond=None)[0]
            motion = np.array([x, y, 1]) @ model - [x, y]
        np.testing.assert_allclose(found[y, x], motion, rtol=2e-5, atol=2e-5)


def test_presets_are_the_published_numbers_and_can_be_overridden():
    assert interpolation.PRESETS["sintel"] == interpolation.PRESETS["kitti"] == (160, 1.1, 25)
    assert interpolation.PRESETS["middlebury"] == (65, 0.2, 15)
    parameters = inspect.signature(interpolate_matches).parameters
    published = {"saliency": 0.045, "consistency": 5.0, "floor": 0.001}
    assert {name: parameters[name].default for name in published} == published
    rng = np.random.default_rng(0)
    matches = np.concatenate([rng.uniform(5, 35, (90, 4)), np.ones((90, 1))], axis=1)
    default, middlebury, by_hand = (
        interpolate_matches(matches, noise(), **numbers)
        for numbers in (
            {},
            {"preset": "middlebury"},
            {"neighbours": 65, "coefficient": 0.2, "filter_neighbours": 15},
        )
    )
    np.testing.assert_array_equal(middlebury, by_hand)
    assert np.abs(middlebury - default).max() > 0.1


def test_a_contradicted_match_is_dropped():
    matches = moved(*lattice(), lambda x, y: (2 + 0 * x, 1 + 0 * x))
    matches[17, 2:4] += 20, 12
    flat = np.zeros((40, 60))
    image = noise()
    # Its neighbours' means stay below 5 px away from them, its own does not.
    found = interpolate_matches(matches, image, flat)
    np.testing.assert_array_equal(found, np.broadcast_to([2, 1], found.shape))
    kept = interpolate_matches(matches, image, flat, consistency=None)
    assert np.abs(kept - [2, 1]).max() > 0.5


def test_a_second_look_brings_back_the_neighbours_of_wild_matches():
    """With one neighbour a seed's pixel moves like its match, if that was kept."""
    x, y = lattice(80, 120)
    matches = moved(x, y, lambda x, y: (4 * np.sin(x / 40), 3 * np.cos(y / 30)))
    wild = np.zeros(len(x), bool)
    wild[10:100:12] = True
    matches[wild, 2:4] = 119, 79
    targets = np.clip(matches[:, 2:4], 0, [119, 79])
    kept = []
    for looks in (0, 4):
        found = interpolate_matches(
            matches, noise(80, 120), np.zeros((80, 120)), neighbours=1, second_looks=looks
        )[y.astype(int), x.astype(int)]
        kept.append(np.abs(found - (targets - matches[:, :2])).max(-1) < 1e-4)
    assert not kept[0][wild].any() and not kept[1][wild].any()
    assert kept[0][~wild].mean() < 0.8 and kept[1][~wild].mean() > 0.97


def test_matches_on_flat_ground_are_dropped():
    image = noise()
    image[:, :30] = 0.5
    x, y = lattice()
    matches = moved(x, y, lambda x, y: (np.where(x < 24, 9, 1), 0 * x))
    found = interpolate_matches(matches, image, consistency=None)
    np.testing.assert_array_equal(found, np.broadcast_to([1, 0], found.shape))
    kept = interpolate_matches(matches, image, **OPEN)
    assert np.abs(kept - [1, 0]).max() > 7


def test_the_filters_numbers_are_what_decides():
    image = noise()
    x, y = lattice()
    at_matches = corner_saliency(image)[y.astype(int), x.astype(int)]
    threshold = np.median(at_matches)
    matches = moved(x, y, lambda x, y: (np.where(at_matches >= threshold, 1, 2), 0 * x))
    found = interpolate_matches(matches, image, saliency=threshold)
    np.testing.assert_array_equal(found, np.broadcast_to([1, 0], found.shape))
    # One neighbour beside the match itself: their mean is half of their difference away.
    flat = np.zeros((40, 60))
    for difference, kept in ((9.9, True), (10.1, False)):
        line = np.array([[5, 20, 5, 20], [10, 20, 10, 20], [30, 20, 30 + difference, 20]])
        found = interpolate_matches(line, image, flat, coefficient=0, filter_neighbours=1)
        assert found.any() == kept
    # Two that contradict each other and have no other neighbour: nobody brings them back.
    line = np.array([[5, 20, 5, 20], [8, 20, 8, 20], [40, 20, 52, 20], [43, 20, 33, 20]])
    assert not interpolate_matches(line, image, flat, filter_neighbours=1).any()


def test_of_matches_of_one_pixel_the_surest_counts():
    x, y = lattice()
    good = moved(x, y, lambda x, y: (1 + 0 * x, 0 * x))
    bad = moved(x + 0.3, y - 0.3, lambda x, y: (-7 + 0 * x, 0 * x))
    bad[:, 4] = [0.5, np.nan] * 17 + [0.5]
    for matches in (np.concatenate([good, bad]), np.concatenate([bad, good])):
        found = interpolate_matches(matches, noise())
        np.testing.assert_array_equal(found, np.broadcast_to([1, 0], found.shape))


@pytest.mark.parametrize("method", ["affine", "average"])
@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("image", [noise(), np.full((40, 60, 3), 127, np.uint8)])
def test_few_matches_and_constant_pictures(method, count, image):
    matches = np.array([[10, 10, 12, 13, 1], [40, 30, 43, 31, 1], [50, 5, 51, 5, 1.0]])[:count]
    found = interpolate_matches(matches, image, method=method)
    assert np.isfinite(found).all()
    assert np.abs(found).max() < 8
    if count == 1:
        np.testing.assert_array_equal(found, np.broadcast_to([2, 3], found.shape))
    alone = interpolate_matches(matches, image, method=method, neighbours=1)
    for x, y, x2, y2, _ in matches.astype(int):
        np.testing.assert_array_equal(alone[y, x], [x2 - x, y2 - y])


def test_matches_are_clamped_to_the_frame():
    image = noise()
    outside = np.array([[-3, 5, 200, 5, 1], [70, 50, 59, -9, 1.0]])
    clamped = np.array([[0, 5, 59, 5, 1], [59, 39, 59, 0, 1.0]])
    np.testing.assert_array_equal(
        interpolate_matches(outside, image), interpolate_matches(clamped, image)
    )


def test_edges_lie_where_colours_change():
    image = np.zeros((30, 40, 3), np.float32)
    assert not edge_map(image).any()
    image[:, 20:] = [0.2, 0.5, 0.9]
    edges = edge_map(image)
    assert edges.shape == (30, 40) and edges.min() >= 0 and edges.max() == 1
    np.testing.assert_array_equal(np.argmax(edges, axis=1) // 2, np.full(30, 9.5 // 1))
    assert edges[:, :10].max() < 1e-3 and edges[:, 30:].max() < 1e-3
    # A whisper of noise on a flat picture makes no edges.
    assert edge_map(0.5 + 0.002 * noise()).max() < 0.5
    picture = noise(30, 40)
    np.testing.assert_allclose(
        edge_map(picture.swapaxes(0, 1)), edge_map(picture).T, rtol=1e-9, atol=1e-12
    )


def test_corners_are_salient_edges_and_flats_are_not():
    image = np.zeros((40, 40, 3), np.float32)
    image[20:, 20:] = 1
    saliency = corner_saliency(image)
    assert saliency.min() >= 0 and saliency[20, 20] > 1
    assert saliency[34, 20] < 1e-6 and saliency[20, 34] < 1e-6  # along the edges
    assert saliency[5, 5] == 0


def test_refinement_comes_closer_with_every_warp():
    from scipy.ndimage import gaussian_filter

    texture = gaussian_filter(np.random.default_rng(0).uniform(size=(60, 86)), 2)
    texture = np.repeat((texture - texture.min()) / np.ptp(texture), 3).reshape(60, 86, 3)
    pictures = texture[:, 3:83], texture[:, 2:82]  # moved by 1 pixel to the right
    start = np.tile(np.float32([0.5, 0.3]), (60, 80, 1))
    kept = start.copy()
    errors = [
        np.linalg.norm(refine_flow(start, *pictures, warps=n) - [1, 0], axis=-1)[8:-8, 8:-8].mean()
        for n in (1, 5, 10)
    ]
    assert errors[0] < 0.8 * np.hypot(0.5, 0.3)
    assert errors[1] < 0.3 * errors[0] and errors[2] < 0.3 * errors[1]
    np.testing.assert_array_equal(start, kept)
    with pytest.raises(ValueError, match=r"have shapes \(60, 80\), "):
        refine_flow(start[..., 0], *pictures)
    with pytest.raises(ValueError, match="flow is not finite"):
        refine_flow(start * np.nan, *pictures)


MATCH = [[5, 5, 6, 6, 1.0]]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda i: interpolate_matches(np.zeros((0, 5)), i), "no matches to interpolate"),
        (lambda i: interpolate_matches(np.zeros((2, 3)), i), r"matches have shape \(2, 3\)"),
        (lambda i: interpolate_matches([[0, 0, np.inf, 0, 1]], i), "not finite"),
        (lambda i: interpolate_matches(MATCH, i[..., 0]), r"image has shape \(40, 60\)"),
        (lambda i: interpolate_matches(MATCH, i, method="mean"), "method must be affine or"),
        (lambda i: interpolate_matches(MATCH, i, preset="hd1k"), "one of None, sintel, kitti"),
        (lambda i: interpolate_matches(MATCH, i, i), r"edges have shape \(40, 60, 3\)"),
        (lambda i: interpolate_matches(MATCH, i, i[..., :1] - 1), "edges hold values below 0"),
        (lambda i: interpolate_matches(MATCH, i, neighbours=0), "expected neighbours and"),
        (lambda i: interpolate_matches(MATCH, i, coefficient=np.nan), "coefficient from 0"),
        (lambda i: interpolate_matches(MATCH, i, floor=0), "floor above 0"),
    ],
)
def test_wrong_input_gets_one_clear_line(call, says):
    with pytest.raises(ValueError, match=says) as caught:
        call(noise())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("missing", "call"),
    [
        ("scipy", lambda i: interpolate_matches(MATCH, i)),
        ("skimage.color", edge_map),
        ("cv2", lambda i: refine_flow(i[..., :2], i, i)),
    ],
)
def test_what_is_not_installed_is_named_with_how_to_get_it(missing, call, monkeypatch):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=r"needs? .*: pip install 'kcorr\[matching\]'"):
        call(noise())
