"""Deep matching as a network: two pictures in, quasi-dense matches out, trainable throughout."""

import keras
from keras import ops

from kcorr import schema
from kcorr.layers import HogDescriptor
from kcorr.models.descriptors import SmallDescriptor, VggDescriptor
from kcorr.ops._arguments import sizes
from kcorr.ops.deep_matching import (
    BORDERS,
    ROUNDINGS,
    aggregate_patches,
    decode_pyramid,
    disaggregate_patches,
    half_radius,
    levels_of,
    match_pyramid,
    pool_displacements,
    raised,
    unpool_displacements,
)
from kcorr.ops.reciprocal import best_displacements, best_of_targets, reciprocal
from kcorr.ops.restricted_correlation import restricted_correlation

# What is at hand by name; "hog" and "hog_gpu" have nothing that learns.
DESCRIPTORS = {
    "hog": lambda dtype: HogDescriptor("cpu", dtype=dtype),
    "hog_gpu": lambda dtype: HogDescriptor("gpu", dtype=dtype),
    "small": lambda dtype: SmallDescriptor(dtype=dtype),
    "vgg": lambda dtype: VggDescriptor(dtype=dtype),
}
VARIANTS = {
    "deep_matching": {"descriptor": "small"},
    "deep_matching_hog": {"descriptor": "hog"},
    "deep_matching_vgg": {"descriptor": "vgg"},
}
SMALLEST = 16  # pixels of a side: below them descriptors see nothing but borders
# Scores held at a time when matches are read off: 16 MiB of float32.
_HELD = 2**22
_FEWEST = 4  # rows of points in a strip: each has products and calls of its own
# Copies that are in memory at the worst moment, by what whole processes were measured to need
# (1024 x 436: HOG with radius 80 and 160 0.7 and 2.2 GB more than at their start, a CNN 2.2 GB):
# rather too few, as what works must not be refused.
_COPIES = {"descriptors": 2, "pooled": 7, "strip": 13}


@keras.saving.register_keras_serializable(package="kcorr")
class DeepMatching(keras.Model):
    """Matches of points 8 pixels apart, by scores of ever larger patches (the U of deep matching).

    Args:
        descriptor: "small" (a small CNN), "vgg" (random weights; see `VggDescriptor` for your own),
            "hog" and "hog_gpu" (the released programs' descriptors, at half the size), or a layer
            or network of your own: images [b, h, w, 3] to [b, h, w, c] or {"image"} to
            {"features"}, at full size, of length 1 and at least 0.
        radius: largest displacement in pixels, a multiple of the descriptor's step.
        spacing: pixels between points.
        levels: how often patches double: 6 as published.
        exponent: nu, to which scores are raised after each level; each level learns its own from
            there. 1.4 as published; 1.6 is a default of the C++ program.
        learned_exponents: whether they learn.
        level_zero: whether level 0 is raised, too, as the released programs have it and the paper's
            formula has not. None: for "hog" and "hog_gpu" only.
        cell: side in pixels of the cells of image 2 that may have one match each; 1 is the exact
            verification, 8 that of the released programs.
        rounding, border: see `kcorr.ops.deep_matching`.
        name, **kwargs: of `keras.Model`.

    Call: `net({"image1": [b, h, w, 3], "image2": [b, h, w, 3]}, training=False)`, RGB in [0, 1],
        any size from 16 x 16, and from one point (`smallest`). Returns a dict, float32,
        n = (h // spacing) (w // spacing):
        points1: [b, n, 2], (x, y) in pixels of image1.
        points2: [b, n, 2], (x, y) in pixels of image2: the best one of each, good or bad.
        confidence: [b, n, 1], its sum of scores over the levels, at most levels + 1.
        reciprocal: [b, n, 1], 1 = a match: in the picture, the best one of its target, too, and
            better than all other displacements (on a blank picture nothing is).
        With `training=True` only
        scores: [b, 2R + 1, 2R + 1, h // spacing, w // spacing], decoded, see
        `kcorr.ops.deep_matching`: -inf for most.

    Memory: with sizes known, level 0, by far the largest, is computed in strips of points, twice;
    what is held is about a quarter of it (its pooled scores); `bytes_needed` says how much that
    makes. In a graph of unknown sizes, and in training, it is held whole, two to three times over.

    Raises:
        ValueError: arguments that do not fit, or images that are too small.

    Source: Thewlis et al., Fully-Trainable Deep Matching, BMVC 2016.
    """

    gives = "matches"

    def __init__(
        self,
        descriptor="small",
        radius=80,
        spacing=8,
        levels=6,
        exponent=1.4,
        learned_exponents=True,
        level_zero=None,
        cell=8,
        rounding="ceil",
        border="full",
        name="deep_matching",
        **kwargs,
    ):
        super().__init__(name=name, autocast=False, **kwargs)
        if isinstance(descriptor, dict):
            descriptor = keras.saving.deserialize_keras_object(descriptor)
        if isinstance(descriptor, str) and descriptor not in DESCRIPTORS:
            raise ValueError(
                f"descriptor must be one of {', '.join(DESCRIPTORS)}, or a layer, got "
                f"{descriptor!r}"
            )
        self._options = {
            "radius": radius, "spacing": spacing, "levels": levels, "exponent": exponent,
            "learned_exponents": learned_exponents, "level_zero": level_zero, "cell": cell,
            "rounding": rounding, "border": border,
        }  # fmt: skip
        self._named = descriptor if isinstance(descriptor, str) else None
        self.descriptor = DESCRIPTORS[descriptor](self.dtype_policy) if self._named else descriptor
        self.step = getattr(self.descriptor, "step", 1)
        self._check(radius, spacing, levels, cell, rounding, border)
        hog = isinstance(self.descriptor, HogDescriptor)
        self.level_zero = hog if level_zero is None else level_zero
        self.radius, self.spacing = radius // self.step, spacing // self.step
        self.cell = max(1, cell // self.step)
        self.smallest = max(SMALLEST, spacing)
        # A HOG descriptor is that of the corner before its cell: half a pixel off.
        self.origin = -0.5 if hog else 0.0
        self.levels = levels_of(self.radius, levels, rounding)
        self.rounding, self.border = rounding, border
        self.exponents = self.add_weight(
            shape=(self.levels + self.level_zero,),
            initializer=keras.initializers.Constant(exponent),
            trainable=learned_exponents,
            dtype="float32",
            autocast=False,
            name="exponents",
        )

    def _check(self, radius, spacing, levels, cell, rounding, border):
        if rounding not in ROUNDINGS or border not in BORDERS:
            raise ValueError(
                f"rounding must be one of {', '.join(ROUNDINGS)} and border one of "
                f"{', '.join(BORDERS)}, got {rounding!r} and {border!r}"
            )
        if levels < 1 or radius < self.step or spacing < 2 * self.step or cell < 1:
            raise ValueError(
                f"need levels and cell from 1, radius from {self.step} and spacing from "
                f"{2 * self.step}, got {levels}, {cell}, {radius} and {spacing}"
            )
        if radius % self.step or spacing % (2 * self.step):
            raise ValueError(
                f"radius must be a multiple of {self.step} and spacing of {2 * self.step}, got "
                f"{radius} and {spacing}"
            )
        if not levels_of(radius // self.step, levels, rounding):
            raise ValueError(
                f"radius must be from {2 * self.step} with rounding {rounding!r}, got {radius}: "
                "half of it is 0, and no level would lie above level 0"
            )

    def build(self, input_shape=None):
        """Creates all weights; they do not depend on the input's size."""
        if not self.descriptor.built:
            if isinstance(self.descriptor, keras.Model):
                self.descriptor.build()
            else:
                self.descriptor.build((None, None, None, 3))
        self.built = True

    def call(self, inputs, training=False):
        points, second = self._described(inputs)
        if training:
            scores = self._decoded(self._level_zero(points, second), self._exponents())
            return {schema.SCORES: scores}
        return self._matches(points, second, ops.shape(inputs[schema.IMAGE2])[1:3])

    def points(self, rows, columns):
        """(x, y) in pixels of the points of pictures with so many: [rows, columns, 2]."""
        first = self.spacing // 2
        x, y = (
            (ops.cast(ops.arange(count), "float32") * self.spacing + first) * self.step
            + self.origin
            for count in (columns, rows)
        )
        return ops.stack(ops.meshgrid(x, y), axis=-1)

    def bytes_needed(self, size):
        """About how much memory a pair of pictures of this (height, width) needs, a little less.

        Of a call with known sizes and without training, on top of what the process has; of float32.
        """
        height, width = size
        pixels = self.spacing * self.step
        rows, columns = height // pixels, width // pixels
        strip = self._strips(1, rows, columns)[0][1] or rows
        sides = (2 * self.radius + 1, 2 * half_radius(self.radius, self.rounding) + 1)
        small = ops.zeros((1, self.smallest, self.smallest, 3))
        counts = {
            "descriptors": height * width // self.step**2 * self._features(small).shape[-1],
            "pooled": rows * columns * sides[1] ** 2,
            "strip": strip * columns * sides[0] ** 2,
        }
        return 4 * sum(_COPIES[what] * count for what, count in counts.items())

    def _described(self, inputs):
        """The points' descriptors [b, i, j, c] of image1, and all of image2 [b, h, w, c]."""
        images = [ops.convert_to_tensor(inputs[key]) for key in (schema.IMAGE1, schema.IMAGE2)]
        for image in images:
            small = any(n is not None and n < self.smallest for n in image.shape[1:3])
            if len(image.shape) != 4 or small:
                raise ValueError(
                    f"expected images [b, h, w, 3] of at least {self.smallest}x{self.smallest}, "
                    f"got {tuple(image.shape)}"
                )
        first, second = (self._features(image) for image in images)
        _, height, width, _ = sizes(images[0])
        pixels, start = self.spacing * self.step, self.spacing // 2
        rows, columns = height // pixels, width // pixels
        points = first[
            :,
            start : start + (rows - 1) * self.spacing + 1 : self.spacing,
            start : start + (columns - 1) * self.spacing + 1 : self.spacing,
        ]
        return points, second

    def _features(self, image):
        if isinstance(self.descriptor, keras.Model):
            return self.descriptor({"image": image})["features"]
        return self.descriptor(image)

    def _exponents(self):
        first = int(self.level_zero)
        return [self.exponents[level] for level in range(first, first + self.levels)]

    def _level_zero(self, points, second, row=0):
        """Scores of points of which the first row is `row`."""
        start = self.spacing // 2
        offset = (start, start + row * self.spacing)
        scores = restricted_correlation(points, second, self.radius, self.spacing, offset)
        return raised(scores, self.exponents[0]) if self.level_zero else scores

    def _decoded(self, scores, exponents, level=0):
        """Up from the scores of a level, and down to it again."""
        options = {"rounding": self.rounding, "border": self.border, "level": level}
        return decode_pyramid(*match_pyramid(scores, exponents, **options), **options)

    def _matches(self, points, second, size):
        """The best match of each point; level 0 in strips if it is large."""
        batch, rows, columns, _ = sizes(points)
        strips = self._strips(batch, rows, columns)
        whole = len(strips) == 1
        held, pooled, switches = None, [], []
        for first, last in strips:
            scores = self._level_zero(points[:, first:last], second, first)
            best, switch = pool_displacements(scores, self.rounding)
            pooled, switches = [*pooled, best], [*switches, switch]
            held = scores if whole else None
        exponents = self._exponents()
        pooled = pooled[0] if whole else ops.concatenate(pooled, axis=3)
        above = aggregate_patches(pooled, 0, exponents[0], self.border)
        best = self._decoded(above, exponents[1:], level=1)
        best = disaggregate_patches(best, 0, self.border)
        found, targets = [], None
        for (first, last), switch in zip(strips, switches, strict=True):
            scores = held
            if not whole:
                scores = self._level_zero(points[:, first:last], second, first)
            scores = scores + unpool_displacements(
                best[:, :, :, first:last], switch, self.radius, self.rounding
            )
            found.append(best_displacements(scores))
            part = best_of_targets(scores, self.spacing)
            targets = part if whole else self._placed(targets, part, first, rows)
        found = [x[0] if whole else ops.concatenate(x, axis=1) for x in zip(*found, strict=True)]
        return self._answer(*found, targets, size)

    def _strips(self, batch, rows, columns):
        """[(first, last)] rows of points at a time; (0, None) for all."""
        if not all(isinstance(n, int) for n in (batch, rows, columns)):
            return [(0, None)]
        each = max(_FEWEST, _HELD // (batch * columns * (2 * self.radius + 1) ** 2))
        if each >= rows:
            return [(0, None)]
        return [(first, min(first + each, rows)) for first in range(0, rows, each)]

    def _placed(self, targets, part, first, rows):
        """The best scores of targets so far, with those of a strip."""
        before = first * self.spacing
        high = (rows - 1) * self.spacing + 2 * self.radius + 1
        padding = [[0, 0], [before, high - before - part.shape[1]], [0, 0]]
        part = ops.pad(part, padding, constant_values=-float("inf"))
        return part if targets is None else ops.maximum(targets, part)

    def _answer(self, displacement, score, alone, targets, size):
        batch, rows, columns, _ = sizes(score)
        first = self.spacing // 2 - self.radius
        kept = reciprocal(
            displacement, score, targets, self.radius, self.spacing, self.cell, (first, first)
        )
        points = self.points(rows, columns)[None]
        found = points + ops.cast(displacement * self.step, "float32")
        limit = ops.cast(ops.stack([size[1], size[0]]), "float32") - 0.5
        inside = ops.all((found >= -0.5) & (found <= limit), axis=-1, keepdims=True)
        kept = kept * alone * ops.cast(inside, "float32")
        points = points + ops.zeros_like(found)
        answer = {
            schema.POINTS1: points,
            schema.POINTS2: found,
            schema.CONFIDENCE: score,
            schema.RECIPROCAL: kept,
        }
        count = rows * columns
        return {
            key: ops.reshape(value, [batch, count, value.shape[-1]])
            for key, value in answer.items()
        }

    @property
    def config(self):
        """The arguments that make such a network, without name and dtype."""
        descriptor = self._named or keras.saving.serialize_keras_object(self.descriptor)
        return {"descriptor": descriptor, **self._options}

    def get_config(self):
        return {**super().get_config(), **self.config}
