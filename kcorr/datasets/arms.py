"""Generated objects made of capsules: an arm that forks, a pair of arms, and n-fold legs."""

import dataclasses

import numpy as np

from kcorr.datasets._chains import Chains, ChainsFrame, swing
from kcorr.datasets.generated_objects import GeneratedObjects

_BACKGROUND = (38, 42, 50)
# Shoulder, upper arm, forearm, and two fingers that share the wrist.
_ARM = {
    "parent": (-1, 0, 1, 2, 2),
    "length": (21.0, 18.0, 15.0, 13.0, 13.0),
    "radius": (6.5, 5.5, 5.0, 3.5, 3.5),
    "rest": np.deg2rad((50, -8, -8, 28, -28)),
    "limit": np.deg2rad((40, 75, 75, 45, 45)),  # the shoulder's keeps most of it in the picture
    "colours": ((205, 70, 60), (225, 180, 60), (90, 175, 85), (70, 130, 215), (190, 95, 200)),
}
_ARM_NAMES = ("shoulder", "upper_arm", "forearm", "left_finger", "right_finger")


class _Capsules(GeneratedObjects):
    """Objects made of capsules that swing on joints.

    Args:
        steps: steps of 1/60 s from one frame to the next.
        texture: amplitude of the capsules' textures, 0 to 255; 0 paints them in plain colours.
        instances: True gives each sequence lengths, colours and a texture of its own.
        **options: see `GeneratedObjects`.
    """

    _order = None

    def __init__(self, size=(90, 90), *, steps=20, texture=0.0, instances=False, **options):
        super().__init__(size, **options)
        if steps < 1 or texture < 0:
            raise ValueError(
                f"{self.kind}: steps must be at least 1 and texture at least 0, got {steps} and "
                f"{texture}"
            )
        self.steps, self.texture, self.instances = steps, texture, instances

    def _draw(self, sequence):
        looks = self._looks_rng(sequence)
        moves = self._rng(1, sequence)
        chains = self._chains(looks, moves)
        joints = swing(moves, chains, self.frames, self.steps)
        angles = [chains.angles(one) for one in joints]
        return chains, np.stack(angles) + self._roll(moves)[:, None]

    def _frame(self, drawn, time):
        chains, angles = drawn
        return ChainsFrame(chains, angles[time], self._order)

    def _roll(self, rng):
        """A turn of everything, radians `[frames]`."""
        return np.zeros(self.frames)

    def _chains(self, looks, moves):
        raise NotImplementedError

    def _limb(self, looks, parent, length, radius, rest, colours, limit):
        """A chain in this size and, if instances differ, in its own measures and colours."""
        count, scale = len(parent), min(self.size) / 90
        length, radius = np.array(length) * scale, np.array(radius) * scale
        colours = np.array(colours, float)
        if self.instances:
            length = length * looks.uniform(0.75, 1.15, count)
            radius = radius * looks.uniform(0.85, 1.2, count)
            colours = looks.uniform(40, 230, (count, 3))
        waves = np.zeros((count, 3, 6))
        waves[..., 0] = looks.uniform(-9, 9, (count, 3))
        waves[..., 1] = looks.uniform(-2.5, 2.5, (count, 3))
        waves[..., 2] = looks.uniform(0, 2 * np.pi, (count, 3))
        waves[..., 3:] = looks.normal(0, self.texture / 2, (count, 3, 3))
        return Chains(
            parent=np.array(parent),
            length=length,
            radius=radius,
            rest=np.array(rest, float),
            sign=np.ones(count),
            limit=np.broadcast_to(limit, count).astype(float),
            root=np.zeros((count, 2)),
            colours=colours,
            waves=waves,
            flip=np.ones(count),
            partner=None,
            mirrored=False,
            pulled=np.zeros(count, int),
            background=np.array(_BACKGROUND),
        )


class ArticulatedArm(_Capsules):
    """An arm of capsules that swings under a changing gravity; its last link forks in two.

    90x90, anchored at the bottom left, five capsules; their centres are the key points.

    Args:
        size, sequences, frames, stride, seed, object_seed, across, photometric: see
            `GeneratedObjects`.
        steps: steps of 1/60 s from one frame to the next (20 in the paper).
        texture: amplitude of the capsules' textures, 0 to 255.
        instances: True gives each sequence lengths, colours and a texture of its own; key points
            and places on the capsules mean the same on all of them.

    Records, attributes and errors: see `GeneratedObjects`.

    Source: the toy arm of Thewlis et al., NeurIPS 2017, without their physics engine.
    """

    kind = "arm"
    point_names = _ARM_NAMES

    def _chains(self, looks, moves):
        limb = self._limb(looks, **_ARM)
        root = np.array([0.12 * (self.size[1] - 1), 0.88 * (self.size[0] - 1)])
        return dataclasses.replace(limb, root=np.tile(root, (len(limb.parent), 1)))


class TwoArms(_Capsules):
    """A left and a right arm that move on their own and look the same, mirrored.

    The first half of the key points is the left arm's. `counterpart` maps each capsule's place
    (a, b) to (a, -b) of the same capsule of the other arm.

    Args:
        size, sequences, frames, stride, seed, object_seed, across, photometric: see
            `GeneratedObjects`.
        steps, texture, instances: see `ArticulatedArm`.

    Records, attributes and errors: see `GeneratedObjects`.

    Source: the two robot arms of Thewlis et al., NeurIPS 2018.
    """

    kind = "two_arms"
    point_names = tuple(f"{side}_{name}" for side in ("left", "right") for name in _ARM_NAMES)
    symmetric_points = (*range(5, 10), *range(5))

    def _chains(self, looks, moves):
        small = {
            **_ARM,
            "length": 0.8 * np.array(_ARM["length"]),
            "radius": 0.85 * np.array(_ARM["radius"]),
            "rest": np.deg2rad((100, -8, -8, 28, -28)),
        }
        arm = self._limb(looks, **small)
        count = len(arm.parent)
        height, width = self.size
        middle, apart, down = (width - 1) / 2, 0.2 * width, height - 1 - 6 * min(self.size) / 90
        roots = np.array([[middle - apart, down], [middle + apart, down]])
        rest = -arm.rest
        rest[arm.parent < 0] += np.pi  # mirrored: an angle T becomes pi - T
        twice = {
            name: np.concatenate([getattr(arm, name)] * 2)
            for name in ("length", "radius", "limit", "colours", "waves")
        }
        return dataclasses.replace(
            arm,
            **twice,
            parent=np.concatenate([arm.parent, np.where(arm.parent < 0, -1, arm.parent + count)]),
            rest=np.concatenate([arm.rest, rest]),
            sign=np.repeat([1.0, -1.0], count),
            flip=np.repeat([1.0, -1.0], count),
            root=np.repeat(roots, count, axis=0),
            partner=np.roll(np.arange(2 * count), count),
            mirrored=True,
            pulled=np.repeat([0, 1], count),
        )


class NFoldObject(_Capsules):
    """`folds` equal legs of two capsules around a hub, each bending on its own.

    Nothing tells the legs apart but their order: the object has an n-fold ambiguity, and where it
    points differs from sequence to sequence and turns from frame to frame. `counterpart` (and
    `symmetric_points`) is the same place on the next leg, counter-clockwise.

    Args:
        folds: number of legs, 2 or more: 3 as clathrin, 5 as the flower Stapelia.
        turn: standard deviation of the camera's turn from frame to frame, degrees.
        size, sequences, frames, stride, seed, object_seed, across: see `GeneratedObjects`.
        photometric: the light, see `GeneratedObjects`.
        steps, texture, instances: see `ArticulatedArm`.

    Records, attributes and errors: see `GeneratedObjects`.

    Source: the clathrin toy of Thewlis et al., NeurIPS 2018 (there a soft body).
    """

    kind = "n_fold"

    def __init__(self, size=(90, 90), *, folds=3, turn=4.0, **options):
        if folds < 2 or turn < 0:
            raise ValueError(
                f"n_fold: folds must be at least 2 and turn at least 0, got {folds}, {turn}"
            )
        super().__init__(size, **options)
        self.folds, self.turn = folds, turn
        legs = range(folds)
        self.point_names = ("hub", *(f"{part}_{k}" for k in legs for part in ("thigh", "shin")))
        following = [(k + 1) % folds for k in legs]
        self.symmetric_points = (0, *(1 + 2 * k + part for k in following for part in (0, 1)))
        self._order = [*range(2, 2 * folds + 1, 2), *range(1, 2 * folds + 1, 2), 0]

    def _chains(self, looks, moves):
        leg = self._limb(
            looks,
            parent=(-1, 0, 1),
            length=(0.0, 21.0, 19.0),
            radius=(7.5, 5.0, 4.0),
            rest=np.deg2rad((0, 0, 35)),
            colours=((235, 225, 190), (85, 160, 200), (215, 110, 80)),
            limit=np.deg2rad(min(32, 108 / self.folds)),  # legs keep apart
        )
        which = np.array([0, *([1, 2] * self.folds)])
        count = len(which)
        ahead = np.array([0, *np.repeat(np.arange(self.folds) * 2 * np.pi / self.folds, 2)])
        rest = leg.rest[which] + np.where(which == 1, ahead, 0)
        rest[0] = moves.uniform(0, 2 * np.pi)
        limit = np.where(which == 0, 0, leg.limit[which])
        middle = (np.array(self.size[::-1]) - 1) / 2
        partner = np.roll(np.arange(1, count).reshape(-1, 2), -1, axis=0).ravel()
        same = {name: getattr(leg, name)[which] for name in ("length", "radius", "colours")}
        return dataclasses.replace(
            leg,
            **same,
            parent=np.array([-1, *(p for k in range(self.folds) for p in (0, 1 + 2 * k))]),
            rest=rest,
            sign=np.ones(count),
            limit=limit,
            root=np.tile(middle, (count, 1)),
            waves=leg.waves[which] * (which > 0)[:, None, None],
            flip=np.ones(count),
            partner=np.concatenate([[0], partner]),
            pulled=np.array([0, *np.repeat(np.arange(self.folds), 2)]),
        )

    def _roll(self, rng):
        return np.cumsum(rng.normal(0, np.deg2rad(self.turn), self.frames))
