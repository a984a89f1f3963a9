"""The network of a recipe: made, given the weights it starts from, written when it has learned."""

from absl import flags

from recipes import common

FLAGS = flags.FLAGS


def make_network(init=None, learns=True, **options):
    """The network of --network, --zoom and --dtype_policy.

    Args:
        init: whose weights it has, None: fresh ones.
        learns: whether it goes on learning; a teacher that does not must be as it was.
        **options: more constructor arguments.
    """
    import keras

    from kcorr.models import build

    keras.utils.set_random_seed(FLAGS.seed)
    if "zoom" in FLAGS and FLAGS.zoom != 1:
        options["zoom"] = FLAGS.zoom
    network = build(FLAGS.network, dtype=FLAGS.dtype_policy, **options)
    if init:
        load_init(network, init, learns)
    return network


def load_init(network, init, learns=True):
    """Loads `init` into `network`; anything that does not fit is a `UserError`.

    A network that goes on learning may begin to be one that enlarges pictures.
    """
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
    have, want = ([tuple(w.shape) for w in getattr(n, "weights", ())] for n in (loaded, network))
    if have != want:
        raise common.UserError(
            f"{init}: its weights do not fit --network={FLAGS.network}; expected another, "
            "or weights of this one (--init= starts from nothing)"
        )
    # A file of weights alone does not say how its network saw pictures.
    unknown = init.lower().endswith(".weights.h5")
    zoom, wanted = (getattr(one, "zoom", 1) for one in (loaded, network))
    if zoom != wanted and (zoom != 1 or not (learns or unknown)):
        raise common.UserError(
            f"{init}: this network learned from pictures enlarged {zoom:g} times; expected "
            f"--zoom={zoom:g}"
        )
    for part in ("normalise", "flow_scale"):  # of pwcnet and pwcnet_published
        if getattr(loaded, part, None) != getattr(network, part, None):
            raise common.UserError(
                f"{init}: this network has another {part} than --network={FLAGS.network}; expected "
                "weights of this one (--init= starts from nothing)"
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
