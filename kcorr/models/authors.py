"""The authors' released TensorFlow 1 checkpoints, read into kcorr's networks."""

from kcorr.io import FormatError
from kcorr.io.tf_bundle import bundle_prefix, read_bundle, read_bundle_index
from kcorr.models.registry import build

_KINDS = {"kernel": "weights", "bias": "biases"}
_STEP = "Variable"  # the training step; the test graph of the authors' code has none


def from_authors_checkpoint(prefix, dtype="float32", standardise=False):
    """A network with the weights of one of the authors' released checkpoints.

    DDFlow or SelFlow, which the shapes tell. Kernels are stored as height, width, in, out, which is
    Keras' order too, so they are taken as they are; `build("ddflow")` and `build("selflow")` have
    the authors' sampler and resizing, hence their outputs. Feed images in [0, 1].

    Args:
        prefix: the checkpoint's path without `.index`, for example "KITTI/census_occlusion"; a name
            of one of its files is understood too.
        dtype: dtype or dtype policy of the network; mixed policies keep the weights in float32.
        standardise: whether the network standardises its images. No file says what its weights
            expect: True for the one that learned from ground truth, SelFlow's
            "Sintel/supervise_finetune"; False for all others.

    Returns:
        A built `DDFlowNet` or `SelFlowNet`.

    Raises:
        FileNotFoundError: `<prefix>.index` or its data file does not exist.
        FormatError: (a ValueError) the files are damaged; or variables are missing, unknown or of
            another shape, all of which are named.

    Source: Liu et al., DDFlow, AAAI 2019, and SelFlow, CVPR 2019, released checkpoints (TensorFlow
    1 bundles, 98 tensors).
    """
    index = bundle_prefix(prefix) + ".index"
    entries = read_bundle_index(prefix)
    family = "SelFlow" if _looks_like_selflow(entries) else "DDFlow"
    network = build(family.lower(), dtype=dtype, standardise=standardise)
    weights = {authors_name(weight.path): weight for weight in network.weights}
    problems = _problems(entries, {name: tuple(weight.shape) for name, weight in weights.items()})
    if problems:
        raise FormatError(index, f"not a checkpoint of {family}: " + "; ".join(problems))
    for name, values in read_bundle(prefix, weights).items():
        weights[name].assign(values)
    return network


def authors_name(path):
    """The authors' name of a weight: ".../conv1_1/kernel" -> ".../conv1_1/weights".

    Args:
        path: a Keras weight's path, whose last three parts are scope, layer and kind.
    """
    scope, layer, kind = path.split("/")[-3:]
    return f"{scope}/{layer}/{_KINDS[kind]}"


def _looks_like_selflow(entries):
    """Whether the estimators' first kernels take what SelFlow's would, rather than DDFlow's.

    Both families have the same names. Each estimator of DDFlow takes one cost volume, the features
    and one flow, 81 + c + 2 channels, SelFlow's two, the features and two, 162 + c + 4.
    """
    votes = 0
    for level in range(2, 7):
        first = entries.get(f"estimator_level_{level}/conv1/weights")
        features = entries.get(f"feature_extractor/conv{level}_2/biases")
        if first and features and len(first.shape) == 4 and len(features.shape) == 1:
            channels = first.shape[2] - features.shape[0]
            votes += (channels == 162 + 4) - (channels == 81 + 2)
    return votes > 0


def _problems(entries, shapes):
    """What differs from the expected names and shapes, each kind in one sentence."""
    missing = sorted(shapes.keys() - entries.keys())
    unknown = sorted(entries.keys() - shapes.keys() - {_STEP})
    wrong = [
        f"{name} {_describe(entries[name].dtype, entries[name].shape)} instead of "
        f"{_describe('float32', shape)}"
        for name, shape in sorted(shapes.items())
        if name in entries and entries[name][:2] != ("float32", shape)
    ]
    step = entries.get(_STEP)
    if step and (step.shape or not step.dtype.startswith("int")):
        wrong.append(f"{_STEP} {_describe(step.dtype, step.shape)} instead of an integer")
    kinds = {"missing": missing, "unknown": unknown, "misshapen": wrong}
    return [f"{kind}: {_some(found)}" for kind, found in kinds.items() if found]


def _some(names, most=8):
    """The first few of many names: another network's checkpoint differs in all of them."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def _describe(dtype, shape):
    return f"{dtype} {list(shape)}"
