"""A textured ball that rotates out of the picture's plane."""

import itertools

import numpy as np

from kcorr.datasets._placed import BACKGROUND, PlacedFrame
from kcorr.datasets.generated_objects import GeneratedObjects

_BACKGROUND = (38, 42, 50)
_EQUAL_SHARPNESS = 60.0  # half as bright 8.7 degrees from the middle


class RotatingSphere(GeneratedObjects):
    """A ball, seen orthographically, that rotates about an axis that wanders.

    `coordinates1` and `coordinates2` are each pixel's place X on the ball, a unit vector that
    turns with it: an embedding may be compared with it up to an orthogonal matrix. Axes of the
    picture: x right, y down, z to the camera. Key points are spread evenly over the ball.

    Args:
        turn: degrees from one frame to the next, about.
        tilt: None rotates about any axis from any first orientation. A number of degrees: the ball
            spins about its own axis, which stays within so many degrees of upright.
        points: number of key points.
        blobs: number of coloured spots.
        palette: None gives each spot a colour and a size of its own. A number: they are of one
            size, of so many colours and about evenly spread, so that no spot by itself tells where
            on the ball it is.
        instances: True gives each sequence a texture of its own.
        size, sequences, frames, stride, seed, object_seed, across, photometric: see
            `GeneratedObjects`.

    Records, attributes and errors: see `GeneratedObjects`.

    Source: the toy sphere of Thewlis et al., NeurIPS 2017; 30 spots with von Mises profiles and
    two tinted halves are our choice.
    """

    kind = "sphere"

    def __init__(
        self,
        size=(90, 90),
        *,
        turn=10.0,
        tilt=None,
        points=24,
        blobs=30,
        palette=None,
        instances=False,
        **options,
    ):
        super().__init__(size, **options)
        if turn < 0 or points < 1 or blobs < 0:
            raise ValueError(
                f"sphere: turn and blobs must be at least 0 and points at least 1, got {turn}, "
                f"{blobs} and {points}"
            )
        if palette is not None and not 1 <= palette <= 8:
            raise ValueError(f"sphere: palette must be None or within 1..8, got {palette}")
        if tilt is not None and not 0 <= tilt <= 90:
            raise ValueError(f"sphere: tilt must be None or within 0..90 degrees, got {tilt}")
        self.turn, self.tilt, self.blobs, self.palette = turn, tilt, blobs, palette
        self.instances = instances
        self.point_names = tuple(f"point_{k}" for k in range(points))
        self._points = _spread(points)

    def _draw(self, sequence):
        looks, moves = self._looks_rng(sequence), self._rng(1, sequence)
        rotations = self._rotations(moves) if self.tilt is None else self._spins(moves)
        return _Texture(looks, self.blobs, self.palette), rotations

    def _frame(self, drawn, time):
        texture, rotations = drawn
        return _SphereFrame(self.size, texture, rotations[time], self._points)

    def _rotations(self, rng):
        """Rotation matrices `[frames, 3, 3]`: any first one, then turns about a wandering axis."""
        rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        rotation[:, 0] *= np.linalg.det(rotation)
        axis, found = rng.normal(size=3), []
        for _ in range(self.frames):
            found.append(rotation)
            axis = 0.9 * axis + np.sqrt(1 - 0.9**2) * rng.normal(size=3)
            # A component's standard deviation is 1, so the length is near sqrt(3).
            rotation = _turn(axis * np.deg2rad(self.turn) / np.sqrt(3)) @ rotation
        return np.stack(found)

    def _spins(self, rng):
        """Rotation matrices `[frames, 3, 3]`: turns about an axis that leans and sways a little."""
        angle, found = rng.uniform(0, 2 * np.pi), []
        step = np.deg2rad(self.turn) * rng.choice([-1, 1])
        times = np.arange(self.frames) / rng.uniform(15, 40)
        phases = rng.uniform(0, 2 * np.pi, 2)
        # Along a Lissajous curve, which stays within the circle.
        lean = np.deg2rad(self.tilt) * np.sqrt(0.5) * np.sin(times[:, None] + phases)
        for x, z in lean:
            # y is down: the spin is about it, leaning about the horizontal axes follows.
            found.append(_turn(np.array([x, 0, z])) @ _turn(np.array([0, angle, 0])))
            angle += step * rng.uniform(0.7, 1.3)
        return np.stack(found)


class _SphereFrame(PlacedFrame):
    """Part 1 is the ball; a place on it is the unit vector in its own axes."""

    coordinates = True

    def __init__(self, size, texture, rotation, points):
        self._centre = (np.array(size[::-1]) - 1) / 2
        self._radius = 0.44 * min(size)
        self._texture, self._rotation = texture, rotation
        self.points = np.ones(len(points), int), points

    def locate(self, points):
        """See the base."""
        flat = (points - self._centre) / self._radius
        square = np.sum(flat**2, axis=-1)
        parts = (square <= 1).astype(int)
        depth = np.sqrt(np.maximum(1 - square, 0))
        on_ball = np.concatenate([flat, depth[:, None]], axis=-1) @ self._rotation
        still = np.pad(points, ((0, 0), (0, 1)))
        return parts, np.where(parts[:, None] > 0, on_ball, still)

    def project(self, parts, places):
        """See the base."""
        turned = places @ self._rotation.T
        ball = parts != BACKGROUND
        points = np.where(ball[:, None], self._centre + self._radius * turned[:, :2], places[:, :2])
        return points, ~ball | (turned[:, 2] > 0)

    def colours(self, parts, places):
        """See the base."""
        colours = np.tile(np.array(_BACKGROUND, float), (len(parts), 1))
        ball = parts != BACKGROUND
        colours[ball] = self._texture(places[ball])
        return colours


class _Texture:
    """Spots with von Mises profiles on two halves of different tints."""

    def __init__(self, rng, blobs, palette=None):
        self._middles = _unit(rng.normal(size=(blobs, 3)))
        self._sharpness = np.exp(rng.uniform(np.log(12), np.log(80), blobs))
        self._colours = rng.uniform(-130, 130, (blobs, 3))
        if palette is not None:
            self._middles = _unit(_spread(blobs) + 0.15 * self._middles)
            self._sharpness[:] = _EQUAL_SHARPNESS
            # Corners of the cube: far from each other, and from no colour at all.
            corners = rng.permutation(list(itertools.product([-110.0, 110.0], repeat=3)))
            self._colours = corners[rng.integers(palette, size=blobs)]
        self._tint = np.array([45.0, 0.0, -45.0])

    def __call__(self, places):
        """Colours `[n, 3]` at unit vectors `[n, 3]`."""
        spots = np.exp(self._sharpness * (places @ self._middles.T - 1)) @ self._colours
        halves = np.tanh(8 * places[:, 2:])  # soft, so that a pixel's centre speaks for the pixel
        return np.clip(128 + halves * self._tint + spots, 0, 255)


def _spread(count):
    """Unit vectors spread evenly (a Fibonacci lattice), `[count, 3]`."""
    k = np.arange(count) + 0.5
    z, turn = 1 - 2 * k / count, np.pi * (1 + 5**0.5) * k
    ring = np.sqrt(1 - z**2)
    return np.stack([ring * np.cos(turn), ring * np.sin(turn), z], axis=-1)


def _unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _turn(vector):
    """The rotation about `vector` by its length in radians (Rodrigues)."""
    angle = np.linalg.norm(vector)
    if angle == 0:
        return np.eye(3)
    x, y, z = vector / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
