"""Benchmarks, methods and the measuring loop that `evaluate_flow` and `quickstart` share."""

import time

import numpy as np

BENCHMARKS = ("motorcycle", "scenes", "sintel", "kitti2012", "kitti2015", "chairs")
BASELINES = ("zero", "farneback", "dis")
SCENE_SEED = 20262  # of the held-out scenes; training seeds are small numbers
COLUMNS = (
    ("epe_all", "EPE all"),
    ("epe_noc", "noc"),
    ("epe_occ", "occ"),
    ("fl_all", "Fl %"),
    ("occlusion_f", "occ F"),
)


def open_benchmark(name, data_dir=None, scales=(1.0,), scenes=200, size=(384, 512), motion=100.0):
    """The sources of a benchmark.

    Args:
        name: one of `BENCHMARKS`.
        data_dir: root of the benchmark's tree; motorcycle and scenes need none.
        scales: of motorcycle.
        scenes: number of generated scenes; their textures are scikit-image photographs that no
            shipped network was trained on.
        size: (height, width) of the scenes.
        motion: largest motion in the scenes, in pixels.

    Returns:
        {title: source}.

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
            f"Sintel {kind}": datasets.Sintel(data_dir, "training", kind)
            for kind in ("clean", "final")
        }
    readers = {
        "kitti2012": ("KITTI 2012", datasets.KITTI2012),
        "kitti2015": ("KITTI 2015", datasets.KITTI2015),
        "chairs": ("FlyingChairs", lambda root: datasets.FlyingChairs(root, "validation")),
    }
    title, reader = readers[name]
    return {title: reader(data_dir)}


def network_method(network):
    """`method(image1, image2) -> (flow, occlusion, seconds)`; the time is of the flow alone.

    The first picture of each size is run twice, so that building the graph is not timed.
    """
    from kcorr.models.predict import Predictor

    forward, both = Predictor(network, backward=False), Predictor(network, backward=True)
    seen = set()

    def method(image1, image2):
        if image1.shape not in seen:
            forward(image1, image2)
            seen.add(image1.shape)
        start = time.perf_counter()
        forward(image1, image2)
        seconds = time.perf_counter() - start
        result = both(image1, image2)
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
    def timed(image1, image2):
        start = time.perf_counter()
        flow = method(image1, image2)
        return flow, None, time.perf_counter() - start

    return timed


def measure(source, methods, pictures=0, limit=None, tick=lambda: None):
    """Runs methods over a source.

    Args:
        source: records with image1, image2, flow, valid and, if known, occlusion.
        methods: {name: method}.
        pictures: how many records are kept for drawing.
        limit: records at most, None for all.
        tick: called after each record.

    Returns:
        results: {method: `FlowEvaluation.result()` and "seconds", the median a picture}.
        kept: list of (name, record, {method: flow}, {method: occlusion}).
    """
    from kcorr.metrics import FlowEvaluation

    evaluations = {name: FlowEvaluation() for name in methods}
    seconds = {name: [] for name in methods}
    kept = []
    for index in range(len(source) if limit is None else min(limit, len(source))):
        record, flows, hidden = source[index], {}, {}
        for name, method in methods.items():
            flow, occlusion, took = method(record["image1"], record["image2"])
            evaluations[name].update(
                flow,
                record["flow"],
                record["valid"],
                record.get("occlusion"),
                occlusion,
                name=source.names[index],
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


def table(results):
    """A rich table of {title: {method: result}}."""
    from rich.table import Table

    out = Table("data", "method", *(heading for _, heading in COLUMNS), "ms", title_justify="left")
    for column in out.columns[2:]:
        column.justify = "right"
    for title, methods in results.items():
        for name, result in methods.items():
            values = [result[key] for key, _ in COLUMNS]
            cells = ["-" if value is None else f"{value:.2f}" for value in values]
            out.add_row(title, name, *cells, f"{1000 * result['seconds']:.0f}")
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
