"""Fine-tuning of a self-supervised network on ground truth, sparse or dense.

    python -m recipes.flow_finetune --data=kitti2015 --data_dir=data/kitti2015 \
        --multi_view_dir=data/kitti2015_multiview --network=selflow_small \
        --init=runs/selflow/network.keras --workdir=runs/kitti
    python -m recipes.flow_finetune --data=sintel --data_dir=data/sintel --standardise \
        --workdir=runs/sintel
    python -m recipes.flow_finetune --smoke --workdir=/tmp/finetune              # seconds

A network of three frames sees the frame before the pair: Sintel's own, KITTI's from the multi-view
extension (--multi_view_dir, or in --data_dir); FlyingChairs and scenes repeat the first.
Endpoint error at full resolution, on known pixels, from --init (`ddflow` by default).
--standardise gives each image and channel mean 0 and variance 1, as the authors do here; the
network keeps that in WORKDIR/network.keras (a .weights.h5 file cannot say it). Pictures and flow
are turned, zoomed and shifted together, each frame a little differently (--geometry), and
recoloured (--colour). --on_error=skip leaves out what cannot be read, in validation, too.

Held out for validation, which chooses checkpoints/best.weights.h5: KITTI 2015, SelFlow's 30 scenes;
FlyingChairs, its own split; Sintel, every eighth scene; KITTI 2012, every eighth picture. The
authors start at 1e-4; their steps and the rest of their augmentation are not known.
"""

from absl import flags

from recipes import common, labelled, networks, records

FLAGS = flags.FLAGS
KEYS = ("image1", "image2", "flow", "valid")
common.define_training_flags(steps=20000, batch_size=4, learning_rate=1e-4, init="ddflow")
common.define_gamma_flag("only the last one counts")
labelled.define_flags()
flags.DEFINE_string("multi_view_dir", None, "KITTI's multi-view extension, for three frames")
flags.DEFINE_bool("standardise", False, "each image with mean 0 and variance 1")
flags.DEFINE_float(
    "exponent", 1.0, "of the robust endpoint error (error + 0.01)^q; 1 is the plain one",
    lower_bound=0.1,
)  # fmt: skip
flags.DEFINE_integer("decay_steps", 80000, "the learning rate halves every so often", lower_bound=1)
flags.DEFINE_float("ema", 0.99, "momentum of the averaged weights", lower_bound=0, upper_bound=1)


def main():
    """Trains; writes network.keras and network.weights.h5 into WORKDIR."""
    workdir = common.open_workdir()
    if FLAGS.smoke:
        common.shrink_for_smoke()
    from kcorr.objectives import FineTunedFlow

    network = make_network()
    training, held_out = open_data(getattr(network, "frames", 2))
    robust = {} if FLAGS.exponent == 1 else {"epsilon": 0.01, "exponent": FLAGS.exponent}
    objective = FineTunedFlow(network, **robust, gamma=FLAGS.gamma)
    objective.build()
    objective.compile(common.adam(FLAGS.decay_steps, FLAGS.ema), jit_compile=FLAGS.jit_compile)
    logs = common.fit(
        objective,
        lambda seed: labelled.batches(training, seed, KEYS),
        workdir,
        best="val_epe",
        validation=validation(held_out),
    )
    networks.finish(network, workdir, logs)


def make_network():
    """The network of --network with the weights of --init; standardising if that is wanted."""
    import inspect

    from kcorr.models.registry import NETWORKS

    if not FLAGS.standardise:
        return networks.make_network(FLAGS.init)
    if "standardise" not in inspect.signature(NETWORKS[FLAGS.network][0].__init__).parameters:
        raise common.UserError(
            f"--standardise: {FLAGS.network} takes images as they are; expected --network=ddflow, "
            "selflow or their small ones"
        )
    return networks.make_network(FLAGS.init, standardise=True)


def open_data(frames):
    """(training, validation) sources of --data; `frames` is what the network sees at once."""
    from kcorr.datasets import Scenes

    if FLAGS.data != "scenes":
        return labelled.open_data(frames, FLAGS.multi_view_dir)
    return [
        Scenes(size=common.training_size(), seed=seed, length=length, max_motion=16)
        for seed, length in ((FLAGS.seed, 10**6), (20260, 2 if FLAGS.smoke else 24))
    ]


def validation(source):
    """The held-out records, whole, one by one."""
    source = records.readable(source, FLAGS.on_error)
    return records.once(source, labelled.keys_of(source, KEYS))


if __name__ == "__main__":
    common.run(main)
