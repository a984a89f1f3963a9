"""Flow2Stereo: one network learns flow and stereo from unlabelled stereo video."""

from keras import ops

from kcorr import schema
from kcorr.losses import quadrilateral, triangle
from kcorr.objectives.directions import STEREO, directions_of
from kcorr.objectives.distill_flow import ChallengedFlow
from kcorr.objectives.flow import UnsupervisedFlow
from kcorr.objectives.schedules import piecewise


class Flow2Stereo(UnsupervisedFlow):
    """Stage 1: photometric in twelve directions, with the geometry of two cameras at two times.

        L = L_p + lambda1 L_q + lambda2 L_t

    Four pictures make twelve ordered pairs: stereo 1 - 2 and 3 - 4, over time 1 - 3 and 2 - 4, and
    across 1 - 4 and 2 - 3. Stereo is flow, of which only the horizontal part is used.

    Args:
        network: of two frames; what it finds from image1 to image2 is the disparity's negative.
        lambda1: weight of the quadrilateral constraint.
        lambda2: weight of the triangle constraint. Both defaults are the paper's as remembered, and
            not confirmed.
        warmup: steps before the constraints count, in which occlusion masks become meaningful; how
            long the authors wait is not known.
        **kwargs: of `UnsupervisedFlow`; for new data, train first with `photometric="brightness"`
            and `occlusion=False` (and lambdas of 0), as DDFlow does.

    Batches: image1 (left, t), image2 (right, t), image3 (left, t + 1), image4 (right, t + 1),
    rectified, and no image0. Terms: `photometric`, summed over the twelve directions,
    `quadrilateral`, `triangle` (both of a recurrent network's last flows), and `smoothness` if it
    weighs anything. Watched: `hidden`, over the twelve directions.

    Raises:
        ValueError: a batch without the four images, or a network of three frames.

    Source: Liu et al., Flow2Stereo, CVPR 2020.
    """

    def __init__(self, network, lambda1=0.1, lambda2=0.2, warmup=0, weights=None, **kwargs):
        constraints = {
            name: piecewise([warmup], [0.0, weight]) if warmup else weight
            for name, weight in (("quadrilateral", lambda1), ("triangle", lambda2))
        }
        super().__init__(network, weights={**constraints, **(weights or {})}, **kwargs)

    @property
    def term_names(self):
        """Those of `UnsupervisedFlow` and the two constraints."""
        return (*super().term_names, "quadrilateral", "triangle")

    def terms(self, batch, training):
        """The terms and the watched value of the class's docstring, each [b]."""
        _check(batch)
        ways = self.ways(batch, training)
        flows, hidden = (
            dict(zip(ways.names, ops.split(maps, ways.count, axis=0), strict=True))
            for maps in (ways.flow, ways.hidden)
        )
        around, across = ((1, 2), (1, 3), (2, 4), (3, 4)), ((1, 2), (1, 4), (2, 4))
        return {
            **self.photometric_terms(ways),
            "quadrilateral": quadrilateral(*_each(flows, around), *_each(hidden, around)),
            "triangle": triangle(*_each(flows, across), *_each(hidden, across)),
            "hidden": ways.hidden_share,
        }


class DistilledStereo(ChallengedFlow):
    """Stage 2: the student solves harder tasks to which the teacher knows the answers.

    The student sees crops of the four pictures, made smaller, with noise
    (`kcorr.pipelines.proxy_task`); wherever the teacher's pixel is visible, its flow is the target,
    moved exactly onto what the student sees (made smaller as the pictures are). Confident
    predictions teach less confident ones, also where both see the pixel. Pixels that are noise for
    the student are not asked for.

    Args:
        network: the student, usually with the teacher's weights to begin with.
        teachers: the network of stage 1, or several; see `ChallengedFlow`.
        **kwargs: of `ChallengedFlow`. The photometric and geometric terms are dropped; whether the
            authors keep them is not known (`photometric="census"` keeps the former).

    Batches: image1 to image4 and what `kcorr.pipelines.proxy_task` makes of them. Term:
    `distillation`, summed over the twelve directions. Watched: `hidden` and `taught`.

    Source: Liu et al., Flow2Stereo, CVPR 2020 (section 4, self-supervision by proxy tasks).
    """

    def terms(self, batch, training):
        """The terms that are wanted and the watched values, each [b]."""
        _check(batch)
        return super().terms(batch, training)

    def teach(self, batch, ways):
        """The teachers' flow and where it is known and no noise, [12 b, h, w, c] each."""
        target, known = super().teach(batch, ways)
        noise = [schema.student_noise(schema.IMAGES[i]) for i, _ in ways.names]
        if noise[0] in batch:
            known = known * (1.0 - ops.concatenate([batch[key] for key in noise], axis=0))
        return target, known


def _check(batch):
    if directions_of(batch) != STEREO:
        raise ValueError(
            f"expected image1 to image4 (left, right, and both a frame later) and no image0, got "
            f"{', '.join(key for key in schema.IMAGES if key in batch) or 'none'}"
        )


def _each(maps, directions):
    return [maps[direction] for direction in directions]
