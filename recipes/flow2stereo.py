"""Flow2Stereo (Liu et al., CVPR 2020): one network learns flow and stereo from stereo video.

    python -m recipes.flow2stereo --data_dir=my/stereo --workdir=runs/flow2stereo
    python -m recipes.flow2stereo --data_dir=kitti/data_scene_flow_multiview --size=256x640 \
        --workdir=runs/kitti
    python -m recipes.flow2stereo --stage=student --teacher=runs/kitti/teacher/network.keras \
        --data_dir=kitti/data_scene_flow_multiview --size=256x640 --workdir=runs/kitti_student
    python -m recipes.flow2stereo --smoke --workdir=/tmp/flow2stereo             # seconds

A stereo sequence is a folder with left/ and right/ that hold rectified frames of the same names, or
KITTI's multi-view tree. Without one the recipe generates stereo video (kcorr.datasets.StereoScenes)
whose truth only its validation sees.

Stage 1, the teacher: census in the twelve directions between four pictures, after --warmup steps
with the quadrilateral and the triangle constraint (--lambda1, --lambda2: the paper's weights as
remembered). From nothing (--init=) begin with --brightness_steps, many of them, and a small
--learning_rate: the occlusion masks of a network that knows little can hide everything, and the
loss is then 0 for good. Stage 2, the student: crops, made smaller, with noise (in
--patches of two shapes, and weakly everywhere), taught by the teacher wherever it sees. The ranges
of these and the lengths of the stages are this library's, not the authors'.
"""

import functools

from absl import flags

from recipes import common, records, students

FLAGS = flags.FLAGS
common.define_training_flags(steps=2000, batch_size=1, learning_rate=1e-4, init="ddflow")
common.define_gamma_flag("only the last one counts")
students.define_stage_flags()
students.define_flags()
flags.DEFINE_list("data_dir", None, "stereo sequences, comma-separated; default: generated ones")
common.check_paths("data_dir")
flags.DEFINE_integer("stride", 1, "distance of the two times, frames", lower_bound=1)
flags.DEFINE_enum("year", "2015", ("2012", "2015"), "of a KITTI tree")
common.define_on_error_flag()
flags.DEFINE_integer("brightness_steps", 0, "steps without occlusion and geometry", lower_bound=0)
flags.DEFINE_integer("warmup", 500, "steps before the geometry counts", lower_bound=0)
flags.DEFINE_float("lambda1", 0.1, "weight of the quadrilateral constraint", lower_bound=0.0)
flags.DEFINE_float("lambda2", 0.2, "weight of the triangle constraint", lower_bound=0.0)
flags.DEFINE_float(
    "smallest_scale", 0.5, "how small the student's pictures get", lower_bound=0.1, upper_bound=1
)
flags.DEFINE_float("noise", 0.03, "largest deviation of the student's noise", lower_bound=0.0)
flags.DEFINE_enum(
    "patches", "rectangles", ("rectangles", "superpixels"), "of uniform noise, for the student"
)
flags.DEFINE_float("max_motion", 16.0, "of generated video, pixels", lower_bound=0.1)
flags.DEFINE_float("max_disparity", 32.0, "of generated video, pixels", lower_bound=0.1)
flags.DEFINE_integer("validation_scenes", 8, "generated, measured each epoch", lower_bound=0)
flags.DEFINE_integer("decay_steps", 80000, "the learning rate halves every so often", lower_bound=1)
flags.DEFINE_float("ema", 0.99, "momentum of the averaged weights", lower_bound=0, upper_bound=1)
# Flags that the teacher's training does not depend on.
STUDENT = ("stage", "teacher", "smallest_scale", "noise", "patches", *students.FLAG_NAMES)
FOUR = ("image1", "image2", "image3", "image4")
VALIDATION_SEED = 20261  # training seeds are small numbers
flags.register_validator(
    "network", lambda name: not name.startswith("selflow"), "--network sees three frames, not two"
)


def main():
    """Trains; writes network.keras and network.weights.h5 into WORKDIR/teacher and WORKDIR."""
    workdir = common.open_workdir()
    if FLAGS.smoke:
        common.shrink_for_smoke("spynet_small")
        FLAGS.batch_size, FLAGS.warmup, FLAGS.validation_scenes = 1, 1, 0
        FLAGS.max_motion, FLAGS.max_disparity = 4.0, 6.0
    students.run_stages(workdir, train_teacher, train_student)


def train_teacher(network, workdir):
    """Stage 1, the network learns in place. Returns the last logs."""
    from kcorr.objectives import Flow2Stereo

    if FLAGS.brightness_steps:
        first = Flow2Stereo(
            network, 0.0, 0.0, photometric="brightness", occlusion=False, gamma=FLAGS.gamma
        )
        fit(first, workdir / "brightness", FLAGS.brightness_steps, STUDENT)
    objective = Flow2Stereo(network, FLAGS.lambda1, FLAGS.lambda2, FLAGS.warmup, gamma=FLAGS.gamma)
    return fit(objective, workdir, FLAGS.steps, STUDENT)


def train_student(student, teacher, workdir):
    """Stage 2, the student learns in place. Returns the last logs."""
    from kcorr import pipelines
    from kcorr.objectives import DistilledStereo

    weights = {"distillation": FLAGS.distillation}
    task = functools.partial(
        pipelines.proxy_task,
        size=students.crop_size(),
        scale=(FLAGS.smallest_scale, 1.0),
        noise=FLAGS.noise,
        shape=FLAGS.patches,
    )
    if FLAGS.patches == "superpixels":
        students.check_scikit_image("--patches")
    objective = DistilledStereo(student, teacher, weights=weights, gamma=FLAGS.gamma)
    return fit(objective, workdir, students.steps(), ("stage", "student_steps"), task)


def fit(objective, workdir, steps, ignore, last=None):
    """Trains on --data_dir or generated video; `last`: one more change of an example."""
    objective.build()
    objective.compile(common.adam(FLAGS.decay_steps, FLAGS.ema), jit_compile=FLAGS.jit_compile)
    source = open_source()
    return common.fit(
        objective,
        functools.partial(batches, last=last),
        workdir,
        steps,
        validation=validation(last) if FLAGS.validation_scenes else None,
        sample=sample(source),
        draw=draw,
        ignore=ignore,
    )


def open_source(seed=0):
    """Sets of four pictures: those of --data_dir, or generated ones, a set for each seed."""
    from kcorr.datasets import open_stereo

    if FLAGS.data_dir is None:
        return scenes("train", 10**6, seed)
    try:
        return open_stereo(FLAGS.data_dir, FLAGS.stride, year=int(FLAGS.year))
    except ValueError as error:
        raise common.UserError(f"--data_dir: {error}") from error


def scenes(split, length, seed, all_pairs=False):
    """Generated stereo video; a smoke run does without pictures."""
    from kcorr.datasets import StereoScenes, demo_images
    from kcorr.io import read_image

    textures = None if FLAGS.smoke else [read_image(path) for path in demo_images(split)]
    motions = {"max_motion": FLAGS.max_motion, "max_disparity": FLAGS.max_disparity}
    size = common.training_size()
    return StereoScenes(textures, size, length, seed, **motions, all_pairs=all_pairs)


def batches(seed, last=None):
    """Endless batches of random crops, mirrored, with one of six orders of the colours."""
    from kcorr import pipelines

    changes = [
        functools.partial(pipelines.random_crop, size=common.training_size(), small="resize"),
        pipelines.mirror_stereo,
        pipelines.random_channel_order,
    ]
    source, keys = outlined(open_source(seed), last)
    stream = pipelines.examples(
        source,
        (*FOUR, *keys),
        seed=seed,
        shuffle=FLAGS.data_dir is not None,
        on_error=FLAGS.on_error,
    )
    changes = [*changes, last] if last else changes
    return pipelines.batches(pipelines.mapped(stream, *changes), FLAGS.batch_size)


def outlined(source, last):
    """The source with what `last` needs for the student's patches, and the keys of that."""
    from kcorr import pipelines

    if last is None or FLAGS.patches != "superpixels":
        return source, ()
    return pipelines.with_superpixels(source), ("superpixels",)


def validation(last=None):
    """Batches of generated video cut from pictures that nothing learns from, with true disparity.

    The objectives measure the flow from image1 to image2: `val_epe` is the disparity's error.
    """
    source = scenes("validation", FLAGS.validation_scenes, VALIDATION_SEED)
    source, keys = outlined(source, last)
    return records.once(source, (*FOUR, "flow", "valid", *keys), last)


def sample(source):
    """A fixed batch for the pictures that are drawn while the network learns."""
    import numpy as np

    record = records.nearest(source, 0, FLAGS.on_error)
    height, width = common.training_size()
    return {key: record[key][None, :height, :width].astype(np.float32) / 255 for key in FOUR}


def draw(batch, output):
    """{name: sheet}: left and right picture, and the disparity."""
    from kcorr import viz
    from kcorr.models import disparity_of_flow

    disparity = disparity_of_flow(output["flow"][0])
    sheet = [
        ("left", batch["image1"][0]),
        ("right", batch["image2"][0]),
        ("disparity", viz.disparity_to_color(disparity)),
    ]
    return {"disparity": viz.side_by_side(sheet, columns=3)}


if __name__ == "__main__":
    common.run(main)
