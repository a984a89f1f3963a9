"""Nearest seeds along paths, against a heap in Python, closed forms and Floyd and Warshall."""

import heapq

import numpy as np
import pytest

from kcorr.models import geodesic
from kcorr.models.geodesic import geodesic_labels, nearest_seeds, seed_graph

SIZE = (13, 17)
ROOT = np.sqrt(2)


def picture(seed, count):
    rng = np.random.default_rng(seed)
    places = rng.choice(SIZE[0] * SIZE[1], count, replace=False)
    return rng.uniform(0.01, 1, SIZE) ** 2, np.stack([places % SIZE[1], places // SIZE[1]], -1)


def neighbours(y, x, height, width):
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            if (dy or dx) and 0 <= y + dy < height and 0 <= x + dx < width:
                yield y + dy, x + dx, ROOT if dy and dx else 1.0


def slow_labels(cost, seeds):
    """One seed's pixels after another's, from a heap."""
    labels, distance = np.full(cost.shape, -1), np.full(cost.shape, np.inf)
    heap = [(0.0, k, y, x) for k, (x, y) in enumerate(seeds)]
    while heap:
        so_far, k, y, x = heapq.heappop(heap)
        if labels[y, x] >= 0:
            continue
        labels[y, x], distance[y, x] = k, so_far
        for v, u, length in neighbours(y, x, *cost.shape):
            heapq.heappush(heap, (so_far + length * (cost[y, x] + cost[v, u]) / 2, k, v, u))
    return labels, distance


def slow_pairs(labels, distance, cost, count):
    """The cheapest way over each border, then all pairs by Floyd and Warshall."""
    way = np.full((count, count), np.inf)
    np.fill_diagonal(way, 0)
    for y, x in np.ndindex(cost.shape):
        for v, u, length in neighbours(y, x, *cost.shape):
            step = distance[y, x] + distance[v, u] + length * (cost[y, x] + cost[v, u]) / 2
            a, b = labels[y, x], labels[v, u]
            if a != b:
                way[a, b] = way[b, a] = min(way[a, b], step)
    direct = way.copy()
    for k in range(count):
        way = np.minimum(way, way[:, k, None] + way[k])
    return direct, way


@pytest.mark.parametrize("seed", range(4))
def test_labels_and_distances_as_from_a_heap(seed):
    cost, seeds = picture(seed, 9)
    labels, distance = geodesic_labels(cost, seeds)
    expected, expected_distance = slow_labels(cost, seeds)
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels, expected)  # random costs: no ties
    np.testing.assert_allclose(distance, expected_distance, rtol=1e-12, atol=1e-15)


def test_constant_cost_gives_the_octile_voronoi_diagram():
    _, seeds = picture(7, 12)
    labels, distance = geodesic_labels(np.full(SIZE, 0.5), seeds)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    dx, dy = abs(x[..., None] - seeds[:, 0]), abs(y[..., None] - seeds[:, 1])
    octile = 0.5 * (np.maximum(dx, dy) + (ROOT - 1) * np.minimum(dx, dy))
    np.testing.assert_allclose(distance, octile.min(-1), rtol=1e-12)
    own = np.take_along_axis(octile, labels[..., None].astype(int), -1)[..., 0]
    np.testing.assert_allclose(own, octile.min(-1), rtol=1e-12)
    assert (labels[seeds[:, 1], seeds[:, 0]] == np.arange(12)).all()


@pytest.mark.parametrize("seed", range(3))
def test_graph_and_nearest_seeds_as_by_floyd_and_warshall(seed):
    cost, seeds = picture(seed, 14)
    labels, distance = geodesic_labels(cost, seeds)
    graph = seed_graph(labels, distance, cost)
    direct, way = slow_pairs(labels, distance, cost, 14)
    dense = graph.toarray()
    np.testing.assert_allclose(dense, np.where(np.isfinite(direct), direct, 0), rtol=1e-12)
    for count in (1, 5, 14, 99):
        index, found = nearest_seeds(graph, count)
        assert index.shape == found.shape == (14, min(count, 14))
        np.testing.assert_allclose(found, np.sort(way, axis=1)[:, :count], rtol=1e-9)
        np.testing.assert_allclose(np.take_along_axis(way, index, 1), found, rtol=1e-9)
        np.testing.assert_array_equal(index[:, 0], np.arange(14))


@pytest.mark.parametrize("rows", [1, 50, 10**6])
def test_the_limited_search_finds_what_the_whole_one_does(rows, monkeypatch):
    """A dense cluster and lonely seeds: what a limit reaches differs from seed to seed."""
    from scipy.sparse.csgraph import dijkstra

    rng = np.random.default_rng(1)
    cost = rng.uniform(0.001, 1, (60, 80))
    places = np.concatenate([rng.integers(0, 15, (150, 2)), rng.integers(0, 60, (60, 2))])
    places = np.unique(places, axis=0)
    labels, distance = geodesic_labels(cost, places)
    graph = seed_graph(labels, distance, cost)
    assert len(places) > 2 * 20
    monkeypatch.setattr(geodesic, "_CHUNK", rows * len(places))
    index, found = nearest_seeds(graph, 20)
    whole = np.sort(dijkstra(graph), axis=1)[:, :20]
    np.testing.assert_allclose(found, whole, rtol=1e-12)
    assert all(len(set(row)) == 20 for row in index.tolist())


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1)])
def test_thin_pictures_and_a_single_seed(shape):
    labels, distance = geodesic_labels(np.ones(shape), np.array([[shape[1] // 2, shape[0] // 2]]))
    assert (labels == 0).all() and distance.max() == max(shape) // 2
    index, found = nearest_seeds(seed_graph(labels, distance, np.ones(shape)), 5)
    assert index.tolist() == [[0]] and found.tolist() == [[0.0]]
