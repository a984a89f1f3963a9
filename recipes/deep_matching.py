"""Deep matching, trained end to end: the rows of Table 1 of its paper, on scenes of real textures.

    python -m recipes.deep_matching --workdir=runs/matching                    # the table
    python -m recipes.deep_matching --rows=cnn_both --workdir=runs/matching    # one network
    python -m recipes.deep_matching --smoke --workdir=/tmp/matching            # a minute

Rows: `hog` (hand-made descriptors, nothing learned), `hog_nu` (the exponents of its levels learn),
`cnn` (a small CNN of random weights, or --vgg_weights), `cnn_nu` (its exponents learn),
`cnn_features` (its descriptors learn, through all levels), `cnn_both` (both learn); and of flow
networks `flow`, the shipped one, beside them.

Rows learn from pairs that are cut from pictures without labels and moved by known motions
(`kcorr.datasets.Scenes`), or from ground truth (--data=sintel --data_dir=..., and so on); hidden
points do not count. They are measured on other textures, on scenes where everything moves fast, on
such of repetitive textures, and on Motorcycle:

    acc@T     share of pixels whose nearest match (within 8 pixels) errs by at most T pixels
    EPE m     mean error of the matches, in pixels
    EPE flow  of the flow that they are interpolated to

Each row writes network.weights.h5 and network.keras into WORKDIR/ROW; the same command again goes
on where it was killed. The paper learns with SGD, one pair a step, and does not say for how long.
"""

import itertools
import time

from absl import flags

from recipes import common, evaluation, labelled, networks, scenes

FLAGS = flags.FLAGS
HOG, CNN = "deep_matching_hog", "deep_matching"
# {row: (title, network, whether exponents learn, whether descriptors learn)}
ROWS = {
    "hog": ("HOG", HOG, False, False),
    "hog_nu": ("HOG, exponents", HOG, True, False),
    "cnn": ("CNN", CNN, False, False),
    "cnn_nu": ("CNN, exponents", CNN, True, False),
    "cnn_features": ("CNN, descriptors", CNN, False, True),
    "cnn_both": ("CNN, both", CNN, True, True),
    "flow": ("flow network", None, False, False),
}
# Of SintelMini, with VGG's descriptors: acc@2, 5, 10, EPE of matches and of flow.
PAPER = {
    "hog": (84.52, 91.89, 94.36, 3.83, 1.88),
    "hog_nu": (84.59, 92.03, 94.49, 3.73, 1.84),
    "cnn": (85.28, 92.25, 94.83, 3.58, 1.80),
    "cnn_nu": (85.30, 92.27, 94.87, 3.70, 1.64),
    "cnn_features": (86.81, 92.52, 94.86, 3.37, 1.60),
    "cnn_both": (86.79, 92.58, 94.90, 3.34, 1.57),
}
COLUMNS = ("acc@2", "acc@5", "acc@10", "epe", "epe_flow")
KEYS = ("image1", "image2", "flow", "valid", "occlusion")
OPTIMIZERS = ("adam", "sgd")

common.define_training_flags(
    steps=2500, batch_size=1, learning_rate=1e-3, size="128x160", networks=(CNN,)
)
scenes.define_flags(max_motion=16.0)
labelled.define_flags()
flags.DEFINE_list("rows", list(ROWS), f"of {', '.join(ROWS)}")
flags.DEFINE_enum("optimizer", "adam", OPTIMIZERS, "sgd, with momentum, is the published one")
flags.DEFINE_float("momentum", 0.9, "of --optimizer=sgd", lower_bound=0, upper_bound=1)
flags.DEFINE_float(
    "weight_decay", 0.0, "lambda: the loss has lambda / 2 times the descriptor's squared weights",
    lower_bound=0,
)  # fmt: skip
flags.DEFINE_float("sigma", 3.0, "of the hinge's margin in pixels; not published", lower_bound=0.1)
flags.DEFINE_integer("radius", 16, "largest displacement in pixels while learning", lower_bound=2)
flags.DEFINE_integer("test_radius", 80, "the same while measuring", lower_bound=2)
flags.DEFINE_string("vgg_weights", None, "your file of a VGG-16 of Keras, for the CNN rows")
flags.DEFINE_integer("test_scenes", 8, "scenes of each kind that are measured", lower_bound=1)
flags.DEFINE_string("test_size", "384x512", "of them, HEIGHTxWIDTH")
flags.DEFINE_float("test_motion", 60.0, "largest motion in them, pixels", lower_bound=1.0)
flags.DEFINE_integer("pictures", 2, "sheets drawn of each kind", lower_bound=0)
common.check_choices("rows", ROWS)
common.check_size("test_size")
flags.register_validator("rows", bool, "--rows must name at least one row")
for _name in ("radius", "test_radius"):
    flags.register_validator(_name, lambda n: n % 2 == 0, f"--{_name} must be even")


def main():
    """Trains and measures each row; writes metrics.json, networks and pictures."""
    workdir = common.open_workdir()
    if FLAGS.smoke:
        common.shrink_for_smoke()
        FLAGS.size, FLAGS.radius, FLAGS.max_motion = "64x64", 8, 4.0
        FLAGS.test_size, FLAGS.test_radius, FLAGS.test_scenes = "96x128", 16, 1
        FLAGS.test_motion, FLAGS.pictures = 12.0, 1
        if not FLAGS["rows"].present:
            FLAGS.rows = ["hog", "cnn_both", "flow"]
    rows = [row for row in ROWS if row in FLAGS.rows]
    trained = {row: learned(row, workdir) for row in rows}
    methods = {ROWS[row][0]: method_of(network) for row, network in trained.items()}
    results = {}
    for title, source in test_sources().items():
        results[title], kept = measure(source, methods)
        for name, record, found in kept:
            draw(workdir / "pictures" / f"{title} {name}.png", record, found)
        common.write_metrics(workdir, results)  # a killed run leaves what is known
    common.show(table(results))
    print(f"metrics: {workdir / 'metrics.json'}   pictures: {workdir / 'pictures'}")


# === Learning ===


def learned(row, workdir):
    """The network of a row, with the radius of the measurements."""
    import keras

    from kcorr.io import atomic_write
    from kcorr.models import load
    from kcorr.objectives import DeepMatchingObjective

    _, _, exponents, descriptors = ROWS[row]
    if row == "flow":
        return load("ddflow")
    keras.utils.set_random_seed(FLAGS.seed)
    network = make(row, FLAGS.radius)
    if exponents or descriptors:
        folder = workdir / row
        folder.mkdir(exist_ok=True)
        network.descriptor.trainable = descriptors
        objective = DeepMatchingObjective(network, FLAGS.sigma, FLAGS.weight_decay)
        objective.build()
        objective.compile(optimizer(), jit_compile=FLAGS.jit_compile)
        logs = common.fit(objective, learning_data(), folder, ignore=MEASURING)
        networks.finish(network, folder, logs)
    measured = make(row, FLAGS.test_radius)
    measured.set_weights(network.get_weights())
    if exponents or descriptors:
        # Over that of `finish`: a user wants the radius that it is measured with.
        with atomic_write(folder / "network.keras") as temporary:
            measured.save(temporary)
    return measured


def learning_data():
    """A function of a seed: endless batches of pairs whose flow is known."""
    if FLAGS.data == "scenes":
        textures = scenes.load_textures()
        return lambda seed: scenes.dataset(textures, seed, KEYS)
    source, _ = labelled.open_data()
    return lambda seed: labelled.batches(source, seed, KEYS)


# What training does not depend on.
MEASURING = (
    "rows", "test_radius", "test_scenes", "test_size", "test_motion", "pictures",
)  # fmt: skip


def make(row, radius):
    """A fresh network of a row."""
    from kcorr.models import VggDescriptor, build

    _, name, exponents, _ = ROWS[row]
    options = {"radius": radius, "learned_exponents": exponents}
    if name == CNN and FLAGS.vgg_weights:
        try:
            options["descriptor"] = VggDescriptor(FLAGS.vgg_weights, dtype=FLAGS.dtype_policy)
        except ValueError as error:
            raise common.UserError(f"--vgg_weights: {error}") from error
    network = build(name, dtype=FLAGS.dtype_policy, **options)
    if FLAGS.init and name == CNN:
        networks.load_init(network, FLAGS.init)
    return network


def optimizer():
    """Adam with a cosine, or the published SGD."""
    import keras

    from kcorr.objectives import FusedAdam

    if FLAGS.optimizer == "sgd":
        return keras.optimizers.SGD(FLAGS.learning_rate, FLAGS.momentum)
    rate = keras.optimizers.schedules.CosineDecay(FLAGS.learning_rate, FLAGS.steps, alpha=0.01)
    return FusedAdam(rate)


# === Measuring ===


def test_sources():
    """{title: source}: scenes of other textures, fast ones, repetitive ones, and the real pair."""
    from kcorr.datasets import Motorcycle, Scenes, demo_images
    from kcorr.io import read_image

    textures = [read_image(path) for path in demo_images("test")]
    size, motion = common.parse_size(FLAGS.test_size), FLAGS.test_motion
    options = {"length": FLAGS.test_scenes, "noise_share": 0.0, "max_motion": motion}
    seeds = itertools.count(evaluation.SCENE_SEED)

    def moving(textures, **more):
        return Scenes(textures, size, seed=next(seeds), **options, **more)

    sources = {
        f"scenes up to {motion:g} px": moving(textures),
        f"fast scenes up to {motion:g} px": moving(textures, fast_share=1.0),
        f"repetitive, fast, up to {motion:g} px": moving(repetitive(textures), fast_share=1.0),
    }
    return sources if FLAGS.smoke else {**sources, "Motorcycle x0.5": Motorcycle(0.5)}


def repetitive(textures, period=32, share=0.85):
    """The textures under a pattern that repeats: by itself it fits wherever it comes again."""
    import numpy as np

    out = []
    for number, image in enumerate(textures):
        height, width = image.shape[:2]
        rng = np.random.default_rng(number)
        y, x = (int(rng.integers(side - period)) for side in (height, width))
        tile = image[y : y + period, x : x + period] - image.mean(axis=(0, 1))
        tile *= 50 / max(tile.std(), 1.0)
        pattern = np.tile(tile, (height // period + 1, width // period + 1, 1))[:height, :width]
        mixed = (1 - share) * image + share * (pattern + 128)
        out.append(np.clip(mixed, 0, 255).astype(np.uint8))
    return out


def method_of(network):
    """A function of a record: (matches, flow), the latter None where there are no matches."""
    from kcorr.models import interpolate_matches, predict, predict_matches
    from kcorr.models.registry import gives_of

    def by_matches(record):
        matches = predict_matches(network, record["image1"], record["image2"])
        flow = interpolate_matches(matches, record["image1"]) if len(matches) else None
        return matches, flow

    def by_flow(record):
        flow = predict(network, record["image1"], record["image2"])["flow"]
        return matches_of_flow(flow), flow

    return by_matches if gives_of(network) == "matches" else by_flow


def matches_of_flow(flow):
    """A flow's vectors of the points that deep matching has: [n, 5]."""
    import numpy as np

    height, width = flow.shape[:2]
    y, x = (axis.ravel() for axis in np.mgrid[4 : height - 3 : 8, 4 : width - 3 : 8])
    start = np.stack([x, y], axis=-1)
    return np.concatenate([start, start + flow[y, x], np.ones((len(x), 1))], axis=-1)


def measure(source, methods):
    """Means over a source's records.

    Returns:
        {method: {column: number, "matches", "covered", "seconds"}} and the records that are drawn:
        (name, record, {method: (matches, flow)}).
    """
    import numpy as np

    from kcorr.metrics import matching_accuracy

    found, kept = {name: [] for name in methods}, []
    for index in range(len(source)):
        record, outputs = source[index], {}
        for name, method in methods.items():
            start = time.perf_counter()
            matches, flow = outputs[name] = method(record)
            result = matching_accuracy(matches, record["flow"], record["valid"])
            result["seconds"] = time.perf_counter() - start
            zero = np.zeros_like(record["flow"])
            result["epe_flow"] = endpoint_error(zero if flow is None else flow, record)
            found[name].append(result)
        if index < FLAGS.pictures:
            kept.append((source.names[index], record, outputs))
    means = {
        name: {key: float(np.nanmean([one[key] for one in results])) for key in results[0]}
        for name, results in found.items()
    }
    return means, kept


def endpoint_error(flow, record):
    """Mean error of a flow in pixels where the truth is known."""
    import numpy as np

    error = np.linalg.norm(flow - record["flow"], axis=-1)
    return float(error[record["valid"][..., 0] > 0.5].mean())


def table(results):
    """A rich table of {source: {method: result}}, the paper's numbers below."""
    from rich.table import Table

    out = Table("data", "method", "acc@2 %", "acc@5", "acc@10", "EPE m", "EPE flow", "matches", "s")
    for column in out.columns[2:]:
        column.justify = "right"
    for title, methods in results.items():
        for name, result in methods.items():
            shares = [100 * result[key] for key in COLUMNS[:3]]
            cells = [*shares, *(result[key] for key in COLUMNS[3:])]
            last = (f"{result['matches']:.0f}", f"{result['seconds']:.1f}")
            out.add_row(title, name, *(f"{value:.2f}" for value in cells), *last)
            title = ""
        out.add_section()
    title = "SintelMini, the paper's"
    for row in (row for row in PAPER if row in FLAGS.rows):
        out.add_row(title, ROWS[row][0], *(f"{value:.2f}" for value in PAPER[row]), "", "")
        title = ""
    return out


def draw(path, record, outputs):
    """One sheet: the pictures, the true flow, each method's matches and its flow."""
    from kcorr import io, viz

    scale = viz.flow_scale(record["flow"])
    sheet = [
        ("first", record["image1"]),
        ("second", record["image2"]),
        ("true flow", viz.flow_to_color(record["flow"], scale)),
    ]
    for name, (matches, flow) in outputs.items():
        first, second = viz.color_matches(record["image1"], record["image2"], matches)
        dense = record["flow"] * 0 if flow is None else flow
        flow = viz.flow_to_color(dense, scale)
        sheet += [
            (f"{name}: matches", first),
            (f"{name}: targets", second),
            (f"{name}: flow", flow),
        ]
    path.parent.mkdir(exist_ok=True)
    io.write_image(path, viz.side_by_side(sheet, columns=3))


if __name__ == "__main__":
    common.run(main)
