"""What recipes share that learn from ground truth: data sets on disk, and views of them."""

from absl import flags

from recipes import common, records

FLAGS = flags.FLAGS
DATA = ("scenes", "kitti2012", "kitti2015", "sintel", "chairs")
SPARSE = ("kitti2012", "kitti2015")
OPTIONAL = ("image0", "occlusion")  # what some data have; the rest must be there


def define_flags():
    """Flags of the data and of their augmentation."""
    flags.DEFINE_enum("data", "scenes", DATA, "labelled data; scenes are generated")
    flags.DEFINE_string("data_dir", None, "folder of the data, in its official layout")
    common.define_on_error_flag("picture or flow")
    flags.DEFINE_bool("geometry", True, "random views, with exact flow; else crops and mirrors")
    flags.DEFINE_bool("colour", True, "random brightness, contrast and gamma")
    flags.register_multi_flags_validator(
        ["data", "data_dir"],
        lambda given: (
            (given["data"] == "scenes") == (given["data_dir"] is None) and given["data_dir"] != ""
        ),
        "--data_dir must name the folder of --data, unless that is scenes",
    )


def open_data(frames=2, multi_view=None):
    """(training, validation) sources of --data, which is no scenes.

    Held out: KITTI 2015, SelFlow's 30 scenes; FlyingChairs, its own split; Sintel, every eighth
    scene; KITTI 2012, every eighth picture.

    Args:
        frames: what the network sees at once.
        multi_view: KITTI's multi-view extension, for three frames.
    """
    from kcorr import datasets

    options = {"frames": frames} if frames > 2 else {}
    if FLAGS.data == "chairs":  # no frames before or after
        return [datasets.FlyingChairs(FLAGS.data_dir, split) for split in ("train", "validation")]
    if FLAGS.data == "sintel":
        source = datasets.Concat(
            datasets.Sintel(FLAGS.data_dir, dtype=dtype, ends="repeat", **options)
            for dtype in ("clean", "final")
        )
        scenes = sorted({name.split("/")[1] for name in source.names})
        return split(source, lambda name: scenes.index(name.split("/")[1]) % 8 == 7)
    if frames > 2:
        options["multi_view"] = multi_view
    if FLAGS.data == "kitti2012":
        source = datasets.KITTI2012(FLAGS.data_dir, **options)
        return split(source, lambda name: int(name[:6]) % 8 == 7)
    source = datasets.KITTI2015(FLAGS.data_dir, **options)
    kept = set(datasets.selflow_split(source.names)[1])
    return split(source, lambda name: name in kept)


def split(source, is_held_out):
    """(training, validation) records of a source by their names; both have some."""
    from kcorr.datasets import Subset

    held_out = [i for i, name in enumerate(source.names) if is_held_out(name)]
    training = sorted(set(range(len(source))) - set(held_out))
    if not held_out or not training:
        raise common.UserError(
            f"--data_dir {FLAGS.data_dir}: {len(held_out)} of {len(source)} records would be held "
            "out for validation; expected some, and some to train on"
        )
    return Subset(source, training), Subset(source, held_out)


def batches(source, seed, keys):
    """Endless batches of augmented views, with the keys of `keys_of`."""
    import functools

    from kcorr import pipelines

    size = common.training_size()
    check_size(source, size)
    changes = [pipelines.random_channel_order]
    if FLAGS.geometry:
        sparse = FLAGS.data in SPARSE
        changes.append(functools.partial(pipelines.random_views, size=size, sparse=sparse))
    else:
        changes += [functools.partial(pipelines.random_crop, size=size), pipelines.random_flips]
    if FLAGS.colour:
        changes.append(pipelines.random_colour)
    stream = pipelines.examples(source, keys_of(source, keys), seed=seed, on_error=FLAGS.on_error)
    return pipelines.batches(pipelines.mapped(stream, *changes), FLAGS.batch_size)


def check_size(source, size):
    """The first record's pictures must be as large as --size; other records speak for themselves.

    Raises:
        UserError: they are smaller.
    """
    height, width = records.nearest(source, 0, FLAGS.on_error)["image1"].shape[:2]
    if height < size[0] or width < size[1]:
        raise common.UserError(
            f"--size={size[0]}x{size[1]}: pictures of --data={FLAGS.data} are {height}x{width} "
            "(height x width); expected a --size within them"
        )


def keys_of(source, keys):
    """`keys` and image0, without those of `OPTIONAL` that the records have not."""
    record = records.nearest(source, 0, FLAGS.on_error)
    return tuple(key for key in ("image0", *keys) if key in record or key not in OPTIONAL)
