"""Generated stereo video: two cameras, two times, every flow between them exact. NumPy only.

The layers of `kcorr.datasets.scenes` at depths: layer l maps a position u of the left picture at
time t to each of the four pictures by an affine map,

    left t    A1(u) = u                       right t    A2(u) = A1(u) - (d(u), 0)
    left t+1  A3(u), the layer's motion       right t+1  A4(u) = A3(u) - (f d(u), 0)

with a plane d(u) >= 0 of disparities, nearer layers larger ones, and a factor f that is common to
all layers (the cameras go forward or back). Rows agree between left and right, the flow from
picture i to j at q is Aj(Ai^-1(q)) - q, in closed form, and both ways from picture 1 to picture 4
arrive at the same place: the identities of Flow2Stereo hold by construction.
"""

import copy
from itertools import permutations

import numpy as np

from kcorr import schema
from kcorr.datasets._layers import Layer, random_blob, random_motion
from kcorr.datasets.scenes import Scenes, _blend, _Names, _pixels, _undone

VIEWS = (1, 2, 3, 4)
PAIRS = tuple(permutations(VIEWS, 2))


class StereoScenes(Scenes):
    """A sequence of generated stereo frames at two times: a pure function of (seed, index).

    Args:
        textures, size, length, seed, max_motion, layers, photometric, noise_share, fast_share:
            see `Scenes`. Images 2, 3 and 4 differ photometrically from image 1.
        max_disparity: largest disparity of a layer's centre, pixels.
        slant: deviation of the planes' slopes, pixels of disparity per pixel.
        all_pairs: records also hold what is between any two of the four pictures.

    A record holds image1 (left, t), image2 (right, t), image3 (left, t + 1) and image4 (right,
    t + 1), uint8; disparity, flow = (-disparity, 0), valid (all 1) and occlusion of image1 towards
    image2; with `all_pairs` also flow12, flow13, ... [h, w, 2] and occlusion12, ... [h, w, 1] of
    the twelve ordered pairs (`kcorr.schema.flow_between`, `occlusion_between`).

    Raises:
        ValueError: sizes or counts that make no scene.
    """

    def __init__(
        self,
        textures=None,
        size=(192, 256),
        length=1000,
        seed=0,
        max_motion=24.0,
        max_disparity=32.0,
        slant=0.03,
        all_pairs=False,
        **options,
    ):
        super().__init__(textures, size, length, seed, max_motion, **options)
        if not max_disparity > 0 or not slant >= 0:
            raise ValueError(
                f"stereo scenes need max_disparity > 0 and slant >= 0, got {max_disparity}, {slant}"
            )
        self.max_disparity, self.slant, self.all_pairs = max_disparity, slant, all_pairs
        self.names = _StereoNames(seed, length)

    def _read(self, index):
        # Other numbers than those of the Scenes of the same seed.
        rng = np.random.default_rng([self.seed, index, 2])
        layers = self._draw_views(rng)
        seen = {view: self._look(layers[view]) for view in VIEWS}
        images = {
            f"image{view}": self._develop(seen[view][0], rng, self.photometric * (view > 1))
            for view in VIEWS
        }
        flow, hidden = self._between(layers, seen, 1, 2)
        record = {
            **images,
            schema.FLOW: flow,
            schema.DISPARITY: -flow[..., :1],
            schema.VALID: np.ones((*self.size, 1), np.float32),
            schema.OCCLUSION: hidden,
        }
        if self.all_pairs:
            for i, j in PAIRS:
                flow, hidden = self._between(layers, seen, i, j)
                record[schema.flow_between(i, j)] = flow
                record[schema.occlusion_between(i, j)] = hidden
        return record

    def _draw_views(self, rng):
        """{view: layers as they lie in it}, back to front."""
        count = int(rng.integers(self.layers[0], self.layers[1] + 1)) + 1
        motions = random_motion(rng, count, self.size, self.max_motion, self.fast_share)
        disparities = np.sort(rng.uniform(0.05, 1.0, count)) * self.max_disparity
        forward = np.exp(rng.normal(0, 0.05))
        still = (
            np.zeros((1, 2), np.float32),
            *(np.zeros((1, side), np.float32) for side in self.size),
        )
        views = {view: [] for view in VIEWS}
        for depth, (matrix, shift, _) in enumerate(motions):
            blob = random_blob(rng, self.size) if depth else None
            layer = Layer(self._texture(rng), blob, matrix, shift, still, self.size, rng)
            # The slope takes at most half of a disparity, however large the layer is.
            slope = rng.normal(0, self.slant, 2)
            slope *= min(1.0, disparities[depth] / 2 / max(np.abs(slope) @ self.size[::-1], 1e-9))
            across = np.zeros((2, 2))
            across[0] = slope
            aside = np.array([disparities[depth], 0.0])
            for view, start, factor in (
                (1, (np.eye(2), np.zeros(2)), 0.0),
                (2, (np.eye(2), np.zeros(2)), 1.0),
                (3, (matrix, shift), 0.0),
                (4, (matrix, shift), forward),
            ):
                views[view].append(
                    _moved(layer, start[0] - factor * across, start[1] - factor * aside)
                )
        return views

    def _look(self, layers):
        """One picture: float image, owner of each pixel, positions on u [2, h * w]."""
        canvas, owner, places = self._planes(3), self._planes(1, np.int32), self._planes(2)
        windows = [layer.window_second() for layer in layers]
        for depth, where, x, y, alpha in self._seen(layers, windows, _undone):
            _blend(canvas, where, layers[depth].colours(x, y), alpha)
            mine = alpha >= 0.5
            owner[0, where[mine]] = depth
            places[0, where[mine]], places[1, where[mine]] = x[mine], y[mine]
        return self._picture(canvas), owner.reshape(self.size), places

    def _between(self, layers, seen, i, j):
        """Flow [h, w, 2] and occlusion [h, w, 1] from picture i to picture j."""
        _, owner, places = seen[i]
        columns, rows = _pixels(self._whole())
        flow = np.zeros((*self.size, 2), np.float32)
        for depth, layer in enumerate(layers[j]):
            mine = owner == depth
            x, y = layer.move(*(axis[mine.reshape(-1)] for axis in places))
            flow[mine] = np.stack([x - columns[mine], y - rows[mine]], axis=-1)
        if {i, j} in ({1, 2}, {3, 4}):
            flow[..., 1] = 0  # but for rounding, it is
        hidden = self._hidden(layers[j], owner, flow)
        return flow, hidden[..., None].astype(np.float32)


class _StereoNames(_Names):
    def __getitem__(self, index):
        return f"stereo_{super().__getitem__(index)}"


def _moved(layer, matrix, shift):
    """The same layer with another map from u."""
    moved = copy.copy(layer)
    moved.matrix = np.asarray(matrix, np.float32)
    moved.shift = np.asarray(shift, np.float32)
    moved.inverse = np.linalg.inv(moved.matrix).astype(np.float32)
    return moved
