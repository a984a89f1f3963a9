"""What the generated objects have in common: sequences of frames, and pairs with exact truth."""

from collections.abc import Sequence

import numpy as np

from kcorr import schema
from kcorr.datasets._placed import BACKGROUND, pixel_points, render, seen
from kcorr.datasets.source import Source, checked_index

_KEPT = 4096  # sequences


class GeneratedObjects(Source):
    """Sequences of generated frames as pairs with everything that is known about them.

    Base of `ArticulatedArm`, `TwoArms`, `RotatingSphere`, `NFoldObject` and `DeformableFaces`. A
    record is a pure function of (seed, index). Sequence s shows object s where objects differ.

    A record holds image1, image2 (uint8) of two frames, and
        flow, valid, occlusion: exact, of all of image1, hidden pixels included. `valid` is 0 only
            for the background of a pair of different objects, which has no flow. The background
            stands still: the papers leave it out by their mask |flow| > 1e-3; `objects` > 0 does
            that and keeps what happens to rest.
        points1, points2, visible: the key points (`point_names`); 1 = seen in both images.
        objects: the part that is seen at each pixel of image1, 0 = background.
        identity: number of the object in image1.
        counterpart, counterpart_valid: where the symmetric counterpart of each pixel of image1 is
            in image1, and whether it is seen there; for objects with a symmetry.
        coordinates1, coordinates2: each pixel's place on the object, for the sphere and the faces.

    Args:
        size: (height, width) of the frames, at least 16 each.
        sequences: number of sequences.
        frames: frames a sequence.
        stride: image2 is that many frames after image1.
        seed: 0 to 2^32 - 1.
        object_seed: of the object that all sequences show (of what is common to all people): films
            of two seeds and one `object_seed` are of one object. `seed` unless given.
        across: image2 shows another object instead, one of the next sequence at a time of its own;
            frames of all sequences are then image1. For objects that differ.
        photometric: strength of the changes of brightness and colour from frame to frame; 0 means
            that a moved pixel keeps its colour exactly.

    Attributes:
        names: "<kind>_<seed>_<sequence>_<frame>+<stride>".
        pictures: a source of the single frames: image1, points1, visible, objects, identity and
            what is known about one frame alone.
        point_names: names of the key points.
        symmetric_points: for each key point the index of its symmetric counterpart, or None.

    Raises:
        ValueError: numbers that make no pair.

    Source: the toy data of Thewlis et al. (NeurIPS 2017 and 2018), whose generators were not
    published; the kinematics and all constants here are our choice.
    """

    kind = "objects"
    point_names = ()
    symmetric_points = None
    instances = False

    def __init__(
        self,
        size=(90, 90),
        sequences=20,
        frames=100,
        stride=1,
        seed=0,
        *,
        object_seed=None,
        across=False,
        photometric=0.0,
    ):
        if min(size) < 16:
            raise ValueError(f"{self.kind}: size must be at least 16x16, got {size[0]}x{size[1]}")
        if sequences < 1 or frames < 1 or stride < 1:
            raise ValueError(
                f"{self.kind}: sequences, frames and stride must be at least 1, got {sequences}, "
                f"{frames} and {stride}"
            )
        object_seed = seed if object_seed is None else object_seed
        for name, value in (("seed", seed), ("object_seed", object_seed)):
            if not 0 <= value < 2**32:
                raise ValueError(f"{self.kind}: {name} must be within 0..2^32 - 1, got {value}")
        if across and sequences < 2:
            raise ValueError(f"{self.kind}: across needs at least 2 sequences, got {sequences}")
        if not across and stride >= frames:
            raise ValueError(f"{self.kind}: {frames} frames make no pair at stride {stride}")
        self.size, self.sequences, self.frames = tuple(size), sequences, frames
        self.stride, self.seed, self.across = stride, seed, across
        self.object_seed = object_seed
        self.photometric = photometric
        self.pictures = _Pictures(self)
        steps = 0 if across else stride
        suffix = "+across" if across else f"+{stride}"
        self.names = _Names(self, frames - steps, suffix)
        self._drawn = {}

    def frame(self, sequence, time):
        """The `PlacedFrame` of a time, from which the ground truth between any two follows."""
        checked_index(sequence, self.sequences, f"{self.kind}: sequences")
        checked_index(time, self.frames, f"{self.kind}: frames")
        return self._frame(self._object(sequence % self.sequences), time % self.frames)

    def pair(self, first, second):
        """The record of any two frames, of one object or of two.

        Args:
            first, second: (sequence, time) of image1 and image2.

        Returns:
            A dict of numpy arrays, see the class.
        """
        frames = [self.frame(*first), self.frame(*second)]
        parts, places = frames[0].locate(pixel_points(self.size))
        target, visible = seen(frames[1], self.size, parts, places)
        known = (parts != BACKGROUND) | (first[0] == second[0])
        flow = np.where(known[:, None], target - pixel_points(self.size), 0)
        record = self._picture(frames[0], first, parts, places)
        image2, coordinates2 = self._second(frames[1], second)
        to, here = seen(frames[1], self.size, *frames[0].points)
        record |= {
            schema.IMAGE2: image2,
            schema.FLOW: self._map(flow),
            schema.VALID: self._map(known),
            schema.OCCLUSION: self._map(known & ~visible),
            schema.POINTS2: to.astype(np.float32),
            schema.VISIBLE: record[schema.VISIBLE] * here[:, None].astype(np.float32),
        }
        if coordinates2 is not None:
            record[schema.COORDINATES2] = coordinates2
        return record

    def _read(self, index):
        sequence, time = divmod(index, self.names.each)
        if not self.across:
            return self.pair((sequence, time), (sequence, time + self.stride))
        other = (sequence + self.stride) % self.sequences
        if other == sequence:  # the stride is a multiple of the number of sequences
            other = (sequence + 1) % self.sequences
        rng = self._rng(4, sequence, time)
        return self.pair((sequence, time), (other, int(rng.integers(self.frames))))

    def _rng(self, *what):
        return np.random.default_rng([self.seed, *what])

    def _looks_rng(self, sequence):
        """What the object of a sequence is drawn by: the same for all unless `instances`."""
        if self.instances:
            return self._rng(0, sequence)
        return np.random.default_rng([self.object_seed, 0, 0])

    def _object(self, sequence):
        """What `_draw` returns, kept: it is small (angles, colours), unlike frames."""
        drawn = self._drawn.get(sequence)  # once only: another thread may clear what is kept
        if drawn is None:
            if len(self._drawn) >= _KEPT:
                self._drawn.clear()
            drawn = self._drawn[sequence] = self._draw(sequence)
        return drawn

    def _draw(self, sequence):
        """Everything random about a sequence."""
        raise NotImplementedError

    def _frame(self, drawn, time):
        """The `PlacedFrame` at a time of what `_draw` returned."""
        raise NotImplementedError

    def _picture(self, frame, where, parts, places):
        points, visible = seen(frame, self.size, *frame.points)
        record = {
            schema.IMAGE1: self._developed(render(frame, self.size, parts, places), where),
            schema.POINTS1: points.astype(np.float32),
            schema.VISIBLE: visible[:, None].astype(np.float32),
            schema.OBJECTS: self._map(parts),
            schema.IDENTITY: np.array([where[0]], np.float32),
        }
        other = frame.counterpart(parts, places)
        if other is not None:
            target, there = seen(frame, self.size, *other)
            there &= parts != BACKGROUND
            record[schema.COUNTERPART] = self._map(np.where(there[:, None], target, 0))
            record[schema.COUNTERPART_VALID] = self._map(there)
        if frame.coordinates:
            record[schema.COORDINATES1] = self._coordinates(parts, places)
        return record

    def _second(self, frame, where):
        parts, places = frame.locate(pixel_points(self.size))
        image = self._developed(render(frame, self.size, parts, places), where)
        return image, self._coordinates(parts, places) if frame.coordinates else None

    def _coordinates(self, parts, places):
        places = np.where(parts[:, None] != BACKGROUND, places, 0)
        return self._map(np.pad(places, ((0, 0), (0, 3 - places.shape[1]))))

    def _map(self, values):
        return values.reshape(*self.size, -1).astype(np.float32)

    def _developed(self, image, where):
        """Colours 0 to 255 as uint8, in the light of the frame."""
        if self.photometric > 0:
            rng = self._rng(5, *where)
            gain = 1 + self.photometric * (rng.uniform(-0.2, 0.2) + rng.normal(0, 0.04, 3))
            image = image * gain + 255 * self.photometric * rng.uniform(-0.06, 0.06)
        return np.clip(image + 0.5, 0, 255).astype(np.uint8)


class _Pictures(Source):
    """The single frames of generated objects, sequence by sequence."""

    def __init__(self, objects):
        self._objects = objects
        self.names = _Names(objects, objects.frames, "")

    def _read(self, index):
        where = divmod(index, self._objects.frames)
        frame = self._objects.frame(*where)
        parts, places = frame.locate(pixel_points(self._objects.size))
        return self._objects._picture(frame, where, parts, places)


class _Names(Sequence):
    """Names made when asked for."""

    def __init__(self, objects, each, suffix):
        self.each, self._suffix = each, suffix
        self._length, self._start = objects.sequences * each, f"{objects.kind}_{objects.seed}"

    def __len__(self):
        return self._length

    def __getitem__(self, index):
        sequence, time = divmod(checked_index(index, self._length, "the source"), self.each)
        return f"{self._start}_{sequence:05d}_{time:04d}{self._suffix}"
