"""Generated scenes: textured layers that move, with exact flow and occlusion. NumPy only.

A scene is a background and a few star-shaped blobs in front of it, painted in order. Layer l maps a
pixel p of frame 1 by `u(p) = p + s(p)` (a smooth field) and then by its affine motion A, so that
its flow is `A(u(p)) - p`, in closed form; its texture and its outline live on u. Frame 1 looks them
up at u(p), frame 2 at `A^-1(q)`: both frames are single resamplings of the texture, no flow is ever
inverted, and nothing is approximated.
"""

from collections.abc import Sequence

import numpy as np

from kcorr import schema
from kcorr.datasets._layers import Layer, random_blob, random_motion
from kcorr.datasets._textures import Texture, noise_texture
from kcorr.datasets.source import Source, checked_index


class Scenes(Source):
    """An endless-looking but finite sequence of generated pairs: a pure function of (seed, index).

    Args:
        textures: list of uint8 images [h, w, 3] that the layers are cut from; None or empty draws
            procedural noise textures.
        size: (height, width) of the frames.
        length: number of scenes.
        seed: 0 to 2^32 - 1; scenes of different seeds have nothing in common but the textures.
        max_motion: largest shift of a layer's centre, in pixels; magnitudes are log-uniform.
            Turning, stretching and bending come on top: some pixels at the frame's border.
        fast_share: share of shifts with a uniform magnitude instead, half of them above
            `max_motion / 2`: log-uniform ones are rarely that fast, too rarely to be learned.
        layers: (fewest, most) blobs in front of the background.
        photometric: strength of the brightness, contrast and noise differences between the frames;
            0 turns them off (frame 2 is then exactly a moved frame 1).
        noise_share: share of layers with a procedural texture although images are given.

    A record holds image1, image2 (uint8), flow, valid (all 1: flow is known everywhere, hidden
    pixels included) and occlusion (1 = covered by a nearer layer in frame 2, or out of its frame).

    Raises:
        ValueError: sizes or counts that make no scene.
    """

    def __init__(
        self,
        textures=None,
        size=(192, 256),
        length=1000,
        seed=0,
        max_motion=48.0,
        layers=(1, 8),
        photometric=1.0,
        noise_share=0.05,
        fast_share=0.0,
    ):
        if min(size) < 16:
            raise ValueError(f"scenes need a size of at least 16x16, got {size[0]}x{size[1]}")
        if length < 1 or layers[0] < 0 or layers[1] < layers[0] or max_motion <= 0:
            raise ValueError(
                f"scenes need length >= 1, 0 <= fewest <= most layers and max_motion > 0, got "
                f"length {length}, layers {layers}, max_motion {max_motion}"
            )
        if not 0 <= fast_share <= 1:
            raise ValueError(f"scenes need a fast_share within 0..1, got {fast_share}")
        if not 0 <= seed < 2**32:  # numpy would take larger ones, as two numbers: seed and index
            raise ValueError(f"scenes need a seed within 0..2^32 - 1, got {seed}")
        self.textures = [Texture(image) for image in textures or ()]
        self.size, self.length, self.seed = tuple(size), length, seed
        self.max_motion, self.layers = max_motion, layers
        self.photometric, self.noise_share = photometric, noise_share
        self.fast_share = fast_share
        self.names = _Names(seed, length)

    def _read(self, index):
        rng = np.random.default_rng([self.seed, index])
        layers = self._draw_layers(rng)
        first, owner, flow = self._render_first(layers)
        second = self._render_second(layers)
        hidden = self._hidden(layers, owner, flow)
        return {
            schema.IMAGE1: self._develop(first, rng, 0.0),
            schema.IMAGE2: self._develop(second, rng, self.photometric),
            schema.FLOW: flow,
            schema.VALID: np.ones((*self.size, 1), np.float32),
            schema.OCCLUSION: hidden[..., None].astype(np.float32),
        }

    def _draw_layers(self, rng):
        count = int(rng.integers(self.layers[0], self.layers[1] + 1))
        motions = random_motion(rng, count + 1, self.size, self.max_motion, self.fast_share)
        layers = []
        for depth, (matrix, shift, field) in enumerate(motions):
            blob = random_blob(rng, self.size) if depth else None
            layers.append(Layer(self._texture(rng), blob, matrix, shift, field, self.size, rng))
        return layers

    def _texture(self, rng):
        if not self.textures or rng.random() < self.noise_share:
            return Texture(noise_texture(rng))
        return self.textures[int(rng.integers(len(self.textures)))]

    def _render_first(self, layers):
        canvas, owner, flow = self._planes(3), self._planes(1, np.int32), self._planes(2)
        columns, rows = (axis.reshape(-1) for axis in _pixels(self._whole()))
        windows = [layer.window_first() for layer in layers]
        for depth, where, x, y, alpha in self._seen(layers, windows, Layer.deformed):
            _blend(canvas, where, layers[depth].colours(x, y), alpha)
            mine = alpha >= 0.5
            where = where[mine]
            moved_x, moved_y = layers[depth].move(x[mine], y[mine])
            owner[0, where] = depth
            flow[0, where] = moved_x - columns[where]
            flow[1, where] = moved_y - rows[where]
        return self._picture(canvas), owner.reshape(self.size), self._picture(flow)

    def _render_second(self, layers):
        canvas = self._planes(3)
        windows = [layer.window_second() for layer in layers]
        for depth, where, x, y, alpha in self._seen(layers, windows, _undone):
            _blend(canvas, where, layers[depth].colours(x, y), alpha)
        return self._picture(canvas)

    def _seen(self, layers, windows, positions):
        """What is seen of each layer, back to front: (depth, flat indices, x, y, alpha).

        Pixels under an opaque pixel of a nearer layer are left out, so that each pixel's texture is
        looked up hardly more than once.
        """
        indices = np.arange(self.size[0] * self.size[1]).reshape(self.size)
        covered = np.zeros(self.size, bool)
        parts = []
        for depth in reversed(range(len(layers))):
            if windows[depth] is None:
                continue
            x, y = positions(layers[depth], windows[depth])
            alpha = layers[depth].alpha(x, y)
            under = covered[windows[depth]]
            seen = (alpha > 0) & ~under
            parts.append((depth, indices[windows[depth]][seen], x[seen], y[seen], alpha[seen]))
            under |= alpha >= 1
        return parts[::-1]

    def _whole(self):
        return slice(0, self.size[0]), slice(0, self.size[1])

    def _planes(self, count, dtype=np.float32):
        # Planes of single numbers: numpy is slow where the last axis has two or three.
        return np.zeros((count, self.size[0] * self.size[1]), dtype)

    def _picture(self, planes):
        return np.ascontiguousarray(planes.T).reshape(*self.size, -1)

    def _hidden(self, layers, owner, flow):
        height, width = self.size
        columns, rows = _pixels(self._whole())
        x, y = columns + flow[..., 0], rows + flow[..., 1]
        hidden = (x < 0) | (x > width - 1) | (y < 0) | (y > height - 1)
        for depth, layer in enumerate(layers[1:], start=1):
            maybe = layer.near_second(x, y) & (owner < depth) & ~hidden
            if maybe.any():
                hidden[maybe] = layer.alpha(*layer.undo(x[maybe], y[maybe])) >= 0.5
        return hidden

    def _develop(self, image, rng, strength):
        """Float picture in 0..255 -> uint8, with a camera's small differences."""
        if strength > 0:
            gain = 1 + strength * rng.uniform(-0.12, 0.12) + strength * rng.normal(0, 0.02, 3)
            shift = 255 * strength * rng.uniform(-0.06, 0.06)
            image = image * gain.astype(np.float32) + np.float32(shift)
            sigma = np.float32(255 * strength * rng.choice([0, 0.005, 0.015]))
            if sigma:
                image = image + sigma * rng.standard_normal(image.shape, np.float32)
        return np.clip(image + 0.5, 0, 255).astype(np.uint8)


class _Names(Sequence):
    """Names made when asked for: a training set may have millions of scenes."""

    def __init__(self, seed, length):
        self.seed, self.length = seed, length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        return f"scene_{self.seed}_{checked_index(index, self.length, 'Scenes'):07d}"


def _blend(canvas, where, colours, alpha):
    """Lays colours [3, n] over the pixels `where` of `canvas` [3, h * w], in place."""
    for plane, colour in zip(canvas, colours, strict=True):
        under = plane[where]
        plane[where] = under + (colour - under) * alpha


def _undone(layer, window):
    """Positions on u of the pixels of frame 2."""
    return layer.undo(*_pixels(window))


def _pixels(window):
    rows, columns = window
    return np.meshgrid(
        np.arange(columns.start, columns.stop, dtype=np.float32),
        np.arange(rows.start, rows.stop, dtype=np.float32),
    )
