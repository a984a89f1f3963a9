"""How the recipes of object structure learn: flags, the fit, optimizers as far as published."""

import logging

from absl import flags

from recipes import common, networks, object_views, objects, records

FLAGS = flags.FLAGS
WARPS = ("training", "hard")


def define_training_flags(batch_size, networks):
    """Flags of a recipe that learns from views of objects."""
    common.define_training_flags(
        steps=2000, batch_size=batch_size, learning_rate=1e-3, size=None, networks=networks
    )
    objects.define_data_flags()
    define_view_flags()


def define_view_flags():
    """Flags of the two views of an object that a network learns from."""
    objects.define_crop_flag()
    flags.DEFINE_enum("warp", "training", WARPS, "how strong: as published, or the hard variant")
    flags.DEFINE_bool("colour", True, "JPEG noise, jitter and lighting of each view, as published")


def run(train):
    """A recipe's main: `train(shown, workdir)` learns from --data into --workdir."""
    workdir = common.open_workdir()
    if FLAGS.smoke:
        shrink_for_smoke()
    train(objects.open_objects(), workdir)


def fit(objective, shown, workdir, draw, best, mirror=False):
    """The compiled objective learns; writes the network into WORKDIR.

    Args:
        objective: built and compiled.
        shown: an `Objects`.
        workdir: path.
        draw: function of (batch, output) for the pictures.
        best: logged value that chooses `best.weights.h5`.
        mirror: see `object_views.views`.
    """
    import numpy as np

    exchange = getattr(FLAGS, "exchange", 0)
    batch_size = max(8, exchange + 1)  # labels are rebuilt from so many others of the batch
    if len(shown.held_out) <= exchange:
        few = "%d held out: too few for --exchange=%d, so they are measured without it"
        logging.info(few, len(shown.held_out), exchange)
    picks = np.linspace(0, len(shown.test) - 1, min(6, len(shown.test))).astype(int)
    faces = [records.nearest(shown.test, int(i), FLAGS.on_error)["image1"] for i in picks]
    logs = common.fit(
        objective,
        lambda seed: object_views.views(shown, seed, FLAGS.batch_size, mirror),
        workdir,
        best=best,
        validation=object_views.views_of(
            shown.held_out, batch_size, limit=batch_size if FLAGS.smoke else max(64, batch_size)
        ),
        sample={"image": np.stack(faces).astype("float32") / 255},
        draw=draw,
    )
    networks.finish(objective.network, workdir, logs)


def make_network(**options):
    """The network of --network, with the weights of --init."""
    return networks.make_network(FLAGS.init, picture_size=objects.side(), **options)


def shrink_for_smoke():
    """Makes the run so small that it takes seconds."""
    common.shrink_for_smoke(batch_size=max(2, getattr(FLAGS, "exchange", 0) + 1))
    FLAGS.side = FLAGS.side or 48


def published(network):
    """(name in `kcorr.objectives.TRAINING`, the objective's arguments there) of a network."""
    from kcorr.objectives import TRAINING

    recipe = "hourglass" if network.startswith("hourglass") else "smallnet"
    return recipe, TRAINING[recipe]["objective"]


def optimizer(recipe):
    """The published optimizer with --learning_rate, its milestones at the same shares of --steps.

    Args:
        recipe: of `kcorr.objectives.TRAINING`.
    """
    from kcorr.objectives import TRAINING, published_optimizer

    epochs = TRAINING[recipe]["epochs"]
    return published_optimizer(
        recipe, max(1, FLAGS.steps // epochs), learning_rate=FLAGS.learning_rate
    )
