"""SelFlow (Liu et al., CVPR 2019): a student learns what noise in the next frame hides from it.

    python -m recipes.flow_selflow --data_dir=my/video.mp4 --workdir=runs/selflow
    python -m recipes.flow_selflow --network=pwcnet_small --frames=2 --data_dir=my/frames \
        --workdir=runs/selflow_pwc
    python -m recipes.flow_selflow --stage=student --data_dir=my/video.mp4 \
        --teacher=runs/selflow/teacher/network.keras --workdir=runs/another_student
    python -m recipes.flow_selflow --smoke --workdir=/tmp/selflow                # seconds

The teacher learns from nothing in two stages (brightness, then census where nothing is hidden). The
student starts from it, sees crops (--crop) in which superpixels of the target frame are noise, and
learns the teacher's flow where only the teacher sees. The network of three frames learns from
windows of five, four flows at once; any other network and --frames=2 learn two flows.

The authors train 200k, 500k and 500k steps (from memory) with batch 4; how many superpixels they
ask for and fill is not known: the defaults are ARFlow's.
"""

from absl import flags

from recipes import common, flow_unsupervised, frames, students

FLAGS = flags.FLAGS
students.define_stage_flags()
students.define_flags()
students.define_noise_flags()
flags.DEFINE_enum(
    "photometric_frames", "clean", ("clean", "seen"), "frames compared: without noise, or with it"
)
# Flags that the teacher's training does not depend on.
STUDENT = ("stage", "teacher", "photometric_frames", *students.FLAG_NAMES, *students.NOISE_FLAGS)
FLAGS.set_default("network", "selflow_small")
FLAGS.set_default("frames", "5")
FLAGS.set_default("init", None)
FLAGS.set_default("brightness_steps", 2000)


def main():
    """Trains; writes network.keras and network.weights.h5 into WORKDIR/teacher and WORKDIR."""
    workdir = common.open_workdir()
    if FLAGS.smoke:
        common.shrink_for_smoke()
        # Fresh networks' flows there and back disagree everywhere: nothing would be visible.
        FLAGS.brightness_steps, FLAGS.occlusion = 0, False
    source = frames.open_pairs()
    students.run_stages(
        workdir,
        lambda network, folder: flow_unsupervised.train_stages(network, source, folder, STUDENT),
        lambda student, teacher, folder: train_student(student, teacher, source, folder),
    )


def train_student(student, teacher, source, workdir):
    """The student learns in place. Returns the last logs."""
    from kcorr.objectives import HallucinatedFlow

    objective = HallucinatedFlow(
        student,
        teacher,
        photometric_frames=FLAGS.photometric_frames,
        weights={"distillation": FLAGS.distillation},
        gamma=FLAGS.gamma,
    )
    data = students.challenged(source, workdir)
    return students.train(objective, data, source, workdir, ignore=("stage",))


if __name__ == "__main__":
    common.run(main)
