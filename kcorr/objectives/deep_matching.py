"""Deep matching learns from known flow: descriptors and exponents, through all of its levels."""

from keras import ops

from kcorr import schema
from kcorr.losses import endpoint_error, structured_hinge
from kcorr.objectives.objective import Objective
from kcorr.ops import masked_mean, sample_points

# Of the evaluation: distances in pixels up to which a match is right.
THRESHOLDS = (2, 5, 10)


class DeepMatchingObjective(Objective):
    """The structured hinge on the decoded scores of points whose flow is known.

    Batches: image1, image2, flow, valid, and occlusion if hidden points shall not count (a hidden
    point has no match). Points whose flow is larger than the radius, or that leave the picture, do
    not count either.

    Args:
        network: a `kcorr.models.DeepMatching`.
        sigma: of the margin in pixels; not given in the paper, see `structured_hinge`.
        decay: lambda, the weight of half the sum of squares of the descriptor's weights that learn
            (not of the exponents, which it would pull towards 0); number or schedule. The paper
            has one and does not give it.
        **kwargs: of `Objective`.

    Terms: `hinge` and, if it weighs anything, `decay`. Observed, over all points whose flow is
    known and not hidden: `epe`, the mean error of the best displacement in pixels, `epe_zero` that
    of none at all, and `right_2`, `right_5` and `right_10`, the shares of points that err by at
    most so many pixels.

    Source: Thewlis et al., BMVC 2016, section 4.
    """

    observed_names = ("epe", "epe_zero", *(f"right_{pixels}" for pixels in THRESHOLDS))

    def __init__(self, network, sigma=3.0, decay=0.0, weights=None, **kwargs):
        super().__init__(network, weights={"decay": decay, **(weights or {})}, **kwargs)
        self.sigma = sigma

    @property
    def term_names(self):
        """`hinge`, and `decay` if it weighs anything."""
        decayed = callable(self.term_weights["decay"]) or self.term_weights["decay"]
        return ("hinge", "decay") if decayed else ("hinge",)

    def terms(self, batch, training):
        """{"hinge": [b]} and, if it weighs anything, {"decay": [b]}."""
        scores = self.network(batch, training=True)[schema.SCORES]
        rows, columns = ops.shape(scores)[3:]
        flow, counts = self.at_points(batch, rows, columns)
        step = float(self.network.step)
        terms = {"hinge": structured_hinge(scores, flow / step, counts, self.sigma / step)}
        if "decay" in self.term_names:
            learned = self.network.descriptor.trainable_variables
            total = sum(ops.sum(ops.square(ops.cast(weight, "float32"))) for weight in learned)
            terms["decay"] = ops.zeros_like(terms["hinge"]) + 0.5 * total
        return terms

    def observe(self, batch):
        """Means over the points of each example."""
        if schema.FLOW not in batch:
            return {}
        output = self.network(batch, training=False)
        height, width = ops.shape(batch[schema.IMAGE1])[1:3]
        pixels = self.network.spacing * self.network.step
        flow, counts = self.at_points(batch, height // pixels, width // pixels)
        found = output[schema.POINTS2] - output[schema.POINTS1]
        found = ops.reshape(found, ops.shape(flow))
        error = ops.sqrt(ops.sum(ops.square(found - flow), axis=-1, keepdims=True))
        right = {
            f"right_{t}": masked_mean(ops.cast(error <= t, "float32"), counts) for t in THRESHOLDS
        }
        zero = endpoint_error(ops.zeros_like(flow), flow, counts)
        return {"epe": endpoint_error(found, flow, counts), "epe_zero": zero, **right}

    def at_points(self, batch, rows, columns):
        """Flow [b, i, j, 2] of the pixels next to the points, and what counts [b, i, j, 1]."""
        flow, valid = batch[schema.FLOW], batch[schema.VALID]
        if schema.OCCLUSION in batch:
            valid = valid * (1.0 - batch[schema.OCCLUSION])
        size = ops.shape(flow)[0]
        # The next whole pixel: between two motions there is none to interpolate.
        points = ops.round(self.network.points(rows, columns))
        points = ops.broadcast_to(
            ops.reshape(points, [1, rows * columns, 2]), [size, rows * columns, 2]
        )
        both, _ = sample_points(ops.concatenate([flow * valid, valid], axis=-1), points)
        last = ops.cast(ops.stack([ops.shape(valid)[2] - 1, ops.shape(valid)[1] - 1]), points.dtype)
        target = points + both[..., :2]
        inside = ops.all((target >= 0) & (target <= last), axis=-1, keepdims=True)
        counts = both[..., 2:] * ops.cast(inside, both.dtype)
        return (
            ops.reshape(both[..., :2], [size, rows, columns, 2]),
            ops.reshape(counts, [size, rows, columns, 1]),
        )
