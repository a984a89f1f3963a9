"""DistillFlow: a student under challenging transformations learns from teachers who had none."""

from dataclasses import replace

from keras import ops

from kcorr import schema
from kcorr.losses import distillation
from kcorr.objectives.directions import mean_share, stacked
from kcorr.objectives.flow import UnsupervisedFlow
from kcorr.objectives.teachers import Teachers
from kcorr.ops import backward_warp, transform_flow, transform_image

LEARN = ("visible", "hidden")
SEEN = ("clean", "seen")


class ChallengedFlow(UnsupervisedFlow):
    """The student reproduces, in a harder view, what teachers found in the plain frames.

    The teachers see whole, unchanged frames; the student sees each frame cropped, turned, in other
    colours or with noise in it (`kcorr.pipelines.challenge`). The teachers' flow and confidence are
    moved exactly onto the student's views. With one teacher this is data distillation; with
    several, whose flows are fused, model distillation.

    Args:
        network: the student, of two frames or of three.
        teachers: a network or a list of networks of any kinds, which are frozen; none if the
            batches hold a teacher's results (see `Teachers`).
        learn: where the teachers are believed: "visible", wherever the forward-backward check of
            their (fused) flows says visible, or "hidden", only where besides the student's own
            check says hidden (DDFlow, SelFlow).
        photometric: "census" or "brightness" of the student's views; None, as the paper's students
            learn from teachers alone.
        photometric_frames: which views that term compares: "clean" (as the student's, but without
            noise and recolouring) or "seen". Where either of the seen pixels is noise, these do not
            count.
        agreement: pixels; of several teachers, see `Teachers`.
        **kwargs: of `UnsupervisedFlow`.

    Batches: what `kcorr.pipelines.challenge` makes of image1 and image2, or of image0 to image4.
    Terms, summed over directions: `distillation`, `photometric`, `smoothness`. With `gamma` the
    distillation, too, is of each iteration's flow. Watched: `hidden`, the share of pixels that the
    check of the student's own flows hides, and `taught`, the share on which the distillation
    counts: near 0 it is small because the teachers hardly say anything.

    Raises:
        ValueError: a teacher is the student itself; an unknown choice; a batch without
            `student_image1` and so on, or without the teacher's results.

    Source: Liu et al., DistillFlow, TPAMI 2021. Its hyper-parameters, the number of teachers and
    the fusion rule are not known to us; which pixels count is ARFlow's choice (Liu et al., CVPR
    2020), which mirrors it.
    """

    watched_names = ("hidden", "taught")

    def __init__(
        self,
        network,
        teachers=(),
        learn="visible",
        photometric=None,
        photometric_frames="clean",
        agreement=None,
        **kwargs,
    ):
        super().__init__(network, photometric or "census", **kwargs)
        self.photometric = photometric
        for name, value, known in (
            ("learn", learn, LEARN),
            ("photometric_frames", photometric_frames, SEEN),
        ):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
        teachers = list(teachers) if isinstance(teachers, (list, tuple)) else [teachers]
        if any(teacher is network for teacher in teachers):
            raise ValueError("a teacher must be another network than the student: it is frozen")
        self.learn, self.photometric_frames = learn, photometric_frames
        self.teachers = Teachers(teachers, self.border, agreement)

    @property
    def term_names(self):
        """Those of `UnsupervisedFlow` that are wanted, and `distillation`."""
        wanted = [name for name in super().term_names if name != "photometric" or self.photometric]
        return (*wanted, "distillation")

    def build(self, input_shape=None):
        """Builds the teachers, too."""
        self.teachers.build()
        super().build(input_shape)

    def terms(self, batch, training):
        """The terms and watched values of the class's docstring, each [b]."""
        images = [key for key in schema.IMAGES if key in batch]
        missing = [schema.student(key) for key in images if schema.student(key) not in batch]
        if missing:
            raise ValueError(f"the batch lacks {', '.join(missing)}: see kcorr.pipelines.challenge")
        views = {key: batch[schema.student(key)] for key in images}
        ways = self.ways(views, training)
        target, known = self.teach(batch, ways)
        mask = known * ways.hidden if self.learn == "hidden" else known
        losses = {
            "distillation": self.over_iterations(ways, lambda f: distillation(f, target, mask)),
            "hidden": ways.hidden_share,
            "taught": mean_share(mask, ways.count),
        }
        if self.photometric or self.smoothness:
            losses |= self.photometric_terms(self.compared(batch, ways))
        return losses

    def teach(self, batch, ways):
        """The teachers' flow on the student's views and where it is known, [n b, ...] each."""
        flows, hidden = self.teachers(batch)
        if not flows.keys() >= set(ways.names):
            raise ValueError(
                "a teacher's results in the batch are of image1 and image2 only: expected a "
                "teacher's network for batches of more images"
            )
        size = ops.shape(ways.flow)[1:3]
        moved = {
            (i, j): transform_flow(flows[i, j], _affine(batch, i), _affine(batch, j), size, valid)
            for (i, j), valid in ((way, 1.0 - hidden[way]) for way in ways.names)
        }
        target = stacked({way: flow for way, (flow, _) in moved.items()}, ways.names)
        known = stacked({way: valid for way, (_, valid) in moved.items()}, ways.names)
        return ops.stop_gradient(target), ops.stop_gradient(known)

    def compared(self, batch, ways):
        """`Directions` of the frames that the photometric term compares."""
        size = ops.shape(ways.flow)[1:3]
        views, unusable = {}, {}
        for i in sorted({i for i, _ in ways.names}):
            image = batch[schema.IMAGES[i]]
            views[i], inside = transform_image(image, _affine(batch, i), size)
            unusable[i] = 1.0 - inside
        if self.photometric_frames == "seen":
            views = {i: batch[schema.student(schema.IMAGES[i])] for i in views}
            for i, noise in _noise(batch).items():
                unusable[i] = ops.maximum(unusable[i], noise)
        first = stacked({(i, j): views[i] for i, j in ways.names}, ways.names)
        second = stacked({(i, j): views[j] for i, j in ways.names}, ways.names)
        here = stacked({(i, j): unusable[i] for i, j in ways.names}, ways.names)
        there = stacked({(i, j): unusable[j] for i, j in ways.names}, ways.names)
        there, _ = backward_warp(there, ops.stop_gradient(ways.flow))
        nothing = ops.maximum(here, ops.cast(there > 0, here.dtype))
        return replace(ways, first=first, second=second, unusable=nothing)


def _noise(batch):
    """{i: [b, h, w, 1], 1 = noise in the student's view of image i}, of images that have some."""
    keys = {i: schema.student_noise(key) for i, key in enumerate(schema.IMAGES)}
    found = {i: batch[key] for i, key in keys.items() if key in batch}
    return found | ({2: batch[schema.HALLUCINATED]} if schema.HALLUCINATED in batch else {})


def _affine(batch, i):
    return batch[schema.student_affine(schema.IMAGES[i])]
