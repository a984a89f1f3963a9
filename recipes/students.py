"""What the recipes share in which a student learns from teachers: flags, crops, challenges."""

import contextlib
import importlib.util

from absl import flags

from recipes import common, frames, leftovers, networks

FLAGS = flags.FLAGS
FLAG_NAMES = ("student_steps", "crop", "distillation")
NOISE_FLAGS = ("noise", "segments", "compactness", "patches", "keep_superpixels")
FAMILIES = ("occlusion", "colour", "geometry")
_FREE_FLAGS = ("student_steps", "keep_superpixels")  # a student's training may go on with others


def define_flags():
    """Flags of a student."""
    flags.DEFINE_integer(
        "student_steps", None, "steps of the student; default --steps", lower_bound=1
    )
    flags.DEFINE_string("crop", None, "the student's crop, HEIGHTxWIDTH; default 3/4 of --size")
    flags.DEFINE_float("distillation", 1.0, "weight of the distillation", lower_bound=0.0)
    flags.register_multi_flags_validator(
        ["crop", "size"], _crop_fits, "--crop must be HEIGHTxWIDTH, at least 16x16, within --size"
    )


def define_stage_flags():
    """Flags of a teacher and, after it, its student: see `run_stages`."""
    flags.DEFINE_enum("stage", "both", ("both", "teacher", "student"), "what to train")
    flags.DEFINE_string("teacher", None, "weights of a trained teacher, for --stage=student")
    flags.register_multi_flags_validator(
        ["stage", "teacher"],
        lambda given: given["stage"] != "student" or given["teacher"],
        "--stage=student needs --teacher, the weights of a trained teacher",
    )


def run_stages(workdir, train_teacher, train_student):
    """A teacher learns into WORKDIR/teacher, then a student that starts as it does into WORKDIR.

    Args:
        workdir: path.
        train_teacher: function of (network, folder), in which the network learns in place, that
            returns its last logs.
        train_student: the same, of (student, teacher, folder).
    """
    if FLAGS.stage == "student":
        teacher = networks.make_network(FLAGS.teacher, learns=False)
    else:
        teacher = networks.make_network(FLAGS.init)
    if FLAGS.stage != "student":
        folder = workdir / "teacher"
        folder.mkdir(exist_ok=True)
        networks.finish(teacher, folder, train_teacher(teacher, folder))
    if FLAGS.stage != "teacher":
        student = copy_of(teacher)
        networks.finish(student, workdir, train_student(student, teacher, workdir))


def define_noise_flags():
    """Flags of the noise in a student's target frame; the papers' numbers are not known."""
    kinds = ("superpixels", "rectangles", "none")
    flags.DEFINE_enum("noise", "superpixels", kinds, "what is filled with noise")
    flags.DEFINE_integer("segments", 200, "superpixels of a frame", lower_bound=1)
    flags.DEFINE_float("compactness", 10.0, "of the superpixels", lower_bound=1e-6)
    flags.DEFINE_list("patches", ["8", "15"], "fewest and most patches of noise")
    flags.DEFINE_bool("keep_superpixels", False, "keep them as files in WORKDIR/superpixels")
    flags.register_validator(
        "patches",
        lambda values: (
            len(values) == 2
            and all(value.isdigit() for value in values)
            and int(values[0]) <= int(values[1])
        ),
        "--patches takes two whole numbers, the fewest and the most, for example 8,15",
    )


def define_challenges_flag(default=FAMILIES):
    """--challenges, for recipes whose students see what DistillFlow's see."""
    flags.DEFINE_list("challenges", list(default), "what makes the student's task harder")
    common.check_choices("challenges", FAMILIES)


def chosen_challenges():
    """The arguments of `challenged` that --challenges stands for."""
    from kcorr import pipelines

    return {
        "colour": pipelines.COLOUR if "colour" in FLAGS.challenges else None,
        "geometry": pipelines.GEOMETRY if "geometry" in FLAGS.challenges else None,
        "noise": "occlusion" in FLAGS.challenges,
    }


def steps():
    """--student_steps, or --steps."""
    return FLAGS.student_steps or FLAGS.steps


def crop_size():
    """--crop as (height, width)."""
    if FLAGS.crop:
        return common.parse_size(FLAGS.crop)
    return tuple(max(16, side * 3 // 4) for side in common.training_size())


def challenged(source, workdir, colour=None, geometry=None, noise=True):
    """A function of a seed: batches of `source` with what the student sees.

    Args:
        source: of pairs or windows.
        workdir: path.
        colour, geometry: see `kcorr.pipelines.challenge`.
        noise: whether --noise is put into the target frame.
    """
    import functools

    from kcorr import pipelines

    occlusion, keys = None, ()
    kind = FLAGS.noise if noise else "none"
    if kind != "none":
        fewest, most = map(int, FLAGS.patches)
        occlusion = {"shape": kind, "fewest": fewest, "most": most}
    if kind == "superpixels":
        check_scikit_image("--noise")
        folder = workdir / "superpixels" if FLAGS.keep_superpixels else None
        if folder:
            leftovers.remove(folder)
        keys = ("superpixels",)
        source = pipelines.with_superpixels(
            source, FLAGS.segments, FLAGS.compactness, folder=folder
        )
    change = functools.partial(
        pipelines.challenge,
        size=crop_size(),
        occlusion=occlusion,
        colour=colour,
        geometry=geometry,
    )
    size = common.training_size()
    return lambda seed: frames.batches(source, seed, size, keys, last=change)


def check_scikit_image(flag):
    """Refuses FLAG=superpixels where there is nothing that finds them."""
    if importlib.util.find_spec("skimage") is None:
        raise common.UserError(
            f"{flag}=superpixels needs scikit-image: pip install scikit-image, or take "
            f"{flag}=rectangles"
        )


def train(objective, dataset_of_seed, source, workdir, ignore=()):
    """The objective's student learns in place. Returns the last logs."""
    return frames.train(
        objective, dataset_of_seed, source, workdir, steps(), (*_FREE_FLAGS, *ignore)
    )


def check_flags(workdir, ignore=()):
    """Refuses, before `train` does, to go on with other flags; the same `ignore`."""
    common.check_flags_of(workdir, (*_FREE_FLAGS, *ignore))


def copy_of(network):
    """A network of the same kind with the same weights."""
    twin = networks.make_network()
    twin.set_weights(network.get_weights())
    return twin


@contextlib.contextmanager
def seed_of(number):
    """Inside the block --seed is that of member `number` of an ensemble."""
    seed = FLAGS.seed
    FLAGS.seed = (seed + 1000 * number) % 2**32  # the range of --seed
    try:
        yield
    finally:
        FLAGS.seed = seed


def _crop_fits(given):
    if given["crop"] is None:
        return True
    crop, size = common.parse_size(given["crop"]), common.parse_size(given["size"])
    return crop is not None and size is not None and crop[0] <= size[0] and crop[1] <= size[1]
