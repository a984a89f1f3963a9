"""Faces-like deformable templates: people differ in shape, colours and texture, not in topology.

A place is a point of a template, (x, y) with the head within x^2 / 0.78^2 + y^2 / 0.98^2 <= 1. Its
way into the picture is a chain of maps that each have an inverse in closed form (stretches by sinh,
shears, a similarity), so that picture and template are exact functions of each other.
"""

import numpy as np

from kcorr.datasets._placed import BACKGROUND, PlacedFrame
from kcorr.datasets.generated_objects import GeneratedObjects

_HEAD = np.array([0.78, 0.98])
_POINTS = {
    "left_eye": (-0.34, -0.12),
    "right_eye": (0.34, -0.12),
    "nose": (0.0, 0.22),
    "left_mouth": (-0.26, 0.52),
    "right_mouth": (0.26, 0.52),
    "left_brow": (-0.34, -0.36),
    "right_brow": (0.34, -0.36),
    "left_cheek": (-0.52, 0.3),
    "right_cheek": (0.52, 0.3),
    "chin": (0.0, 0.84),
}


class DeformableFaces(GeneratedObjects):
    """People who differ in shape, colours and texture, and each move: "different identity" known.

    Sequence s is person s. The template is the same for all, so key points and `coordinates1`,
    `coordinates2` (the template's x, y, and 0) mean the same on everybody, and `across=True` gives
    pairs of two people with the exact flow between their faces. `counterpart` mirrors the template.

    Args:
        size, frames, stride, seed, object_seed, across, photometric: see `GeneratedObjects`.
        sequences: number of people.
        shape: how much people's shapes differ, 0 to 1.5.
        looks: how much their colours and textures differ, 0 to 1.
        motion: how much a person moves (pose and expression), 0 to 1.5.
        marks: spots of paint on each person's skin, in places and colours of its own: they tell
            places apart on one person, and mislead on another.

    Records, attributes and errors: see `GeneratedObjects`. The first five key points are in the
    order of CelebA: eyes, nose, corners of the mouth; left and right are the picture's.
    """

    kind = "faces"
    point_names = tuple(_POINTS)
    symmetric_points = (1, 0, 2, 4, 3, 6, 5, 8, 7, 9)

    def __init__(
        self,
        size=(90, 90),
        sequences=200,
        frames=20,
        *,
        shape=1.0,
        looks=1.0,
        motion=1.0,
        marks=0,
        **options,
    ):
        super().__init__(size, sequences, frames, **options)
        if not (0 <= shape <= 1.5 and 0 <= looks <= 1 and 0 <= motion <= 1.5):
            raise ValueError(
                "faces: shape and motion must be within 0..1.5 and looks within 0..1, got "
                f"{shape}, {motion} and {looks}"
            )
        if marks < 0:
            raise ValueError(f"faces: marks must be at least 0, got {marks}")
        self.shape, self.looks, self.motion, self.marks = shape, looks, motion, marks

    def _draw(self, sequence):
        rng = self._rng(0, sequence)
        shape = _Shape(rng, self.shape)
        looks = _Looks(rng, np.random.default_rng([self.object_seed, 0]), self.looks)
        looks.add_marks(self._rng(2, sequence), self.marks)
        waves = self._rng(1, sequence)
        # Smooth motion: each parameter is a sum of two waves in time.
        periods = waves.uniform(8, 30, (8, 2))
        phases = waves.uniform(0, 2 * np.pi, (8, 2))
        times = np.arange(self.frames)[:, None, None]
        motion = np.sin(2 * np.pi * times / periods + phases).mean(axis=-1)
        return shape, looks, self.motion * motion

    def _frame(self, drawn, time):
        shape, looks, motion = drawn
        return _FaceFrame(self.size, shape, looks, _Pose(self.size, motion[time]))


class _FaceFrame(PlacedFrame):
    """Part 1 is the face."""

    coordinates = True

    def __init__(self, size, shape, looks, pose):
        self._size, self._shape, self._looks, self._pose = size, shape, looks, pose
        self.points = np.ones(len(_POINTS), int), np.array(list(_POINTS.values()))

    def locate(self, points):
        """See the base."""
        places = self._shape.inverse(self._pose.inverse(points))
        parts = (np.sum((places / _HEAD) ** 2, axis=-1) <= 1).astype(int)
        return parts, np.where(parts[:, None] > 0, places, points)

    def project(self, parts, places):
        """See the base."""
        face = parts != BACKGROUND
        moved = self._pose.forward(self._shape.forward(np.where(face[:, None], places, 0)))
        return np.where(face[:, None], moved, places), np.ones(len(places), bool)

    def colours(self, parts, places):
        """See the base."""
        face = parts != BACKGROUND
        colours = self._looks.background(places, self._size)
        colours[face] = self._looks.face(places[face])
        return colours

    def counterpart(self, parts, places):
        """See the base."""
        mirror = np.where((parts != BACKGROUND)[:, None], [-1, 1], [1, 1])
        return parts, places * mirror


class _Shape:
    """A person's shape: a map of the template's plane that keeps it symmetric."""

    def __init__(self, rng, amount):
        self._wide = 0.2 + amount * rng.uniform(0, 1.0)  # moves eyes and mouth to the middle
        self._bend, self._shift = 0.2 + amount * rng.uniform(0, 0.8), amount * rng.uniform(-1, 1)
        self._widths = amount * rng.normal(0, 0.06, 3)
        self._droop = amount * rng.normal(0, 0.06, 2)
        self._phases = rng.uniform(0, 2 * np.pi, 3)
        self._scale = np.array([0.95, 1.0]) * np.exp(amount * rng.normal(0, 0.06, 2))
        # The head's edge keeps its place on average, whatever happens within.
        self._unit_x = np.sinh(self._wide * _HEAD[0]) / _HEAD[0]
        self._unit_y = (np.sinh(self._bend + self._shift) - np.sinh(self._shift - self._bend)) / 2

    def forward(self, places):
        """Template to the person's own plane."""
        y = np.sinh(self._bend * places[:, 1] + self._shift) - np.sinh(self._shift)
        y = y / self._unit_y
        x = np.sinh(self._wide * places[:, 0]) / self._unit_x * self._width(places[:, 1])
        return np.stack([x, y + self._sag(x)], axis=-1) * self._scale

    def inverse(self, points):
        """The person's plane to the template."""
        x, y = (points / self._scale).T
        y = np.arcsinh((y - self._sag(x)) * self._unit_y + np.sinh(self._shift))
        y = (y - self._shift) / self._bend
        x = np.arcsinh(x / self._width(y) * self._unit_x) / self._wide
        return np.stack([x, y], axis=-1)

    def _width(self, y):
        rates = np.array([1.5, 2.6, 4.1])
        return np.exp(np.sin(y[:, None] * rates + self._phases) @ self._widths)

    def _sag(self, x):
        return (np.cos(x[:, None] * np.array([1.6, 3.1])) - 1) @ self._droop  # even in x


class _Pose:
    """Where a face is, how it looks sideways, and its expression."""

    def __init__(self, size, motion):
        self._yaw = 0.9 * motion[0]
        self._shears = 0.06 * motion[1], 0.05 * motion[2]
        self._phase = 2 * motion[3]
        scale = 0.4 * min(size) * np.exp(0.1 * motion[4])
        roll = np.deg2rad(18) * motion[5]
        self._matrix = scale * np.array(
            [[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]]
        )
        self._inverse = np.linalg.inv(self._matrix)
        self._centre = (np.array(size[::-1]) - 1) / 2 + 0.07 * min(size) * motion[6:8]

    def forward(self, points):
        """A person's plane to the picture's pixels."""
        x, y = points.T
        # sinh(x + yaw) opens one half of the face and closes the other.
        x = (np.sinh(x + self._yaw) - np.sinh(self._yaw)) / np.cosh(self._yaw)
        x = x + self._shears[0] * np.sin(2.0 * y + self._phase)
        y = y + self._shears[1] * np.sin(2.3 * x - self._phase)
        return np.stack([x, y], axis=-1) @ self._matrix.T + self._centre

    def inverse(self, points):
        """The picture's pixels to the person's plane."""
        x, y = ((points - self._centre) @ self._inverse.T).T
        y = y - self._shears[1] * np.sin(2.3 * x - self._phase)
        x = x - self._shears[0] * np.sin(2.0 * y + self._phase)
        x = np.arcsinh(x * np.cosh(self._yaw) + np.sinh(self._yaw)) - self._yaw
        return np.stack([x, y], axis=-1)


class _Looks:
    """A person's colours and texture as functions of the template."""

    def __init__(self, rng, common, amount):
        def colour(usual, spread):
            return np.clip(usual + amount * rng.uniform(-spread, spread, 3), 5, 250)

        self._skin, self._hair = colour((195, 150, 125), 75), colour((70, 50, 40), 90)
        self._iris, self._mouth = colour((70, 100, 120), 90), colour((170, 70, 75), 85)
        self._white = colour((230, 230, 228), 25)
        self._marks = []
        self._eye = np.array([0.16, 0.085]) * np.exp(amount * rng.uniform(-0.25, 0.25, 2))
        self._pupil = 0.07 * np.exp(amount * rng.uniform(-0.25, 0.25))
        self._brow, self._lips = (
            0.04 + 0.02 * rng.random(),
            0.09 + amount * rng.uniform(-0.03, 0.04),
        )
        self._hairline = -0.62 + amount * rng.uniform(-0.12, 0.14)
        self._waves = rng.normal(0, 6, (7, 2)), rng.uniform(0, 2 * np.pi, 7)
        self._grain = amount * rng.normal(0, 9, (7, 3))
        self._walls = common.uniform(60, 190, (2, 3)) + amount * rng.uniform(-60, 60, (2, 3))

    def add_marks(self, rng, count):
        """Draws so many marks: places, radii and colours."""
        places = rng.uniform(-1, 1, (count, 2)) * _HEAD
        radii = rng.uniform(0.06, 0.16, (count, 2))
        self._marks = list(zip(places, radii, rng.uniform(20, 235, (count, 3)), strict=True))

    def background(self, points, size):
        """Colours `[n, 3]` of the wall at picture points (other places may be given, too)."""
        down = np.clip(points[:, 1:] / (size[0] - 1), 0, 1)
        return np.clip(self._walls[0] * (1 - down) + self._walls[1] * down, 0, 255)

    def face(self, places):
        """Colours `[n, 3]` at places of the template."""
        x, y = places.T
        side = np.abs(x)
        colours = np.tile(self._skin, (len(places), 1))
        frequencies, phases = self._waves
        colours = colours + np.sin(places @ frequencies.T + phases) @ self._grain
        marks = [(colour, _spot(x, y, *at, *radii)) for at, radii, colour in self._marks]
        for shade, amount in (
            *marks,
            (0.72 * self._skin, 0.8 * _spot(side, y, 0.07, 0.2, 0.1, 0.15)),  # sides of the nose
            (0.6 * self._skin, _spot(side, y, 0.07, 0.26, 0.05, 0.035)),  # nostrils
            (self._mouth, _spot(x, y, 0.0, 0.52, 0.27, self._lips)),
            (0.5 * self._mouth, _spot(x, y, 0.0, 0.52, 0.26, 0.02)),
            (self._hair, _spot(side, y, 0.34, -0.36, 0.19, self._brow)),
            (self._white, _spot(side, y, 0.34, -0.12, *self._eye)),
            (self._iris, _spot(side, y, 0.34, -0.12, self._pupil, self._pupil)),
            (0.25 * self._iris, _spot(side, y, 0.34, -0.12, 0.035, 0.035)),
            (self._hair, 1 / (1 + np.exp((y - self._hairline - 0.25 * side**2) / 0.02))),
        ):
            colours = colours + amount[:, None] * (shade - colours)
        return np.clip(colours, 0, 255)


def _spot(x, y, middle_x, middle_y, radius_x, radius_y):
    """1 within an ellipse, 0 outside, with a soft edge."""
    away = np.hypot((x - middle_x) / radius_x, (y - middle_y) / radius_y)
    # As soft on small ellipses as on large ones, so that a pixel's centre speaks for the pixel.
    return 1 / (1 + np.exp(np.clip((away - 1) * min(radius_x, radius_y) / 0.012, -50, 50)))
