"""Sparse landmarks without labels: heat maps that move with the object and lie apart."""

from keras import ops

from kcorr import schema
from kcorr.losses import coordinate_alignment, pooled_diversity, probability_alignment
from kcorr.objectives.views import TwoViewObjective
from kcorr.ops import masked_mean, sample_points

ALIGNMENTS = ("probability", "coordinate")


class LandmarkObjective(TwoViewObjective):
    """Landmarks must follow a known warp, and no two may be the same.

    Batches: image1, image2, grid, and valid if `masked`.

    Args:
        network: returns `probabilities` [b, h, w, k] and `points`, as `kcorr.models.LandmarkNet`.
        alignment: "probability" (the paper's) or "coordinate": only mean points are compared, maps
            may stay broad.
        diversity: gamma, the weight of the overlap of both views' maps; number or schedule.
        window: cells along a side of the blocks in which maps overlap; not given in the paper, see
            `kcorr.losses.pooled_diversity`.
        decay: lambda, the weight of the sum of squares of all kernels.
        masked: see `TwoViewObjective`.
        lattice: see `kcorr.ops.lattice`.
        **kwargs: of `Objective`.

    Terms: `alignment` in squared cells, `diversity` (from 0 to 2 (k - 1)), and `decay`. Observed:
    `equivariance`, the mean distance in pixels between a landmark of image2 and the warped one of
    image1, over those that lie in both views; `equivariance_zero`, that of landmarks that stay
    where they are whatever the warp does.

    Raises:
        ValueError: an unknown `alignment`.

    Source: Thewlis et al., ICCV 2017; the defaults are the paper's but for `window`, which it does
    not give, and the mask, which it does not have.
    """

    observed_names = ("equivariance", "equivariance_zero")

    def __init__(
        self,
        network,
        alignment="probability",
        diversity=500.0,
        window=3,
        decay=5e-4,
        masked=True,
        lattice="centre",
        weights=None,
        **kwargs,
    ):
        if alignment not in ALIGNMENTS:
            raise ValueError(f"alignment must be one of {', '.join(ALIGNMENTS)}, got {alignment!r}")
        weights = {"diversity": diversity, "decay": decay, **(weights or {})}
        super().__init__(network, masked, weights=weights, **kwargs)
        self.alignment, self.window, self.lattice = alignment, window, lattice

    @property
    def term_names(self):
        """`alignment`, `diversity`, and `decay` if it weighs anything."""
        decayed = callable(self.term_weights["decay"]) or self.term_weights["decay"]
        return ("alignment", "diversity", "decay") if decayed else ("alignment", "diversity")

    def terms(self, batch, training):
        """{"alignment": [b], "diversity": [b]} and, if it weighs anything, {"decay": [b]}."""
        first, second = (output[schema.PROBABILITIES] for output in self.views(batch, training))
        grid = batch[schema.GRID]
        align = probability_alignment if self.alignment == "probability" else coordinate_alignment
        aligned = align(first, second, grid, self.mask(batch), lattice=self.lattice)
        overlap = sum(pooled_diversity(maps, self.window) for maps in (first, second))
        terms = {"alignment": aligned, "diversity": overlap}
        if "decay" in self.term_names:
            kernels = [w for w in self.network.trainable_variables if len(w.shape) == 4]
            total = sum(ops.sum(ops.square(ops.cast(kernel, "float32"))) for kernel in kernels)
            terms["decay"] = ops.zeros_like(aligned) + total
        return terms

    def observe(self, batch):
        """{"equivariance": [b] pixels, "equivariance_zero": [b]}."""
        first, second = (output[schema.POINTS] for output in self.views(batch, False))
        moved, seen = sample_points(batch[schema.GRID], first)
        if schema.VALID in batch:
            counts, _ = sample_points(batch[schema.VALID], first)
            seen *= ops.cast(counts > 0.999, seen.dtype)
        return {
            name: masked_mean(
                ops.sqrt(ops.sum(ops.square(moved - place), axis=-1, keepdims=True)), seen
            )
            for name, place in zip(self.observed_names, (second, first), strict=True)
        }
