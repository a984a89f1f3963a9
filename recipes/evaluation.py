"""Flags, benchmarks, methods and the measuring loop that the measuring recipes share."""

import logging
import time
from pathlib import Path

import numpy as np
from absl import flags

from recipes import common

FLAGS = flags.FLAGS
BENCHMARKS = (
    "motorcycle", "scenes", "sintel", "kitti2012", "kitti2015", "middlebury", "hd1k", "chairs",
    "things",
)  # fmt: skip
OWN_TABLE = ("sintel", "kitti2012", "kitti2015")  # benchmarks with strata of their own
BASELINES = ("zero", "farneback", "dis")
SCENE_SEED = 20262  # of the held-out scenes; training seeds are small numbers
COLUMNS = (
    ("epe_all", "EPE all"),
    ("epe_noc", "noc"),
    ("epe_occ", "occ"),
    ("fl_all", "Fl %"),
    ("occlusion_f", "occ F"),
)


def define_flags(benchmarks, baselines, data, scenes):
    """Flags of a recipe that measures networks.

    Args:
        benchmarks: what --data may name.
        baselines: what --baselines may name.
        data, scenes: defaults of --data and --scenes.
    """
    flags.DEFINE_string("workdir", None, "where metrics.json and pictures go", required=True)
    flags.DEFINE_list("model", ["ddflow"], "networks: shipped names or paths, comma-separated")
    flags.DEFINE_enum("network", None, common.NETWORKS, "what a .weights.h5 file belongs to")
    flags.DEFINE_list("data", data, f"of {', '.join(benchmarks)}")
    flags.DEFINE_string("data_dir", None, "root of the benchmark's tree (one benchmark at a time)")
    flags.DEFINE_list("scales", ["1", "0.5", "0.25"], "of motorcycle")
    flags.DEFINE_integer("scenes", scenes, "generated scenes", lower_bound=1)
    flags.DEFINE_string("scene_size", "384x512", "of the generated scenes, HEIGHTxWIDTH")
    flags.DEFINE_list("baselines", list(baselines), "beside the networks, may be empty")
    flags.DEFINE_bool("strata", True, "of Sintel and KITTI also the benchmark's own table")
    flags.DEFINE_integer("limit", None, "records of each benchmark at most", lower_bound=1)
    flags.DEFINE_integer("pictures", 2, "sheets drawn for each benchmark", lower_bound=0)
    flags.DEFINE_bool("smoke", False, "a fresh small network on two small scenes: seconds")
    common.check_choices("data", benchmarks)
    common.check_choices("baselines", baselines)
    common.check_choices("scales", ("1", "1.0", "0.5", "0.25"))
    common.check_size("scene_size")
    flags.register_multi_flags_validator(
        ["data", "data_dir"], _tree_is_named, "--data_dir must name the tree of the one benchmark"
    )


def _tree_is_named(given):
    trees = set(given["data"]) - {"motorcycle", "scenes"}
    return not trees or (len(trees) == 1 and given["data_dir"])


def load_networks():
    """{name: network} of --model; a fresh small one for --smoke."""
    from kcorr.models import build, load

    if FLAGS.smoke:
        return {"untrained": build("ddflow_small")}
    try:
        return {name: load(name, FLAGS.network, gives="flow") for name in FLAGS.model}
    except ValueError as error:
        raise common.UserError(f"--model: {error}") from error


def open_benchmark(
    name,
    data_dir=None,
    scales=(1.0,),
    scenes=200,
    size=(384, 512),
    motion=100.0,
    frames=2,
    multi_view=None,
):
    """The sources of a benchmark.

    Args:
        name: one of `BENCHMARKS`.
        data_dir: root of the benchmark's tree; motorcycle and scenes need none.
        scales: of motorcycle.
        scenes: number of generated scenes; their textures are scikit-image photographs that no
            shipped network was trained on.
        size: (height, width) of the scenes.
        motion: largest motion in the scenes, in pixels.
        frames: 2; 3 or 4 where a network wants the frame before the pair, or also the one behind
            it, of Sintel (which repeats a scene's first and last) and of KITTI.
        multi_view: of KITTI, the folder of the multi-view extension; without it there are pairs.

    Returns:
        {title: source}. Records of KITTI 2015 have `objects` if the tree has its object maps.

    Raises:
        FileNotFoundError: the tree is missing; the message shows the expected layout.
    """
    from kcorr import datasets
    from kcorr.io import read_image

    if name == "motorcycle":
        return {f"Motorcycle x{scale:g}": datasets.Motorcycle(scale) for scale in scales}
    if name == "scenes":
        textures = [read_image(path) for path in datasets.demo_images("test")]
        return {
            f"scenes {size[0]}x{size[1]}, <= {motion:g} px": datasets.Scenes(
                textures, size, length=scenes, seed=SCENE_SEED, max_motion=motion, noise_share=0.0
            )
        }
    if name == "sintel":
        return {
            f"Sintel {kind}": datasets.Sintel(
                data_dir, "training", kind, frames=frames, ends="repeat"
            )
            for kind in ("clean", "final")
        }
    readers = {
        "middlebury": ("Middlebury", datasets.Middlebury),
        "hd1k": ("HD1K", datasets.HD1K),
        "chairs": ("FlyingChairs", lambda root: datasets.FlyingChairs(root, "validation")),
        "things": ("FlyingThings3D clean", lambda root: datasets.FlyingThings3D(root, "test")),
    }
    if name in readers:
        title, reader = readers[name]
        return {title: reader(data_dir)}
    if frames > 2 and multi_view is None:
        logging.info("no --multi_view_dir: the first frame stands for the one before it")
        frames = 2
    return {f"KITTI {name[5:]}": open_kitti(name, data_dir, frames=frames, multi_view=multi_view)}


def open_kitti(name, data_dir, **options):
    """The reader of "kitti2012" or "kitti2015" with `options`, and object maps if there are any."""
    from kcorr import datasets

    if name == "kitti2012":
        return datasets.KITTI2012(data_dir, **options)
    objects = Path(data_dir, "training", "obj_map").is_dir()
    return datasets.KITTI2015(data_dir, **options, objects=objects)


def network_method(network, protocol=None, occlusion=True):
    """`method(image1, image2, **around) -> (flow, occlusion, seconds)` for `measure`.

    The time is of the flow alone. The first picture of each size is run twice, so that building the
    graph is not timed.

    Args:
        network, protocol: see `kcorr.models.predict`.
        occlusion: whether to find occlusions, too, which takes twice the work again; else None.

    Method's arguments: `around` holds image0 and image3 if they are known; a network of two frames
    does not look at them.
    """
    from kcorr.models.predict import Predictor

    forward, both = (Predictor(network, backward, protocol=protocol) for backward in (False, True))
    three = getattr(network, "frames", 2) == 3
    seen = set()

    def method(image1, image2, **around):
        images = {"image1": image1, "image2": image2, **(around if three else {})}
        if image1.shape not in seen:
            forward(**images)
            seen.add(image1.shape)
        start = time.perf_counter()
        result = forward(**images)
        seconds = time.perf_counter() - start
        if not occlusion:
            return result["flow"], None, seconds
        result = both(**images)
        return result["flow"], result["occlusion"], seconds

    return method


def baseline_methods(names):
    """Methods to stand beside a network: zero flow, and OpenCV's where OpenCV is installed.

    OpenCV's defaults: DIS with the "medium" preset, Farneback with the parameters of OpenCV's
    documentation (pyramid 0.5, 3 levels, window 15, 3 iterations, poly 5 / 1.2).

    Returns:
        {name: method}; a name without OpenCV is left out.
    """
    methods = {}
    if "zero" in names:
        methods["zero flow"] = lambda image1, image2: np.zeros((*image1.shape[:2], 2), np.float32)
    try:
        import cv2
    except ImportError:
        return {name: _timed(method) for name, method in methods.items()}

    def grey(image):
        return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)

    if "farneback" in names:
        methods["Farneback"] = lambda image1, image2: cv2.calcOpticalFlowFarneback(
            grey(image1), grey(image2), None, 0.5, 3, 15, 3, 5, 1.2, 0
        )
    if "dis" in names:
        dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        methods["DIS"] = lambda image1, image2: dis.calc(grey(image1), grey(image2), None)
    return {name: _timed(method) for name, method in methods.items()}


def _timed(method):
    def timed(image1, image2, **around):
        start = time.perf_counter()
        flow = method(image1, image2)
        return flow, None, time.perf_counter() - start

    return timed


def measure(source, methods, pictures=0, limit=None, tick=lambda: None, distances=False):
    """Runs methods over a source.

    Args:
        source: records with image1, image2, flow, valid and, if known, occlusion, objects, image0
            and image3.
        methods: {name: method}.
        pictures: how many records are kept for drawing.
        limit: records at most, None for all.
        tick: called after each record.
        distances: see `FlowEvaluation`.

    Returns:
        results: {method: `FlowEvaluation.result()` and "seconds", the median a picture}.
        kept: list of (name, record, {method: flow}, {method: occlusion}).
    """
    from kcorr.metrics import FlowEvaluation

    evaluations = {name: FlowEvaluation(distances=distances) for name in methods}
    seconds = {name: [] for name in methods}
    kept = []
    for index in range(len(source) if limit is None else min(limit, len(source))):
        record, flows, hidden = source[index], {}, {}
        around = {key: record[key] for key in ("image0", "image3") if key in record}
        for name, method in methods.items():
            flow, occlusion, took = method(record["image1"], record["image2"], **around)
            evaluations[name].update(
                flow,
                record["flow"],
                record["valid"],
                record.get("occlusion"),
                occlusion,
                name=source.names[index],
                objects=record.get("objects"),
            )
            seconds[name].append(took)
            flows[name], hidden[name] = flow, occlusion
        if index < pictures:
            kept.append((source.names[index], record, flows, hidden))
        tick()
    results = {
        name: {**evaluation.result(), "seconds": float(np.median(seconds[name]))}
        for name, evaluation in evaluations.items()
    }
    return results, kept


def distances_known():
    """Whether Sintel's strata by distance can be measured, which needs scipy."""
    import importlib.util

    there = importlib.util.find_spec("scipy") is not None
    if not there:
        logging.info("scipy is not installed: d0-10, d10-60 and d60-140 are left out")
    return there


def own_tables(results, benchmarks, task="flow"):
    """What the benchmarks' own tables show of results.

    Args:
        results: {title: {method: result}}.
        benchmarks: {title: name}; titles whose name is not of `OWN_TABLE` are left out.
        task: "flow" or "disparity".

    Returns:
        {title: {method: {column: value}}}, see `kcorr.metrics.official_scores`.
    """
    from kcorr.metrics import official_scores

    return {
        f"{title}, as the benchmark counts": {
            method: official_scores(result, benchmarks[title], task)
            for method, result in methods.items()
        }
        for title, methods in results.items()
        if benchmarks[title] in OWN_TABLE
    }


def show_results(workdir, results, benchmarks, task="flow", columns=COLUMNS):
    """Writes metrics.json and prints the tables; see `own_tables` and `table`."""
    own = own_tables(results, benchmarks, task) if FLAGS.strata else {}
    common.write_metrics(workdir, results | own)
    common.show(table(results, columns))
    if own:
        names = next(iter(next(iter(own.values())).values()))
        common.show(table(own, [(name, name) for name in names]))
    print(f"numbers: {workdir / 'metrics.json'}   pictures: {workdir / 'pictures'}")


def table(results, columns=COLUMNS):
    """A rich table of {title: {method: result}}.

    Args:
        results: of `measure`; where they have "seconds", these are a column, too.
        columns: (key, heading) of the others.
    """
    from rich.table import Table

    timed = any("seconds" in one for methods in results.values() for one in methods.values())
    headings = [heading for _, heading in columns] + (["ms"] if timed else [])
    out = Table("data", "method", *headings, title_justify="left")
    for column in out.columns[2:]:
        column.justify = "right"
    for title, methods in results.items():
        for name, result in methods.items():
            values = [result.get(key) for key, _ in columns]
            cells = ["-" if value is None else f"{value:.2f}" for value in values]
            if timed:
                cells.append(f"{1000 * result['seconds']:.0f}")
            out.add_row(title, name, *cells)
            title = ""
        out.add_section()
    return out


def draw(record, flows, hidden):
    """One sheet: the frames, the true flow and each method's flow in one colour scale, errors."""
    from kcorr import viz

    valid = record["valid"]
    scale = viz.flow_scale(record["flow"], valid=valid)
    sheet = [
        ("frame 1", record["image1"]),
        ("frame 2", record["image2"]),
        ("true flow (black: unknown)", viz.flow_to_color(record["flow"], scale, valid)),
    ]
    for name, flow in flows.items():
        sheet.append((name, viz.flow_to_color(flow, scale)))
        sheet.append((f"{name}: error", viz.error_map(flow, record["flow"], valid)))
        if hidden.get(name) is not None:
            overlay = viz.occlusion_overlay(record["image1"], hidden[name])
            sheet.append((f"{name}: hidden in frame 2", overlay))
    return viz.side_by_side(sheet, columns=3)
