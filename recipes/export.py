"""A trained network as a SavedModel: signatures, warm-up requests, a model card, a new version.

    python -m recipes.export --model=ddflow --directory=saved_models/ddflow
    python -m recipes.export --model=runs/mine/network.keras \\
        --directory=saved_models/mine --training='{"data": "my frames", "steps": 20000}'
    python -m recipes.export --model=runs/faces/network.keras --directory=saved_models/faces
    python -m recipes.export --smoke --workdir=/tmp/export      # a fresh network, seconds

Networks of flow, landmarks, dense labels and matches. What was written is loaded again and asked;
its answer must be the network's.
"""

import json
import time

from absl import flags

from recipes import common

FLAGS = flags.FLAGS
# With `common.NETWORKS` what `kcorr.models.build` knows; a test holds them to it.
OBJECT_NETWORKS = (
    "hourglass", "hourglass_small", "landmarks", "landmarks_dilated", "object_frame",
    "object_frame_simple",
)  # fmt: skip
MATCH_NETWORKS = ("deep_matching", "deep_matching_hog", "deep_matching_vgg")
flags.DEFINE_string("model", None, "what to export: .keras, .weights.h5 or a shipped name")
flags.DEFINE_enum(
    "network",
    None,
    common.NETWORKS + OBJECT_NETWORKS + MATCH_NETWORKS,
    "whose weights a .weights.h5 holds; default: found by shape",
)
flags.DEFINE_string("directory", None, "the model's folder; versions 1, 2, ... lie in it")
flags.DEFINE_integer(
    "version", None, "number to write; default: one more than the highest there", lower_bound=1
)
flags.DEFINE_string("name", None, "name of the served model; default: the folder's name")
flags.DEFINE_string("training", None, "JSON object about the training, for the model card")
flags.DEFINE_string("workdir", None, "if given: flags.txt and metrics.json go there")
flags.DEFINE_bool(
    "smoke", False, "export a fresh --network (ddflow_small) into --workdir and check it"
)

# Pixels, or a share of the largest number: sums in another order. A landmark is a mean over the
# picture, so that its last digits move more.
TOLERANCE = {"flow": 1e-3, "landmarks": 1e-2, "labels": 1e-3, "matches": 1e-3}
_COMPARED = {"flow": "flow", "landmarks": "points", "labels": "labels", "matches": "confidence"}
_OF_PAIRS = ("flow", "matches")


def _json_object(text):
    try:
        return text is None or isinstance(json.loads(text), dict)
    except ValueError:
        return False


flags.register_validator("training", _json_object, "--training is a JSON object: '{\"steps\": 9}'")
flags.register_multi_flags_validator(
    ["smoke", "workdir", "model", "directory"],
    lambda given: given["workdir"] if given["smoke"] else given["model"] and given["directory"],
    "give --model and --directory, or --smoke and --workdir",
)


def main():
    """Exports, checks, and writes WORKDIR/metrics.json if there is a --workdir."""
    workdir = common.open_workdir() if FLAGS.workdir else None
    if FLAGS.smoke:
        FLAGS.directory = str(workdir / "saved_model")
    network = load_network()
    from kcorr.export import export_network

    start = time.perf_counter()
    try:
        version = export_network(
            network,
            FLAGS.directory,
            version=FLAGS.version,
            card=json.loads(FLAGS.training) if FLAGS.training else None,
            name=FLAGS.name,
        )
    except (ValueError, OSError) as error:
        raise common.UserError(str(error)) from error
    metrics = {
        "saved_model": str(version),
        "seconds": round(time.perf_counter() - start, 2),
        "bytes": sum(path.stat().st_size for path in version.rglob("*") if path.is_file()),
        "largest_difference": largest_difference(network, version),
    }
    if workdir:
        common.write_metrics(workdir, metrics)
    print(
        f"saved model: {version} ({metrics['bytes'] / 1e6:.1f} MB, {metrics['seconds']} s); its "
        f"answers differ from the network's by at most {metrics['largest_difference']:.1e}"
    )
    if metrics["largest_difference"] > TOLERANCE[getattr(network, "gives", "flow")]:
        raise RuntimeError(f"{version} does not compute what the network computes")


def load_network():
    """The network of --model, or a fresh one for --smoke."""
    from kcorr import models

    if FLAGS.smoke:
        return models.build(FLAGS.network or "ddflow_small")
    try:
        return models.load(FLAGS.model, network=FLAGS.network)
    except (ValueError, OSError) as error:
        raise common.UserError(f"--model: {error}") from error


def largest_difference(network, version):
    """How far the exported network's answers are from the network's, on noise.

    Args:
        network: built.
        version: folder of its export.

    Returns:
        The largest |difference|: in pixels of flow or landmarks, of labels and the scores of
        matches as a share of the largest number in them (if that is above 1).
    """
    import numpy as np
    import tensorflow as tf

    from kcorr.models.registry import gives_of

    gives = gives_of(network)
    key = _COMPARED[gives]
    names = ["image1", "image2"] if gives in _OF_PAIRS else ["image"]
    pixels = np.random.default_rng(0).integers(0, 256, (len(names), 1, 75, 101, 3), dtype=np.uint8)
    pixels = dict(zip(names, pixels, strict=True))
    serve = tf.saved_model.load(str(version)).signatures["serving_default"]
    found = serve(**{name: tf.constant(image) for name, image in pixels.items()})[key]
    # As a graph, like the SavedModel: some samplers jump at pixel borders, so that another order
    # of sums can show.
    answer = tf.function(lambda images: network(images)[key])
    expected = answer({name: np.float32(image) / 255 for name, image in pixels.items()})
    shared = gives in ("labels", "matches")
    unit = max(1.0, float(np.abs(expected).max())) if shared else 1.0
    return float(np.abs(found - expected).max()) / unit


if __name__ == "__main__":
    common.run(main)
