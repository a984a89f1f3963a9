"""DDFlow (Liu et al., AAAI 2019): a teacher, then a student that learns hidden pixels from it.

    python -m recipes.flow_ddflow --data_dir=my/video.mp4 --workdir=runs/ddflow
    python -m recipes.flow_ddflow --stage=teacher --workdir=runs/ddflow
    python -m recipes.flow_ddflow --stage=student --teacher=runs/ddflow/teacher/network.weights.h5 \
        --workdir=runs/ddflow
    python -m recipes.flow_ddflow --smoke --workdir=/tmp/ddflow                  # seconds

The teacher learns as in `recipes.flow_unsupervised` (census, occlusion), from --init. The student
starts from the teacher; it sees random crops (--crop) of what the teacher sees whole (--size).
With --precompute the frozen teacher's flow of whole frames is first written to WORKDIR/labels as
16-bit PNGs (the authors' format, but rounded), and the student is trained from those files.
"""

import hashlib
import shutil

from absl import flags

from recipes import common, flow_unsupervised, frames

FLAGS = flags.FLAGS
# Flags that the teacher's training does not depend on.
STUDENT = ("stage", "teacher", "student_steps", "crop", "distillation", "precompute")
flags.DEFINE_enum("stage", "both", ("both", "teacher", "student"), "what to train")
flags.DEFINE_string("teacher", None, "weights of a trained teacher, for --stage=student")
flags.DEFINE_integer("student_steps", None, "steps of the student; default --steps", lower_bound=1)
flags.DEFINE_string("crop", None, "the student's crop, HEIGHTxWIDTH; default 3/4 of --size")
flags.DEFINE_float("distillation", 1.0, "weight of the distillation", lower_bound=0.0)
flags.DEFINE_bool("precompute", False, "write the teacher's flow to files first")


def _crop_fits(given):
    if given["crop"] is None:
        return True
    crop, size = common.parse_size(given["crop"]), common.parse_size(given["size"])
    return crop is not None and size is not None and crop[0] <= size[0] and crop[1] <= size[1]


flags.register_multi_flags_validator(
    ["crop", "size"], _crop_fits, "--crop must be HEIGHTxWIDTH, at least 16x16, within --size"
)
flags.register_multi_flags_validator(
    ["stage", "teacher"],
    lambda given: given["stage"] != "student" or given["teacher"],
    "--stage=student needs --teacher, the weights of a trained teacher",
)


def main():
    """Trains; writes WORKDIR/teacher/network.weights.h5 and WORKDIR/network.weights.h5."""
    workdir = common.open_workdir()
    if FLAGS.smoke:
        common.shrink_for_smoke()
    size, crop = common.training_size(), student_crop()
    source = frames.open_pairs()
    teacher = common.make_network(FLAGS.teacher if FLAGS.stage == "student" else FLAGS.init)
    if FLAGS.stage != "student":
        (workdir / "teacher").mkdir(exist_ok=True)
        logs = flow_unsupervised.train_stages(teacher, source, workdir / "teacher", STUDENT)
        common.finish(teacher, workdir / "teacher", logs)
    if FLAGS.stage == "teacher":
        return
    student = common.make_network()
    student.set_weights(teacher.get_weights())
    logs = train_student(student, teacher, source, workdir, size, crop)
    common.finish(student, workdir, logs)


def student_crop():
    """--crop as (height, width)."""
    if FLAGS.crop:
        return common.parse_size(FLAGS.crop)
    return tuple(max(16, side * 3 // 4) for side in common.training_size())


def train_student(student, teacher, source, workdir, size, crop):
    """The student learns in place. Returns the last logs."""
    from kcorr import pipelines
    from kcorr.objectives import DistilledFlow

    keys, live = ("image1", "image2"), teacher
    if FLAGS.precompute:
        write_labels(teacher, source, workdir / "labels")
        source = pipelines.with_teacher(source, workdir / "labels")
        keys, live = (*keys, *pipelines.TEACHER), None
    objective = DistilledFlow(
        student, crop, teacher=live, weights={"distillation": FLAGS.distillation}
    )
    objective.build()
    objective.compile(common.adam(FLAGS.decay_steps, FLAGS.ema), jit_compile=FLAGS.jit_compile)
    return common.fit(
        objective,
        lambda seed: frames.batches(source, seed, size, keys, crop),
        workdir,
        FLAGS.student_steps or FLAGS.steps,
        sample=frames.sample(source, size),
        draw=frames.draw,
        ignore=("stage", "student_steps"),
    )


def write_labels(teacher, source, folder):
    """The teacher's flow and occlusion of whole frames as PNGs; what is there already is kept."""
    from rich.progress import track

    from kcorr.io import write_teacher_flow
    from kcorr.models.predict import Predictor
    from kcorr.pipelines import teacher_files

    digest = hashlib.sha256(b"".join(w.tobytes() for w in teacher.get_weights())).hexdigest()
    stamp = folder / "teacher.sha256"
    if stamp.exists() and stamp.read_text() != digest:
        shutil.rmtree(folder)  # labels of another teacher
    folder.mkdir(exist_ok=True)
    stamp.write_text(digest)
    predict = Predictor(teacher)
    for index in track(range(len(source)), "the teacher's flow", disable=not FLAGS.progress):
        forward, backward = teacher_files(folder, source.names[index])
        if forward.exists() and backward.exists():
            continue
        record = source[index]
        result = predict(record["image1"], record["image2"])
        write_teacher_flow(forward, result["flow"], result["occlusion"], clip=True)
        write_teacher_flow(
            backward, result["flow_backward"], result["occlusion_backward"], clip=True
        )


if __name__ == "__main__":
    common.run(main)
