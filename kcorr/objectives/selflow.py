"""SelFlow: the student learns, from a teacher on clean frames, what noise hides from it."""

from kcorr.objectives.distill_flow import ChallengedFlow


class HallucinatedFlow(ChallengedFlow):
    """`ChallengedFlow` as SelFlow has it: hallucinated occlusions, and a photometric term.

    The student sees crops, with superpixels of the target frame replaced by noise
    (`kcorr.pipelines.challenge(example, size)`). Where a pixel is hidden for the student and
    visible for the teacher, the teacher's flow is the target; visible pixels learn photometrically.
    With windows of five frames, which `SelFlowNet` is made for, four flows are distilled (1 to 2, 2
    to 1, 2 to 3, 3 to 2), with pairs two. They are summed; DDFlow's mean of two directions is
    `weights={"distillation": 0.5}`.

    Args:
        network: the student, usually with the teacher's weights to begin with.
        teachers, agreement: see `ChallengedFlow`; SelFlow has one teacher.
        photometric: "census", "brightness", or None for none.
        photometric_frames: "clean" compares frames without the noise, "seen" those with it. Which
            the authors compare is not known.
        **kwargs: of `ChallengedFlow`.

    Source: Liu et al., SelFlow, CVPR 2019, section 3.
    """

    def __init__(self, network, teachers=(), photometric="census", learn="hidden", **kwargs):
        super().__init__(network, teachers, learn, photometric, **kwargs)
