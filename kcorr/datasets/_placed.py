"""Frames of generated objects, and the exact ground truth that follows from two of them.

A frame maps its picture to objects and back: `locate` says which part is seen at a point and where
on the part that is, `project` where a place on a part lies in the picture. Everything else follows
and is exact: the flow is frame 2's `project` of frame 1's `locate`, a pixel is hidden if `locate`
finds another part at the end of its flow, and a symmetry of the object is a map of parts and
places. Nothing is inverted numerically, nothing is rounded to pixels.
"""

import abc

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

BACKGROUND = 0


class PlacedFrame(abc.ABC):
    """One frame. Part 0 is the background, which stands still: its places are picture points.

    Attributes:
        points: (parts int `[n]`, places `[n, k]`) of the key points.
        coordinates: whether a place is a position on the object that is worth handing out.
    """

    points = None
    coordinates = False

    @abc.abstractmethod
    def locate(self, points):
        """What is seen at points `[n, 2]`, (x, y) in pixels: parts int `[n]`, places `[n, k]`."""

    @abc.abstractmethod
    def project(self, parts, places):
        """Points `[n, 2]` of places, and whether each faces the camera, bool `[n]`."""

    @abc.abstractmethod
    def colours(self, parts, places):
        """Colours `[n, 3]`, 0 to 255."""

    def counterpart(self, parts, places):
        """The symmetric counterparts: parts, places; None for an object without a symmetry."""
        return None


def pixel_points(size):
    """Centres of all pixels, row by row: float64 `[h * w, 2]`."""
    x, y = np.meshgrid(np.arange(size[1], dtype=float), np.arange(size[0], dtype=float))
    return np.stack([x.ravel(), y.ravel()], axis=-1)


def render(frame, size, parts, places, samples=3):
    """Colours of a frame, 0 to 255: float64 `[h, w, 3]`.

    A pixel has the colour of its centre; where parts meet, the mean of `samples` x `samples`.

    Args:
        frame: a `PlacedFrame`.
        size: (height, width).
        parts, places: what `locate` says about the centres.
        samples: along a side.
    """
    colours = frame.colours(parts, places)
    border = np.flatnonzero(_mixed(parts.reshape(size)))
    offsets = (np.arange(samples) + 0.5) / samples - 0.5
    total = np.zeros((len(border), 3))
    for shift in np.stack(np.meshgrid(offsets, offsets), axis=-1).reshape(-1, 2):
        total += frame.colours(*frame.locate(pixel_points(size)[border] + shift))
    colours[border] = total / samples**2
    return colours.reshape(*size, 3)


def _mixed(parts):
    """Pixels that have another part among their eight neighbours."""
    around = sliding_window_view(np.pad(parts, 1, mode="edge"), (3, 3))
    return around.min(axis=(2, 3)) != around.max(axis=(2, 3))


def seen(frame, size, parts, places):
    """Where places lie in a frame's picture, and which of them are seen there.

    Args:
        frame: a `PlacedFrame`.
        size: (height, width) of the picture.
        parts, places: `[n]`, `[n, k]`.

    Returns:
        (points `[n, 2]`, bool `[n]`): seen means on the side that faces the camera, within the
        centres of the border pixels, and not covered by another part.
    """
    points, facing = frame.project(parts, places)
    limit = np.array([size[1] - 1, size[0] - 1])
    # A point that was projected from a pixel of the border may miss it by a rounding.
    inside = np.all((points >= -1e-9) & (points <= limit + 1e-9), axis=-1)
    found, _ = frame.locate(points)
    return points, facing & inside & (found == parts)
