"""Textures of generated scenes: fast bilinear look-ups with mirrored borders."""

import numpy as np


class Texture:
    """A picture that can be sampled anywhere; outside it is mirrored.

    Args:
        image: uint8 [h, w, 3] of any size. It is kept as one 32-bit word a pixel, so that a corner
            of the bilinear look-up is one gather.

    Raises:
        ValueError: another dtype or shape, or no pixel.
    """

    def __init__(self, image):
        if image.ndim != 3 or image.shape[-1] != 3 or image.dtype != np.uint8 or not image.size:
            raise ValueError(
                f"a texture must be a uint8 picture [h, w, 3], got {image.dtype} {image.shape}"
            )
        self.height, self.width = image.shape[:2]
        padded = np.zeros((self.height, self.width, 4), np.uint8)
        padded[..., :3] = image
        self.words = padded.view(np.uint32).reshape(-1)

    def sample(self, x, y):
        """Bilinear colours float32 [3, n] in 0..255 at pixel positions x, y (float32 [n])."""
        floor_x, floor_y = np.floor(x), np.floor(y)
        right, down = x - floor_x, y - floor_y
        columns = [_mirrored(floor_x + step, self.width) for step in (0, 1)]
        rows = [_mirrored(floor_y + step, self.height) * self.width for step in (0, 1)]
        colours = np.zeros((3, *x.shape), np.float32)
        for row, weight_y in zip(rows, (1 - down, down), strict=True):
            for column, weight_x in zip(columns, (1 - right, right), strict=True):
                words = np.take(self.words, row + column).view(np.uint8)
                weight = weight_x * weight_y
                # One channel at a time: numpy is slow where the last axis has only three numbers.
                for channel in range(3):
                    colours[channel] += words[channel::4] * weight
        return colours


def _mirrored(position, size):
    """Reflects whole numbers (float32) into 0..size-1: ... 1 0 | 0 1 2 ... | n-1 n-2 ..."""
    # Float arithmetic is exact here, and several times faster than the remainder of integers.
    position = position - np.floor(position / (2 * size)) * (2 * size)
    return np.minimum(position, 2 * size - 1 - position).astype(np.int32)


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
