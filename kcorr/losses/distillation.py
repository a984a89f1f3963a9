"""What the teacher saw and the student cannot: DDFlow's self-supervision of hidden pixels."""

from keras import ops

from kcorr.losses._arguments import floats, mask_like, pair
from kcorr.losses.robust import robust_mean


def distillation(student_flow, teacher_flow, mask=None):
    """Robust difference of the student's flow from the teacher's, which is taken as data.

    Args:
        student_flow: [b, h, w, 2] pixels.
        teacher_flow: [b, h, w, 2] pixels, on the student's grid; it receives no gradient.
        mask: [b, h, w, 1], 1 = counts, normally `distillation_mask`; None counts everything.

    Returns:
        [b], with the scale of `robust_mean`; 0 where nothing counts. (The released code averages
        the forward and the backward term.)

    Raises:
        ValueError: shapes do not fit.

    Source: Liu et al., DDFlow, AAAI 2019 (L_o).
    """
    student_flow, teacher_flow = pair(student_flow=student_flow, teacher_flow=teacher_flow)
    return robust_mean(ops.stop_gradient(teacher_flow) - student_flow, mask)


def distillation_mask(student_occlusion, teacher_occlusion):
    """Hidden for the student, visible for the teacher: `clip(student - teacher, 0, 1)`.

    Args:
        student_occlusion: [b, h, w, 1], 1 = hidden in the other frame of the student's patches.
        teacher_occlusion: [b, h, w, 1], the teacher's occlusion cropped to the same patch.

    Returns:
        [b, h, w, 1], 1 = the teacher's flow supervises the student here. No gradient.

    Raises:
        ValueError: shapes do not fit.

    Source: Liu et al., DDFlow, AAAI 2019 (M_f, M_b).
    """
    (student,) = floats(student_occlusion=student_occlusion)
    student = mask_like(student, student)
    return ops.clip(student - mask_like(teacher_occlusion, student), 0.0, 1.0)
