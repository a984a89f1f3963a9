"""Fine-tuning of a self-supervised network on ground truth, sparse or dense.

    python -m recipes.flow_finetune --data=kitti2015 --data_dir=data/kitti2015 \
        --multi_view_dir=data/kitti2015_multiview --network=selflow \
        --init=runs/selflow/network.weights.h5 --workdir=runs/kitti
    python -m recipes.flow_finetune --data=sintel --data_dir=data/sintel --standardise \
        --workdir=runs/sintel
    python -m recipes.flow_finetune --smoke --workdir=/tmp/finetune              # seconds

A network of three frames sees the frame before the pair: Sintel's own, KITTI's from the multi-view
extension (--multi_view_dir, or in --data_dir); FlyingChairs and scenes repeat the first.
Endpoint error at full resolution, on known pixels, from --init (the shipped network by default).
--standardise gives each image and channel mean 0 and variance 1, as the authors do here; the
network keeps that in WORKDIR/network.keras (a .weights.h5 file cannot say it). Pictures and flow
are turned, zoomed and shifted together, each frame a little differently (--geometry), and
recoloured (--colour).

Held out for validation, which chooses checkpoints/best.weights.h5: KITTI 2015, SelFlow's 30 scenes;
FlyingChairs, its own split; Sintel, every eighth scene; KITTI 2012, every eighth picture. The
authors start at 1e-4; their steps and the rest of their augmentation are not known.
"""

from absl import flags

from recipes import common

FLAGS = flags.FLAGS
DATA = ("scenes", "kitti2012", "kitti2015", "sintel", "chairs")
common.define_training_flags(steps=20000, batch_size=4, learning_rate=1e-4, init="ddflow")
flags.DEFINE_enum("data", "scenes", DATA, "labelled data; scenes are generated")
flags.DEFINE_string("data_dir", None, "folder of the data, in its official layout")
flags.DEFINE_string("multi_view_dir", None, "KITTI's multi-view extension, for three frames")
flags.DEFINE_bool("standardise", False, "each image with mean 0 and variance 1")
flags.DEFINE_bool("geometry", True, "random views, with exact flow; else crops and mirrors")
flags.DEFINE_bool("colour", True, "random brightness, contrast and gamma")
flags.DEFINE_float(
    "exponent", 1.0, "of the robust endpoint error (error + 0.01)^q; 1 is the plain one",
    lower_bound=0.1,
)  # fmt: skip
flags.DEFINE_integer("decay_steps", 80000, "the learning rate halves every so often", lower_bound=1)
flags.DEFINE_float("ema", 0.99, "momentum of the averaged weights", lower_bound=0, upper_bound=1)
flags.register_multi_flags_validator(
    ["data", "data_dir"],
    lambda given: (given["data"] == "scenes") == (given["data_dir"] is None),
    "--data_dir must name the folder of --data, unless that is scenes",
)
KEYS = ("image1", "image2", "flow", "valid")
SPARSE = ("kitti2012", "kitti2015")


def main():
    """Trains; writes network.keras and network.weights.h5 into WORKDIR."""
    workdir = common.open_workdir()
    if FLAGS.smoke:
        common.shrink_for_smoke()
    from kcorr.io import atomic_write
    from kcorr.objectives import FineTunedFlow

    network = make_network()
    training, held_out = open_data(getattr(network, "frames", 2))
    robust = {} if FLAGS.exponent == 1 else {"epsilon": 0.01, "exponent": FLAGS.exponent}
    objective = FineTunedFlow(network, **robust)
    objective.build()
    objective.compile(common.adam(FLAGS.decay_steps, FLAGS.ema), jit_compile=FLAGS.jit_compile)
    logs = common.fit(
        objective,
        lambda seed: batches(training, seed),
        workdir,
        best="val_epe",
        validation=validation(held_out),
    )
    with atomic_write(workdir / "network.keras") as temporary:
        network.save(temporary)
    common.finish(network, workdir, logs)


def make_network():
    """The network of --network with the weights of --init; standardising if that is wanted."""
    import inspect

    from kcorr.models.registry import NETWORKS

    if not FLAGS.standardise:
        return common.make_network(FLAGS.init)
    if "standardise" not in inspect.signature(NETWORKS[FLAGS.network][0].__init__).parameters:
        raise common.UserError(
            f"--standardise: {FLAGS.network} takes images as they are; expected --network=ddflow, "
            "selflow or their small ones"
        )
    return common.make_network(FLAGS.init, standardise=True)


def open_data(frames):
    """(training, validation) sources of --data; `frames` is what the network sees at once."""
    from kcorr import datasets

    options = {"frames": frames} if frames > 2 else {}
    if FLAGS.data == "scenes":
        return [
            datasets.Scenes(size=common.training_size(), seed=seed, length=length, max_motion=16)
            for seed, length in ((FLAGS.seed, 10**6), (20260, 2 if FLAGS.smoke else 24))
        ]
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
        options["multi_view"] = FLAGS.multi_view_dir
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


def batches(source, seed):
    """Endless batches of augmented views."""
    import functools

    from kcorr import pipelines

    size = common.training_size()
    changes = [pipelines.random_channel_order]
    if FLAGS.geometry:
        sparse = FLAGS.data in SPARSE
        changes.append(functools.partial(pipelines.random_views, size=size, sparse=sparse))
    else:
        changes += [functools.partial(pipelines.random_crop, size=size), pipelines.random_flips]
    if FLAGS.colour:
        changes.append(pipelines.random_colour)
    stream = pipelines.examples(source, keys_of(source), seed=seed)
    for change in changes:
        stream = stream.map(change, num_parallel_calls=2)
    return pipelines.batches(stream, FLAGS.batch_size)


def validation(source):
    """The held-out records, whole, one by one."""
    import tensorflow as tf

    from kcorr import pipelines

    stream = pipelines.examples(source, keys_of(source), shuffle=False, repeat=False)
    # Without its length Keras warns, after each epoch, that the validation data ran out.
    return pipelines.batches(stream, 1).apply(tf.data.experimental.assert_cardinality(len(source)))


def keys_of(source):
    """Record keys that are used: image0, too, where there is one."""
    return (*(["image0"] if "image0" in source[0] else []), *KEYS)


if __name__ == "__main__":
    common.run(main)
