"""What the recipes of object structure share: pictures of one kind of object."""

import dataclasses
import functools
import logging

from absl import flags

from recipes import common, records

FLAGS = flags.FLAGS
GENERATED = ("faces", "arm", "two_arms", "sphere", "n_fold")
ANNOTATED = ("celeba", "aflw", "aflw_recropped", "300w", "cats")
DATA = ("orl", *GENERATED, "folder", *ANNOTATED)
TEST_SEED = 20264  # of generated objects that are measured; training seeds are small numbers
PAIR = ("image1", "image2", "flow", "valid", "occlusion")
ANNOTATED_SEED = 20265  # of those that a regressor learns from
FRAMES = 50  # of a generated film
FEWEST_FRAMES = 12  # of one that is measured
LEAST = 16  # pixels of a view, for every network
HELD_OUT = 10  # of a folder every tenth picture is measured, not learned from


def define_data_flags():
    """Flags of the data: which objects, and at what size."""
    flags.DEFINE_enum(
        "data",
        None,
        DATA,
        "the objects; default: folder with --data_dir, else orl (real faces of a pip wheel); faces "
        "to n_fold are generated",
    )
    flags.DEFINE_string(
        "data_dir", None, "folder of pictures (perhaps with points.csv), or the data set's root"
    )
    flags.DEFINE_integer(
        "side", None, "side of the square pictures; default: 90 generated, else 100", lower_bound=16
    )
    flags.DEFINE_integer("folds", 3, "legs of --data=n_fold", lower_bound=2)
    flags.DEFINE_integer(
        "marks", 0, "spots of paint of its own on each of --data=faces", lower_bound=0
    )
    flags.DEFINE_integer("blobs", 30, "spots on --data=sphere", lower_bound=0)
    flags.DEFINE_integer("palette", None, "equal spots of so many colours on --data=sphere", 1, 8)
    flags.DEFINE_integer("sequences", None, "generated films (or people)", lower_bound=2)
    flags.DEFINE_integer("frames", None, "frames of a generated film", lower_bound=2)
    flags.DEFINE_integer("stride", 1, "frames of a film between two views", lower_bound=1)
    common.define_on_error_flag()
    flags.register_multi_flags_validator(
        ["frames", "stride"],
        lambda given: given["stride"] < (given["frames"] or FRAMES),
        "--stride must be below --frames",
    )
    flags.register_multi_flags_validator(
        ["data", "data_dir"],
        lambda given: (given["data"] in ("folder", *ANNOTATED)) <= (given["data_dir"] is not None),
        "--data_dir must name the folder of --data",
    )
    flags.register_multi_flags_validator(
        ["data", "data_dir"],
        lambda given: not (given["data"] in ("orl", *GENERATED) and given["data_dir"]),
        "--data_dir is for --data=folder and data sets on disk",
    )


def define_crop_flag():
    """--crop."""
    flags.DEFINE_integer(
        "crop",
        None,
        "cut off on each side after the warp; default: a seventh of --side (15 of 100)",
        lower_bound=0,
    )
    flags.register_multi_flags_validator(
        ["crop", "side", "data", "data_dir"],
        lambda given: given["crop"] is None or _side(given) - 2 * given["crop"] >= LEAST,
        f"--crop leaves less than {LEAST} pixels of --side",
    )


def data_name():
    """--data, or what --data_dir says."""
    return _name({"data": FLAGS.data, "data_dir": FLAGS.data_dir})


def side():
    """Side of the square pictures."""
    return _side({"side": FLAGS.side, "data": FLAGS.data, "data_dir": FLAGS.data_dir})


def _name(given):
    return given["data"] or ("folder" if given["data_dir"] else "orl")


def _side(given):
    return given["side"] or (90 if _name(given) in GENERATED else 100)


def crop():
    """Pixels that a warp loses on each side; frames of a film are seen whole."""
    if FLAGS.crop is not None:
        return FLAGS.crop
    seventh = side() // 7 + side() // 7 % 2 if side() != 100 else 15
    return min(seventh, (side() - LEAST) // 2)


@dataclasses.dataclass(frozen=True)
class Objects:
    """Pictures of one kind of object.

    Attributes:
        training: records that a network learns from: pairs of frames with their flow if `moving`,
            else single pictures.
        held_out: records of the same kind by which training is watched.
        test: pictures that it does not learn from, with key points if there are any.
        annotated: pictures with key points that a regressor learns from, or None.
        moving: whether `training` holds pairs.
        eyes: indices of the key points whose distance errors are measured by, or None.
        swap: for each key point the index of its symmetric counterpart, of the same one on the next
            leg of --data=n_fold, or None.
        seen: whether `test` is learned from, too, because there are so few pictures.
    """

    training: object
    held_out: object
    test: object
    annotated: object = None
    moving: bool = False
    eyes: tuple | None = None
    swap: tuple | None = None
    seen: bool = False


def open_objects(regressed=False):
    """The `Objects` of --data.

    With --on_error=skip pictures that cannot be read are left out of `held_out` and `test`, and of
    `annotated` if something is to be `regressed` from them; out of `training` the stream leaves
    them (`object_views.views`).
    """
    name = data_name()
    try:
        if name in GENERATED:
            return generated(name)
        shown = folder() if name == "folder" else faces_and_cats(name)
        if FLAGS.on_error == "raise":
            return shown
        test, annotated = records.readable(shown.test, FLAGS.on_error), shown.annotated
        held_out = test if shown.held_out is shown.test else shown.held_out
        if regressed and annotated is not None:
            annotated = records.readable(annotated, FLAGS.on_error)
        if not regressed and held_out is not test:  # nothing learns where points are regressed
            held_out = records.readable(held_out, FLAGS.on_error)
        return dataclasses.replace(shown, held_out=held_out, test=test, annotated=annotated)
    except (ValueError, ImportError) as error:
        raise common.UserError(f"--data={name}: {error}") from error


def generated(name):
    """Generated objects: films of one object, or single pictures of many people."""
    from kcorr import datasets

    kind = {
        "faces": datasets.DeformableFaces,
        "arm": datasets.ArticulatedArm,
        "two_arms": datasets.TwoArms,
        "sphere": datasets.RotatingSphere,
        "n_fold": datasets.NFoldObject,
    }[name]
    faces = name == "faces"
    options = {"marks": FLAGS.marks} if faces else {"stride": FLAGS.stride}
    if name == "n_fold":
        options["folds"] = FLAGS.folds
    if name in ("arm", "two_arms"):
        options["texture"] = 12.0
    if name == "sphere":
        options["tilt"] = 25.0  # from any side it would take hours to be known again
        options |= {"blobs": FLAGS.blobs, "palette": FLAGS.palette}
    sequences = FLAGS.sequences or (600 if faces else 24)
    frames = FLAGS.frames or (4 if faces else FRAMES)
    if FLAGS.smoke:
        sequences, frames = 6, FLAGS.stride + 2
    # One object in all of them: training, test and what a regressor learns from.
    make = functools.partial(kind, (side(), side()), object_seed=FLAGS.seed, **options)
    films = make(sequences=sequences, frames=frames, seed=FLAGS.seed)
    sequences, frames = (100, 2) if faces else (8, max(FEWEST_FRAMES, FLAGS.stride + 1))
    if FLAGS.smoke:
        sequences, frames = 8, FLAGS.stride + 1
    test, annotated = (
        make(sequences=sequences, frames=frames, seed=seed) for seed in (TEST_SEED, ANNOTATED_SEED)
    )
    training = films.pictures if faces else of_object(films)
    shown = neighbours_differ(test)
    return Objects(
        training=datasets.InMemory(training, ["image1"] if faces else None),
        held_out=shown if faces else datasets.InMemory(of_object(test)),
        test=shown,
        annotated=neighbours_differ(annotated),
        moving=not faces,
        eyes=(0, 1) if faces else None,
        swap=films.symmetric_points,
    )


def of_object(films):
    """Pairs of frames whose background does not count: it does not belong to the object."""
    from kcorr.datasets import Source

    class OfObject(Source):
        names = films.names

        def _read(self, index):
            record = films[index]
            record["valid"] = record["valid"] * (record["objects"] > 0)
            return {key: record[key] for key in PAIR}

    return OfObject()


def neighbours_differ(films):
    """Single frames, film after film in turn, so that neighbours show different objects."""
    from kcorr.datasets import InMemory, Subset

    order = [s * films.frames + t for t in range(films.frames) for s in range(films.sequences)]
    return InMemory(Subset(films.pictures, order))


def folder():
    """The user's own pictures; every tenth is held out, where there are that many."""
    from pathlib import Path

    from kcorr.datasets import FrameFolder, InMemory, PointFolder, SquareCrops, Subset

    annotated = (Path(FLAGS.data_dir) / "points.csv").is_file()
    source = (
        PointFolder(FLAGS.data_dir) if annotated else FrameFolder(FLAGS.data_dir, independent=True)
    )
    pictures = SquareCrops(source, side())
    points = annotated and source.point_names
    few = len(pictures) < 2 * HELD_OUT
    if few:
        training = test = range(len(pictures))
        logging.info(
            "fewer than %d pictures (%d), so none is held out: what is measured is what was "
            "learned from%s",
            2 * HELD_OUT,
            len(pictures),
            ", the annotated points, too" if points else "",
        )
    else:
        test = range(0, len(pictures), HELD_OUT)
        training = sorted(set(range(len(pictures))) - set(test))
    learned, shown = Subset(pictures, training), InMemory(Subset(pictures, test))
    return Objects(learned, shown, shown, learned if points else None, seen=few)


def faces_and_cats(name):
    """Data sets of real objects."""
    from kcorr import datasets

    if name == "orl":
        learned, test = (datasets.ORLFaces(split, side()) for split in ("train", "test"))
        return Objects(learned, test, test)
    if name == "cats":
        source = datasets.CatHeads(FLAGS.data_dir, side())
        held_out = range(0, len(source), HELD_OUT)
        kept = datasets.Subset(source, sorted(set(range(len(source))) - set(held_out)))
        test = datasets.Subset(source, held_out)
        return Objects(kept, test, test, kept, eyes=source.eyes, swap=source.symmetric_points)
    kind = {
        "celeba": datasets.CelebA,
        "aflw": datasets.AFLW,
        "aflw_recropped": datasets.AFLWRecropped,
        "300w": datasets.Faces300W,
    }[name]
    splits = ("train", "test", "train")
    if name == "celeba":
        splits = ("train", "mafl_test", "mafl_train")
    learned, test, annotated = (kind(FLAGS.data_dir, split, side()) for split in splits)
    # Of the others only the pictures that are measured are there to watch training by.
    held_out = kind(FLAGS.data_dir, "validation", side()) if name == "celeba" else test
    eyes, swap = learned.eyes, learned.symmetric_points
    return Objects(learned, held_out, test, annotated, eyes=eyes, swap=swap)
