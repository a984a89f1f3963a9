"""Chains of capsules that swing on joints: kinematics, physics, and frames of them.

A capsule is a segment with a radius. Angles count from the x axis, counter-clockwise as seen in the
picture, whose y axis points down: a capsule at angle T points along (cos T, -sin T).
"""

from dataclasses import dataclass

import numpy as np

from kcorr.datasets._placed import BACKGROUND, PlacedFrame

_TIME_STEP = 1 / 60  # s
_PER_METRE = 20  # pixels, for pictures of 90 pixels: only the ratio to the gravity matters


@dataclass(frozen=True)
class Chains:
    """A forest of k capsules; parents stand before their children.

    Attributes:
        parent: `[k]`, -1 for a capsule that starts at its root.
        length, radius: `[k]` pixels.
        rest: `[k]` angle against the parent (against the x axis where there is none), radians.
        sign: `[k]` 1, or -1 where joint angles turn clockwise.
        limit: `[k]` largest joint angle, 0 = stiff.
        root: `[k, 2]` starts of those without a parent, pixels.
        colours: `[k, 3]`, 0 to 255.
        waves: `[k, m, 6]`, textures: frequency along, across, phase and three amplitudes.
        flip: `[k]` -1 where the texture is mirrored across the capsule.
        partner: `[k]` capsule that is the symmetric counterpart, or None.
        mirrored: whether the symmetry mirrors (or only exchanges) capsules.
        pulled: `[k]` number of the gravity that acts on a capsule, from 0: independent limbs have
            one each.
        background: `[3]` colour.
    """

    parent: np.ndarray
    length: np.ndarray
    radius: np.ndarray
    rest: np.ndarray
    sign: np.ndarray
    limit: np.ndarray
    root: np.ndarray
    colours: np.ndarray
    waves: np.ndarray
    flip: np.ndarray
    partner: np.ndarray | None
    mirrored: bool
    pulled: np.ndarray
    background: np.ndarray

    def ancestors(self):
        """`[k, k]`, 1 where column j is k itself or above it."""
        table = np.eye(len(self.parent))
        for child, parent in enumerate(self.parent):
            if parent >= 0:
                table[child] += table[parent]
        return table

    def angles(self, joints):
        """Angles `[k]` against the x axis of joint angles `[k]`."""
        return self.ancestors() @ (self.rest + self.sign * joints)

    def starts(self, angles):
        """Where each capsule starts, `[k, 2]` pixels."""
        ends = np.empty((len(angles), 2))
        starts = np.empty((len(angles), 2))
        for k, parent in enumerate(self.parent):
            starts[k] = self.root[k] if parent < 0 else ends[parent]
            ends[k] = starts[k] + self.length[k] * _along(angles[k])
        return starts


def swing(rng, chains, frames, steps, stiffness=60.0, damping=4.0, gravity=15.0, held=100):
    """Joint angles of chains under a gravity that changes its direction and strength.

    `th'' = -damping th' - stiffness th + (d x g) / length`, d the capsule's direction, by
    semi-implicit Euler steps of 1/60 s; at its limit a joint bounces.

    Args:
        rng: draws the gravity, each component N(0, `gravity`), anew every `held` steps.
        chains: the `Chains`.
        frames: frames wanted.
        steps: steps from one frame to the next.
        stiffness, damping: 1/s^2 and 1/s.
        gravity: standard deviation, m/s^2.
        held: steps for which one gravity holds.

    Returns:
        `[frames, k]` radians.

    Source: the gravity's 15 m/s^2 and 100 steps, and frames every 20 steps, are those of Thewlis et
    al., NeurIPS 2017; the equation and the other constants are our choice.
    """
    length = np.maximum(chains.length, 1) / _PER_METRE
    lever = np.where(chains.limit > 0, 1 / length, 0) * chains.sign
    table = chains.ancestors()
    joints, speed = np.zeros(len(length)), np.zeros(len(length))
    result = np.empty((frames, len(length)))
    total = held + (frames - 1) * steps  # the first gravity brings it into motion
    for step in range(total + 1):
        if step % held == 0:
            pull = rng.normal(0, gravity, (chains.pulled.max() + 1, 2))[chains.pulled]
        if step >= held and (step - held) % steps == 0:
            result[(step - held) // steps] = joints
        angles = table @ (chains.rest + chains.sign * joints)
        torque = np.cos(angles) * pull[:, 1] - np.sin(angles) * pull[:, 0]  # here y points up
        speed = speed + _TIME_STEP * (lever * torque - stiffness * joints - damping * speed)
        joints = joints + _TIME_STEP * speed
        beyond = np.abs(joints) > chains.limit
        speed = np.where(beyond, -speed, speed)
        joints = np.clip(joints, -chains.limit, chains.limit)
    return result


class ChainsFrame(PlacedFrame):
    """Chains at one moment.

    A place is (along, across): across in radii, along 0 to 1 from start to end, and beyond both
    ends in radii. So places mean the same on capsules of other sizes.

    Args:
        chains: the `Chains`; later capsules lie before earlier ones, see `order`.
        angles: `[k]` against the x axis.
        order: capsules from back to front; default as they are.
    """

    def __init__(self, chains, angles, order=None):
        self._chains, self._angles = chains, angles
        self._starts = chains.starts(angles)
        self._order = range(len(angles)) if order is None else order
        middles = np.where(chains.length > 0, 0.5, 0.0)
        places = np.stack([middles, np.zeros_like(middles)], axis=-1)
        self.points = np.arange(1, len(angles) + 1), places

    def locate(self, points):
        """See the base."""
        parts, places = np.zeros(len(points), int), points.copy()
        for k in self._order:
            apart = points - self._starts[k]
            along, across = apart @ _along(self._angles[k]), apart @ _across(self._angles[k])
            length, radius = self._chains.length[k], self._chains.radius[k]
            beside = np.hypot(along - np.clip(along, 0, length), across)
            mine = beside <= radius
            parts[mine] = k + 1
            places[mine, 0] = _scaled(along[mine], length, radius)
            places[mine, 1] = across[mine] / radius
        return parts, places

    def project(self, parts, places):
        """See the base."""
        points = np.array(places, float)
        for k in range(len(self._angles)):
            mine = parts == k + 1
            length, radius = self._chains.length[k], self._chains.radius[k]
            along = _unscaled(places[mine, 0], length, radius)
            across = places[mine, 1] * radius
            points[mine] = (
                self._starts[k]
                + along[:, None] * _along(self._angles[k])
                + across[:, None] * _across(self._angles[k])
            )
        return points, np.ones(len(points), bool)

    def colours(self, parts, places):
        """See the base."""
        colours = np.tile(np.asarray(self._chains.background, float), (len(parts), 1))
        for k, waves in enumerate(self._chains.waves):
            mine = parts == k + 1
            along, across = places[mine, 0], places[mine, 1] * self._chains.flip[k]
            colours[mine] = self._chains.colours[k]
            for wave in waves:
                colours[mine] += (
                    np.sin(wave[0] * along + wave[1] * across + wave[2])[:, None] * wave[3:]
                )
        return np.clip(colours, 0, 255)

    def counterpart(self, parts, places):
        """See the base."""
        if self._chains.partner is None:
            return None
        partner = np.concatenate([[BACKGROUND], self._chains.partner + 1])
        flip = np.array([1, -1 if self._chains.mirrored else 1])
        return partner[parts], np.where((parts != BACKGROUND)[:, None], places * flip, places)


def _along(angle):
    return np.array([np.cos(angle), -np.sin(angle)])


def _across(angle):
    """A quarter turn clockwise in the picture from `_along`."""
    return np.array([np.sin(angle), np.cos(angle)])


def _scaled(along, length, radius):
    inside = along / length if length else np.zeros_like(along)
    return np.where(
        along < 0, along / radius, np.where(along > length, 1 + (along - length) / radius, inside)
    )


def _unscaled(along, length, radius):
    return np.where(
        along < 0,
        along * radius,
        np.where(along > 1, length + (along - 1) * radius, along * length),
    )
