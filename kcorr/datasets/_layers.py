"""Layers of generated scenes: outlines, motions, and how a layer is painted."""

import numpy as np

_ANGLES = 512


class Layer:
    """One moving layer; coordinates called x, y below live on u (see `kcorr.datasets.scenes`).

    Args:
        texture: `Texture` it is cut from.
        blob: outline of `random_blob`, None for a background that fills everything.
        matrix: float32 [2, 2] linear part of the motion about the frame's centre or the blob's.
        shift: float32 [2] translation in pixels.
        field: (amplitudes [k, 2], rows [k, h], columns [k, w]) of the smooth field s(p) as a sum of
            products of waves.
        size: (height, width) of the frames.
        rng: draws the texture's placement.
    """

    def __init__(self, texture, blob, matrix, shift, field, size, rng):
        self.texture, self.blob, self.size = texture, blob, size
        centre = blob["centre"] if blob else (size[1] / 2, size[0] / 2)
        self.centre = np.asarray(centre, np.float32)
        self.matrix, self.shift = matrix, shift
        self.inverse = np.linalg.inv(matrix).astype(np.float32)
        self.field = field
        angle = rng.uniform(-np.pi, np.pi) if rng.random() < 0.3 else rng.normal(0, 0.2)
        scale = np.exp(rng.uniform(np.log(0.5), np.log(1.3)))
        self.place = (scale * _rotation(angle)).astype(np.float32)
        if rng.random() < 0.5:
            self.place[:, 0] *= -1
        self.origin = rng.uniform((0, 0), (texture.width, texture.height)).astype(np.float32)
        self.gain = np.float32(rng.uniform(0.7, 1.2))
        self.offset = rng.uniform(-25, 25, 3).astype(np.float32)

    def deformed(self, window):
        """u(p) for the pixels of `window`: (x, y), each float32 [h, w]."""
        rows, columns = window
        amplitudes, wave_rows, wave_columns = self.field
        x = np.arange(columns.start, columns.stop, dtype=np.float32)[None, :]
        y = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None]
        down, across = wave_rows[:, rows].T, wave_columns[:, columns]
        return x + (down * amplitudes[:, 0]) @ across, y + (down * amplitudes[:, 1]) @ across

    def move(self, x, y):
        """A: positions on u to frame 2."""
        return _affine(self.matrix, x, y, self.centre, self.centre + self.shift)

    def undo(self, x, y):
        """A^-1: positions of frame 2 to u."""
        return _affine(self.inverse, x, y, self.centre + self.shift, self.centre)

    def alpha(self, x, y):
        """Coverage in [0, 1] at positions on u; the outline is where it crosses 0.5."""
        if self.blob is None:
            return np.ones(np.shape(x), np.float32)
        stretch = self.blob["stretch"]
        dx, dy = x - self.centre[0], y - self.centre[1]
        across = stretch[0, 0] * dx + stretch[0, 1] * dy
        down = stretch[1, 0] * dx + stretch[1, 1] * dy
        turn = np.arctan2(down, across) * np.float32(_ANGLES / (2 * np.pi))
        index = np.floor(turn).astype(np.int32)
        outline = self.blob["outline"]
        low = np.take(outline, index % _ANGLES)
        high = np.take(outline, (index + 1) % _ANGLES)
        border = low + (high - low) * (turn - index)
        distance = (border - np.hypot(across, down)) * np.float32(self.blob["softness"])
        return np.clip(distance + 0.5, 0, 1)

    def colours(self, x, y):
        """Colours float32 [3, n], about 0..255, at positions x, y (float32 [n]) on u."""
        colours = self.texture.sample(*_affine(self.place, x, y, self.centre, self.origin))
        colours *= self.gain
        colours += self.offset[:, None]
        return colours

    def window_first(self):
        """Slices of frame 1 that the layer can touch, None if it touches nothing."""
        slack = float(np.abs(self.field[0]).sum()) + 2
        return self._window(self.centre, self._reach() + slack)

    def window_second(self):
        """Slices of frame 2 that the layer can touch, None if it touches nothing."""
        return self._window(self.centre + self.shift, self._reach() * self._growth() + 2)

    def near_second(self, x, y):
        """True where a position of frame 2 can lie under the layer."""
        centre, reach = self.centre + self.shift, self._reach() * self._growth() + 2
        return (np.abs(x - centre[0]) < reach) & (np.abs(y - centre[1]) < reach)

    def _reach(self):
        return np.inf if self.blob is None else self.blob["reach"]

    def _growth(self):
        return float(np.linalg.norm(self.matrix, 2))

    def _window(self, centre, reach):
        slices = []
        for middle, size in zip(centre[::-1], self.size, strict=True):
            low = max(0, int(max(middle - reach, 0)))
            high = int(min(middle + reach + 2, size))
            if high <= low:
                return None
            slices.append(slice(low, high))
        return tuple(slices)


def _affine(matrix, x, y, source, target):
    dx, dy = x - source[0], y - source[1]
    return (
        matrix[0, 0] * dx + matrix[0, 1] * dy + target[0],
        matrix[1, 0] * dx + matrix[1, 1] * dy + target[1],
    )


def _rotation(angle):
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def random_blob(rng, size):
    """A star-shaped outline: polygon, smooth blob or ellipse, from thin bars to half the frame."""
    scale = np.exp(rng.uniform(np.log(0.08), np.log(0.45))) * np.sqrt(size[0] * size[1])
    theta = np.arange(_ANGLES) * (2 * np.pi / _ANGLES)
    kind = rng.integers(3)
    if kind == 0:
        outline = _polygon(rng, theta)
    elif kind == 1:
        outline = np.ones(_ANGLES)
        for wave in range(2, 7):
            outline += rng.normal(0, 0.35 / wave) * np.cos(wave * theta + rng.uniform(0, 6.3))
        outline = np.maximum(outline, 0.2)
    else:
        outline = np.ones(_ANGLES)
    aspect = np.exp(rng.uniform(np.log(1.0), np.log(4.0) if rng.random() < 0.4 else np.log(1.6)))
    turn = _rotation(rng.uniform(-np.pi, np.pi))
    stretch = np.diag([1 / np.sqrt(aspect), np.sqrt(aspect)]) @ turn / scale
    return {
        "centre": rng.uniform((0, 0), (size[1], size[0])),
        "stretch": stretch.astype(np.float32),
        "outline": outline.astype(np.float32),
        "reach": float(outline.max() * scale * np.sqrt(aspect)) + 1,
        # Pixels over which the edge fades: about one, in units of the stretched radius.
        "softness": scale / np.sqrt(aspect),
    }


def _polygon(rng, theta):
    """Radius of a polygon around its centre, as a function of the angle."""
    corners = int(rng.integers(3, 9))
    angles = (np.arange(corners) + rng.uniform(-0.3, 0.3, corners)) * (2 * np.pi / corners)
    radii = rng.uniform(0.55, 1.2, corners)
    x, y = radii * np.cos(angles), radii * np.sin(angles)
    which = np.searchsorted(angles, theta % (2 * np.pi), side="right") - 1
    x0, y0 = x[which], y[which]
    dx, dy = x[(which + 1) % corners] - x0, y[(which + 1) % corners] - y0
    # The ray r (cos, sin) meets the edge (x0, y0) + s (dx, dy).
    cross = np.cos(theta) * dy - np.sin(theta) * dx
    return np.clip((x0 * dy - y0 * dx) / cross, 0.2, 2.0)


def random_motion(rng, count, size, max_motion, fast_share=0.0):
    """Motions of `count` layers, background first: list of (matrix, shift, field).

    Half of the scenes look like a moving camera (parallax: one direction, nearer layers move
    more), half have layers that move on their own over a background.
    """
    camera = _shift(rng, max_motion, fast_share)
    parallax = rng.random() < 0.5
    near = np.sort(rng.uniform(0.1, 1.0, count)) if parallax else None
    motions = []
    for depth in range(count):
        if parallax:
            shift = camera * near[depth] + rng.normal(0, 0.3, 2)
        elif depth == 0:
            shift = camera * rng.choice([0.0, 0.3, 1.0])
        else:
            shift = motions[0][1] + _shift(rng, max_motion, fast_share)
        length = np.hypot(*shift)
        shift = shift * min(1.0, max_motion / max(length, 1e-6))
        matrix = np.eye(2) + rng.normal(0, 0.03, (2, 2)) * (rng.random() < 0.7)
        matrix = matrix @ _rotation(rng.normal(0, 0.06)) * np.exp(rng.normal(0, 0.04))
        motions.append((matrix.astype(np.float32), shift.astype(np.float32), _field(rng, size)))
    return motions


def _shift(rng, max_motion, fast_share):
    angle = rng.uniform(-np.pi, np.pi)
    if rng.random() < 0.35:  # cameras mostly pan sideways
        angle = rng.normal(0, 0.05) + np.pi * rng.integers(2)
    if fast_share > 0 and rng.random() < fast_share:
        length = rng.uniform(0, max_motion)
    else:
        length = np.exp(rng.uniform(np.log(min(0.3, max_motion / 2)), np.log(max_motion)))
    return length * np.array([np.cos(angle), np.sin(angle)])


def _field(rng, size, waves=4):
    """A smooth displacement as a sum of products of waves, at most a few pixels."""
    strength = np.exp(rng.uniform(np.log(0.05), np.log(1.5)))
    # Waves are as long as the frame; in small frames as many pixels would fold the layer over.
    strength *= min(1.0, max(size) / 192)
    amplitudes = rng.normal(0, strength, (waves, 2)).astype(np.float32)
    fields = []
    for extent in size:
        frequency = rng.uniform(0.3, 2.0, (waves, 1)) * (2 * np.pi / max(size))
        phase = rng.uniform(0, 2 * np.pi, (waves, 1))
        fields.append(np.sin(frequency * np.arange(extent) + phase).astype(np.float32))
    return amplitudes, fields[0], fields[1]
