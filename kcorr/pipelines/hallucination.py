"""Hallucinated occlusions: patches of a frame replaced by noise, as in SelFlow.

The patches are superpixels, which follow the outlines of things, or rectangles. Superpixels take a
tenth of a second a frame and more, so they are computed once per frame: `with_superpixels` wraps a
source, so that their map passes through the same crops and mirrors as the pictures.
"""

import hashlib
import threading
import zipfile
import zlib
from collections import OrderedDict
from pathlib import Path

import numpy as np
import tensorflow as tf

from kcorr import schema
from kcorr.io import atomic_write
from kcorr.ops import transform_image
from kcorr.pipelines._seeds import draw

SHAPES = ("superpixels", "rectangles")


def superpixels(image, segments=200, compactness=10.0):
    """Divides a picture into patches that follow its edges (SLIC of scikit-image).

    Args:
        image: uint8 [h, w, 3].
        segments: patches asked for, about that many come. How many the authors of SelFlow ask for
            is not known; the default is ARFlow's.
        compactness: large ones are rounder, small ones follow edges more closely (ARFlow: 10-50).

    Returns:
        uint16 [h, w], the number of each pixel's patch, from 0.

    Raises:
        ImportError: scikit-image is not installed.
        ValueError: fewer than 1 or more than 60000 segments (the numbers have 16 bits: of eight, as
            pictures have, they run over at 255).

    Source: Achanta et al., SLIC Superpixels, PAMI 2012; Liu et al., SelFlow, CVPR 2019.
    """
    if not 1 <= segments <= 60000:
        raise ValueError(f"segments is {segments!r}, expected 1 to 60000")
    try:
        from skimage.segmentation import slic
    except ImportError as error:
        raise ImportError(
            "superpixels need scikit-image (pip install scikit-image); rectangles need nothing"
        ) from error
    labels = slic(image, segments, compactness, start_label=0, channel_axis=-1)
    if labels.max() > np.iinfo(np.uint16).max:
        raise ValueError(f"slic made {labels.max() + 1} patches, more than 16 bits can number")
    return labels.astype(np.uint16)


def with_superpixels(source, segments=200, compactness=10.0, cache_bytes=2**30, folder=None):
    """A source whose records also hold the `superpixels` of image2, each frame's computed once.

        source = with_superpixels(source)
        stream = examples(source, ("image1", "image2", "superpixels"))

    Args:
        source: a sequence of records.
        segments, compactness: of `superpixels`.
        cache_bytes: memory for maps of 2 bytes a pixel; the ones used longest ago give way.
        folder: keeps the maps as files, too, one for each frame whatever record it is in, so that
            another run has them; a damaged file is made anew. None keeps none.

    Returns:
        A source with the same names. A frame is known by its pixels.
    """
    return _WithSuperpixels(source, segments, compactness, cache_bytes, folder)


class _WithSuperpixels:
    def __init__(self, source, segments, compactness, cache_bytes, folder):
        self.source, self.names = source, source.names
        self._options = (segments, compactness)
        self._kept, self._free, self._lock = OrderedDict(), cache_bytes, threading.Lock()
        self._folder = None if folder is None else Path(folder)
        if folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)

    def __len__(self):
        return len(self.source)

    def __getitem__(self, index):
        record = dict(self.source[index])
        labels = self._labels(np.ascontiguousarray(record[schema.IMAGE2]))
        record[schema.SUPERPIXELS] = labels[..., None].astype(np.float32)
        return record

    def _labels(self, image):
        about = f"{image.shape} {self._options}".encode()
        key = hashlib.blake2b(about + image.tobytes(), digest_size=16).hexdigest()
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        labels = self._from_folder(key, image)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = labels
                self._free -= labels.nbytes
            while self._free < 0:
                self._free += self._kept.popitem(last=False)[1].nbytes
        return labels

    def _from_folder(self, key, image):
        if self._folder is None:
            return superpixels(image, *self._options)
        path = self._folder / f"{key}.npz"
        labels = _read(path, image.shape[:2])
        if labels is not None:
            return labels
        labels = superpixels(image, *self._options)
        with atomic_write(path) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(file, superpixels=labels)
        return labels


def _read(path, size):
    """The kept map of a picture of `size`; None if there is none, or the file is damaged."""
    try:
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as file:
            labels = file["superpixels"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None
    return labels if labels.shape == size and labels.dtype == np.uint16 else None


def noise_mask(example, affine, size, shape="superpixels", **options):
    """Some patches of a view at random.

    Args:
        example: an example dict, for its seed and, of superpixels, their map.
        affine: float32 [2, 3], from the pixels of the pictures to those of the view.
        size: (height, width) of the view.
        shape: one of `SHAPES`.
        **options: of `superpixel_mask` or `rectangle_mask`.

    Returns:
        float32 [h, w, 1], 1 = inside one.

    Raises:
        ValueError: an unknown shape, or no `superpixels` although they are wanted.
    """
    if shape not in SHAPES:
        raise ValueError(f"shape must be one of {', '.join(SHAPES)}, got {shape!r}")
    if shape == "rectangles":
        return rectangle_mask(example, size, **options)
    if schema.SUPERPIXELS not in example:
        raise ValueError(
            "the example has no superpixels: wrap the source by with_superpixels and ask for that "
            "key, or take shape='rectangles'"
        )
    labels, inside = transform_image(
        example[schema.SUPERPIXELS][None], affine[None], size, method="nearest"
    )
    return superpixel_mask(example, labels[0], inside[0], **options)


def superpixel_mask(example, labels, known, fewest=8, most=15):
    """Some superpixels at random, each as likely as any other.

    Args:
        example: an example dict, for its seed.
        labels: [h, w, 1], numbers of superpixels.
        known: [h, w, 1], 1 where the labels mean something; other pixels are never chosen.
        fewest, most: how many are chosen, of those that are there. The authors' numbers are not
            known; the defaults are ARFlow's.

    Returns:
        float32 [h, w, 1], 1 = chosen.
    """
    flat = tf.where(known > 0, tf.cast(labels, tf.int32), -1)
    there, place = tf.unique(tf.reshape(flat, [-1]))
    # A random order of those that are there, of which the first are taken.
    order = tf.where(there < 0, 2.0, draw(example, 41, tf.shape(there)))
    rank = tf.argsort(tf.argsort(order))
    chosen = (rank < _count(example, fewest, most)) & (there >= 0)
    return tf.reshape(tf.cast(tf.gather(chosen, place), tf.float32), tf.shape(labels))


def rectangle_mask(example, size, fewest=8, most=15, sides=(0.04, 0.16)):
    """Some rectangles at random, the simpler variant. They may overlap, and leave the frame.

    Args:
        example: an example dict, for its seed.
        size: (height, width) of the frame.
        fewest, most: how many.
        sides: (shortest, longest) side, each drawn uniformly, as a share of the frame's. The
            authors' distribution is not known; a superpixel of 200 has a share of 0.07.

    Returns:
        float32 [h, w, 1], 1 = inside one.
    """
    size = tf.cast(tf.stack(size), tf.float32)
    centres = draw(example, 42, (most, 2)) * size
    halves = draw(example, 43, (most, 2), *sides) * size / 2
    covered = []
    for axis in (0, 1):
        pixels = tf.range(size[axis])[None]
        inside = tf.abs(pixels - centres[:, axis, None]) <= halves[:, axis, None]
        covered.append(tf.cast(inside, tf.float32))
    drawn = tf.cast(tf.range(most) < _count(example, fewest, most), tf.float32)
    inside = tf.einsum("k,ky,kx->yx", drawn, *covered) > 0
    return tf.cast(inside, tf.float32)[..., None]


def noise_at(example, image, mask):
    """The picture with noise, uniform in [0, 1] for each pixel and channel, where the mask is 1.

    Args:
        example: an example dict, for its seed.
        image: float32 [h, w, 3] in [0, 1].
        mask: [h, w, 1].

    Returns:
        float32 [h, w, 3].
    """
    return tf.where(mask > 0, draw(example, 44, tf.shape(image)), image)


def _count(example, fewest, most):
    if not 0 <= fewest <= most:
        raise ValueError(f"expected 0 <= fewest <= most, got {fewest} and {most}")
    return draw(example, 40, (), fewest, most + 1, tf.int32)
