"""Textures of generated scenes: fast bilinear look-ups with mirrored borders."""

import numpy as np


class Texture:
    """A picture that can be sampled anywhere; outside it is mirrored.

    Args:
        image: uint8 [h, w, 3]. It is kept as one 32-bit word a pixel, so that a corner of the
            bilinear look-up is one gather.
    """

    def __init__(self, image):
        if image.ndim != 3 or image.shape[-1] != 3 or image.dtype != np.uint8:
            raise ValueError(
                f"a texture must be a uint8 picture [h, w, 3], got {image.dtype} {image.shape}"
            )
        self.height, self.width = image.shape[:2]
        padded = np.zeros((self.height, self.width, 4), np.uint8)
        padded[..., :3] = image
        self.words = padded.view(np.uint32).reshape(-1)

    def sample(self, x, y):
        """Bilinear colours float32 [..., 3] in 0..255 at pixel positions x, y (float32 [...])."""
        floor_x, floor_y = np.floor(x), np.floor(y)
        wx, wy = (x - floor_x)[..., None], (y - floor_y)[..., None]
        left, top = floor_x.astype(np.int32), floor_y.astype(np.int32)
        columns = [_mirrored(left, self.width), _mirrored(left + 1, self.width)]
        rows = [
            _mirrored(top, self.height) * self.width,
            _mirrored(top + 1, self.height) * self.width,
        ]
        corners = [[self._colours(row + column) for column in columns] for row in rows]
        upper = corners[0][0] + (corners[0][1] - corners[0][0]) * wx
        lower = corners[1][0] + (corners[1][1] - corners[1][0]) * wx
        return upper + (lower - upper) * wy

    def _colours(self, index):
        words = np.take(self.words, index)
        return words.view(np.uint8).reshape(*index.shape, 4)[..., :3].astype(np.float32)


def _mirrored(index, size):
    """Reflects any integer index into 0..size-1: ... 1 0 | 0 1 2 ... | n-1 n-2 ..."""
    index = np.remainder(index, 2 * size)
    return np.minimum(index, 2 * size - 1 - index)


def noise_texture(rng, size=256):
    """A coloured random field with a power-law spectrum: uint8 [size, size, 3].

    Natural pictures have spectra near 1 / f; exponents around it give textures from fine grain to
    soft clouds.
    """
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :])
    frequency[0, 0] = 1.0
    spectrum = frequency ** -rng.uniform(0.8, 1.6)
    spectrum[0, 0] = 0.0
    base = rng.uniform(40, 215, 3)
    shared = rng.uniform(0, 1)
    field = rng.standard_normal((4, size, size))
    field = np.fft.irfft2(np.fft.rfft2(field) * spectrum, s=(size, size))
    field /= field.std(axis=(1, 2), keepdims=True)
    colour = shared * field[:1] + (1 - shared) * field[1:]
    image = base + rng.uniform(20, 60) * np.moveaxis(colour, 0, -1)
    return np.clip(image, 0, 255).astype(np.uint8)
