"""Flow from unlabelled frames, photometrically: stages A and B of DDFlow (Liu et al., AAAI 2019).

Stage A compares brightness and handles no occlusion (`--brightness_steps`, for networks that start
from nothing); stage B compares census transforms where the forward-backward check sees no
occlusion. Starting from `ddflow` (the default) stage A is not needed.

    python -m recipes.flow_unsupervised --data_dir=my/video.mp4 --workdir=runs/mine
    python -m recipes.flow_unsupervised --init= --brightness_steps=20000 --steps=60000 \
        --workdir=runs/from_nothing
    python -m recipes.flow_unsupervised --smoke --workdir=/tmp/unsupervised      # seconds

The authors train A for 100k and B for 300k steps with batch 4 and Adam 1e-4, halved every 80k.
"""

from absl import flags

from recipes import common, frames, networks

FLAGS = flags.FLAGS
common.define_training_flags(steps=2000, batch_size=4, learning_rate=1e-4, init="ddflow")
frames.define_flags()
flags.DEFINE_integer("brightness_steps", 0, "steps of stage A before --steps", lower_bound=0)
flags.DEFINE_enum("photometric", "census", ("census", "brightness"), "what stage B compares")
flags.DEFINE_bool("occlusion", True, "leave hidden pixels out in stage B")
flags.DEFINE_float("smoothness", 0.0, "weight of the smoothness; DDFlow has none", lower_bound=0.0)
flags.DEFINE_enum("smoothness_order", "1", ("1", "2"), "1: constant motion, 2: affine motion")
common.define_gamma_flag("only the last one counts")
flags.DEFINE_integer("decay_steps", 80000, "the learning rate halves every so often", lower_bound=1)
flags.DEFINE_float("ema", 0.99, "momentum of the averaged weights", lower_bound=0, upper_bound=1)


def main():
    """Trains; writes network.keras and network.weights.h5 into WORKDIR."""
    workdir = common.open_workdir()
    if FLAGS.smoke:
        common.shrink_for_smoke("spynet_small")
        FLAGS.brightness_steps = 2
    network = networks.make_network(FLAGS.init)
    logs = train_stages(network, frames.open_pairs(), workdir)
    networks.finish(network, workdir, logs)


def train_stages(network, source, workdir, ignore=()):
    """Stage A, if wanted, and stage B: the network learns in place. Returns the last logs."""
    if FLAGS.brightness_steps:
        stage = {"photometric": "brightness", "occlusion": False, "ignore": ignore}
        train(network, source, workdir / "brightness", FLAGS.brightness_steps, **stage)
    return train(
        network,
        source,
        workdir,
        FLAGS.steps,
        photometric=FLAGS.photometric,
        occlusion=FLAGS.occlusion,
        smoothness=FLAGS.smoothness,
        order=int(FLAGS.smoothness_order),
        ignore=ignore,
    )


def train(network, source, workdir, steps, ignore=(), **method):
    """One stage: the network learns in place. `ignore`: see `common.fit`. Returns the last logs."""
    from kcorr.objectives import UnsupervisedFlow

    objective = UnsupervisedFlow(network, gamma=FLAGS.gamma, **method)
    size = common.training_size()
    return frames.train(
        objective,
        lambda seed: frames.batches(source, seed, size),
        source,
        workdir,
        steps,
        ignore,
    )


if __name__ == "__main__":
    common.run(main)
