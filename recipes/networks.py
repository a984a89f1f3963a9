"""The network of a recipe: made, given the weights it starts from, written when it has learned."""

from absl import flags

from recipes import common

FLAGS = flags.FLAGS


def make_network(init=None, **options):
    """The network of --network and --dtype_policy, with the weights of `init` (None: fresh)."""
    import keras

    from kcorr.models import build

    keras.utils.set_random_seed(FLAGS.seed)
    if "zoom" in FLAGS and FLAGS.zoom != 1:
        options["zoom"] = FLAGS.zoom
    network = build(FLAGS.network, dtype=FLAGS.dtype_policy, **options)
    if init:
        load_init(network, init)
    return network


def load_init(network, init):
    """Loads `init` into `network`; anything that does not fit is a `UserError`."""
    from kcorr.models import load

    try:
        loaded = load(init, FLAGS.network if init.lower().endswith(".weights.h5") else None)
    except ValueError as error:
        raise common.UserError(str(error)) from error
    if getattr(loaded, "standardise", False) and not getattr(network, "standardise", False):
        raise common.UserError(
            f"{init}: this network learned from standardised pictures; expected one that takes "
            "them as they are, or --standardise of recipes.flow_finetune"
        )
    zoom = getattr(loaded, "zoom", 1)
    if zoom not in (1, getattr(network, "zoom", 1)):
        raise common.UserError(
            f"{init}: this network learned from pictures enlarged {zoom:g} times; expected "
            f"--zoom={zoom:g}"
        )
    have, want = ([tuple(w.shape) for w in getattr(n, "weights", ())] for n in (loaded, network))
    if have != want:
        raise common.UserError(
            f"{init}: its weights do not fit --network={FLAGS.network}; expected another, "
            "or weights of this one (--init= starts from nothing)"
        )
    network.set_weights(loaded.get_weights())


def save_network(network, workdir):
    """Writes network.weights.h5 and network.keras into WORKDIR; returns the path of the former.

    The latter also holds what weights do not say: zoom, standardise, a picture's size.
    """
    from kcorr.io import atomic_write

    with atomic_write(workdir / "network.keras") as temporary:
        network.save(temporary)
    with atomic_write(workdir / "network.weights.h5") as temporary:
        network.save_weights(temporary, overwrite=True)
    return workdir / "network.weights.h5"


def finish(network, workdir, logs):
    """Writes the network's files and metrics.json, and says where they are."""
    common.write_metrics(workdir, logs)
    print(f"network: {save_network(network, workdir)}")
