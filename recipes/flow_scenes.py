"""Flow from generated scenes: supervision without labels, the first stage of the shipped networks.

Pictures and video frames, unlabelled, are cut into layers that move by known motions
(`kcorr.datasets.Scenes`), so every pixel's flow is known, hidden pixels included.

    python -m recipes.flow_scenes --workdir=runs/scenes
    python -m recipes.flow_scenes --smoke --workdir=/tmp/scenes      # seconds
"""

from absl import flags

from recipes import common, networks, records, scenes

FLAGS = flags.FLAGS
common.define_training_flags(steps=14000, batch_size=4, learning_rate=4e-4)
scenes.define_flags(max_motion=64.0)
flags.DEFINE_integer(
    "schedule_steps", None, "length of the learning rate's cosine; default --steps", lower_bound=1
)
flags.DEFINE_float(
    "exponent", 0.6, "of the robust endpoint error; 1 weighs large errors most", lower_bound=0.1
)
flags.DEFINE_integer(
    "validation_scenes", 24, "scenes of unseen pictures, measured each epoch", lower_bound=0
)
common.define_gamma_flag("each counts at 1/8 of the size, the last also in full")
flags.DEFINE_float("weight_decay", 1e-4, "of AdamW", lower_bound=0.0)
flags.DEFINE_float("ema", 0.999, "momentum of the averaged weights", lower_bound=0, upper_bound=1)

VALIDATION_SEED = 20260  # training seeds are small numbers
KEYS = ("image1", "image2", "flow", "valid")


def main():
    """Trains; writes network.keras and network.weights.h5 into WORKDIR."""
    workdir = common.open_workdir()
    if FLAGS.smoke:
        common.shrink_for_smoke("spynet_small")
        FLAGS.validation_scenes = 2
    import keras

    from kcorr.objectives import FusedAdam, SupervisedFlow

    network = networks.make_network(FLAGS.init)
    objective = SupervisedFlow(network, exponent=FLAGS.exponent, gamma=FLAGS.gamma)
    objective.build()
    length = FLAGS.schedule_steps or FLAGS.steps
    warmup = min(500, length // 10)
    schedule = keras.optimizers.schedules.CosineDecay(
        FLAGS.learning_rate * 0.05,
        length - warmup,
        alpha=0.01,
        warmup_target=FLAGS.learning_rate,
        warmup_steps=warmup,
    )
    objective.compile(
        FusedAdam(
            schedule,
            weight_decay=FLAGS.weight_decay,
            use_ema=FLAGS.ema > 0,
            ema_momentum=FLAGS.ema or 0.999,
        ),
        jit_compile=FLAGS.jit_compile,
    )
    textures = scenes.load_textures()
    logs = common.fit(
        objective,
        lambda seed: scenes.dataset(textures, seed, KEYS),
        workdir,
        best="val_epe" if FLAGS.validation_scenes else "loss",
        validation=validation() if FLAGS.validation_scenes else None,
    )
    networks.finish(objective.network, workdir, logs)


def validation():
    """Batches of scenes cut from the validation pictures, always the same."""
    from kcorr.datasets import Scenes, demo_images
    from kcorr.io import read_image

    shown = Scenes(
        [read_image(path) for path in demo_images("validation")],
        common.training_size(),
        length=FLAGS.validation_scenes,
        seed=VALIDATION_SEED,
        max_motion=FLAGS.max_motion,
        noise_share=0.0,
    )
    return records.once(shown, KEYS)


if __name__ == "__main__":
    common.run(main)
