"""DDFlow (Liu et al., AAAI 2019): a teacher, then a student that learns hidden pixels from it.

    python -m recipes.flow_ddflow --data_dir=my/video.mp4 --workdir=runs/ddflow
    python -m recipes.flow_ddflow --stage=student --teacher=runs/ddflow/teacher/network.keras \
        --data_dir=my/video.mp4 --workdir=runs/another_student
    python -m recipes.flow_ddflow --smoke --workdir=/tmp/ddflow                  # seconds

The teacher learns as in `recipes.flow_unsupervised` (census, occlusion), from --init. The student
starts from the teacher; it sees random crops (--crop) of what the teacher sees whole (--size).
With --precompute the frozen teacher's flow of whole frames is first written to WORKDIR/labels as
16-bit PNGs (the authors' format, but rounded), and the student is trained from those files. They
are made anew for another teacher, --data_dir or --strides.
"""

from absl import flags

from recipes import common, flow_unsupervised, frames, students, teacher_labels

FLAGS = flags.FLAGS
# Flags that the teacher's training does not depend on.
STUDENT = ("stage", "teacher", "precompute", *students.FLAG_NAMES)
students.define_stage_flags()
students.define_flags()
flags.DEFINE_bool("precompute", False, "write the teacher's flow to files first")


def main():
    """Trains; writes network.keras and network.weights.h5 into WORKDIR/teacher and WORKDIR."""
    workdir = common.open_workdir()
    if FLAGS.smoke:
        common.shrink_for_smoke("spynet_small")
    source = frames.open_pairs()
    students.run_stages(
        workdir,
        lambda network, folder: flow_unsupervised.train_stages(network, source, folder, STUDENT),
        lambda student, teacher, folder: train_student(student, teacher, source, folder),
    )


def train_student(student, teacher, source, workdir, ignore=()):
    """The student learns in place. `ignore`: see `common.fit`. Returns the last logs."""
    from kcorr import pipelines
    from kcorr.objectives import DistilledFlow

    keys, live, ignore = (), teacher, ("stage", *ignore)
    if FLAGS.precompute:
        students.check_flags(workdir, ignore)
        source = teacher_labels.write(teacher, source, workdir / "labels")
        source = pipelines.with_teacher(source, workdir / "labels")
        keys, live = pipelines.TEACHER, None
    size, crop = common.training_size(), students.crop_size()
    weights = {"distillation": FLAGS.distillation}
    objective = DistilledFlow(student, crop, teacher=live, weights=weights, gamma=FLAGS.gamma)
    return students.train(
        objective,
        lambda seed: frames.batches(source, seed, size, keys, crop),
        source,
        workdir,
        ignore,
    )


if __name__ == "__main__":
    common.run(main)
