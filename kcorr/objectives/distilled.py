"""DDFlow's data distillation: a frozen teacher sees the frames, the student only crops of them."""

from keras import ops

from kcorr import schema
from kcorr.losses import distillation, distillation_mask
from kcorr.objectives.directions import PAIR
from kcorr.objectives.flow import UnsupervisedFlow
from kcorr.objectives.teachers import Teachers
from kcorr.ops._backend import take_rows


class DistilledFlow(UnsupervisedFlow):
    """The student learns hidden pixels from a teacher to whom they are visible.

    The teacher sees whole frames. The student sees a crop, in which more pixels are hidden because
    they leave it. Where a pixel is hidden for the student and visible for the teacher
    (M = clip(occ_student - occ_teacher, 0, 1), recomputed every step), the teacher's flow is the
    target; visible pixels learn photometrically as before.

    Args:
        network: the student.
        crop: (height, width) of the student's crop, smaller than the frames.
        teacher: a network of any kind with the same call, frozen here; None if the batches hold
            the teacher's results (`teacher_flow`, `teacher_flow_backward`, `teacher_occlusion`,
            `teacher_occlusion_backward`), computed before.
        **kwargs: of `UnsupervisedFlow`; the weight of the new term is `weights["distillation"]`,
            default 1.

    Batches: image1, image2 [b, h, w, 3], between which both flows are learned, for networks of
    three frames also image0 and image3, the frames before and behind; and `crop` [b, 2], (x, y) of
    the crops' top left corners in pixels (`kcorr.pipelines.with_crop_offset`).
    Terms: `photometric`, `distillation` (mean of both directions), `smoothness`. With `gamma` the
    distillation, too, is of each iteration's flow. Watched: `hidden`, for the student.

    Raises:
        ValueError: the teacher is the student itself; a batch is smaller than the crop, or lacks
            `crop` or the teacher's results.

    Source: Liu et al., DDFlow, AAAI 2019, section 3.3, and its released code (term 6 of which
    averages the directions).
    """

    def __init__(self, network, crop, teacher=None, **kwargs):
        super().__init__(network, **kwargs)
        if teacher is network:
            raise ValueError("the teacher must be another network than the student: it is frozen")
        self.crop, self.teacher = tuple(crop), teacher
        self.teachers = Teachers([] if teacher is None else [teacher], self.border)

    @property
    def term_names(self):
        """Those of `UnsupervisedFlow` and `distillation`."""
        return (*super().term_names, "distillation")

    def build(self, input_shape=None):
        """Builds the teacher, too."""
        self.teachers.build()
        super().build(input_shape)

    def terms(self, batch, training):
        """The terms and the watched value of the class's docstring, each [b]."""
        patches, target, target_hidden = self.cut(batch)
        ways = self.ways(patches, training)
        mask = distillation_mask(ways.hidden, target_hidden)
        losses = self.over_iterations(ways, lambda flow: distillation(flow, target, mask))
        terms = {**self.photometric_terms(ways), "distillation": 0.5 * losses}
        return {**terms, "hidden": ways.hidden_share}

    def cut(self, batch):
        """Patches of the frames, and of the teacher's flow [2b, ...] and occlusion [2b, ...]."""
        if "crop" not in batch:
            raise ValueError("the batch lacks 'crop', the (x, y) of each student's crop")
        size = tuple(batch[schema.IMAGE1].shape[1:3])
        if None not in size and (size[0] < self.crop[0] or size[1] < self.crop[1]):
            raise ValueError(f"frames of size {size} are smaller than the crop {self.crop}")
        flow, hidden = self.teach(batch)
        # With their neighbours, where a batch has them: a network of three frames looks at these.
        keys = [key for key in schema.IMAGES[:4] if key in batch]
        maps = [given[way] for given in (flow, hidden) for way in PAIR]
        maps += [batch[key] for key in keys]
        cut = crop_at(ops.concatenate(maps, axis=-1), batch["crop"], self.crop)
        patches = dict(zip(keys, ops.split(cut[..., 6:], len(keys), axis=-1), strict=True))
        flow = ops.concatenate([cut[..., :2], cut[..., 2:4]], axis=0)
        return patches, flow, ops.concatenate([cut[..., 4:5], cut[..., 5:6]], axis=0)

    def teach(self, batch):
        """The teacher's flow and occlusion of whole frames, {direction: [b, ...]} each."""
        return self.teachers(batch)


def crop_at(maps, corner, size):
    """Cuts a window out of each example.

    Args:
        maps: [b, h, w, c].
        corner: [b, 2], (x, y) of the top left pixel of each window, integer valued.
        size: (height, width) of the windows.

    Returns:
        [b, height, width, c]. A corner that would leave the frame is moved inside.
    """
    batch, full_height, full_width = ops.shape(maps)[:3]
    height, width = size
    corner = ops.cast(corner, "int32")
    left = ops.clip(corner[:, 0], 0, full_width - width)
    top = ops.clip(corner[:, 1], 0, full_height - height)
    rows = ops.reshape(top, [-1, 1, 1]) + ops.reshape(ops.arange(height), [1, -1, 1])
    columns = ops.reshape(left, [-1, 1, 1]) + ops.reshape(ops.arange(width), [1, 1, -1])
    rows = rows + ops.reshape(ops.arange(batch), [-1, 1, 1]) * full_height
    flat = ops.reshape(maps, [batch * full_height * full_width, maps.shape[-1]])
    return take_rows(flat, rows * full_width + columns)
