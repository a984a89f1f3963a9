"""Measures a flow network as a stereo method, beside OpenCV's SGBM and zero, by KITTI's rules.

    python -m recipes.evaluate_stereo --workdir=runs/stereo                      # Motorcycle
    python -m recipes.evaluate_stereo --model=my.keras --data=kitti2015 \
        --data_dir=kitti/data_scene_flow --workdir=runs/kitti_stereo
    python -m recipes.evaluate_stereo --smoke --workdir=/tmp/stereo              # seconds

D1 is the share of pixels wrong by more than 3 px and 5 %, pooled over pixels; EPE is the mean over
pictures of the mean |d - d'|. SGBM leaves holes. As it is, each is an error (EPE then is infinite,
"-" here); filled, each takes the disparity of the nearest known pixel to its left in the row, of
the first known one where there is none: what hides a pixel from the right camera stands to its
right, so that the left neighbour is background.

SGBM has the parameters of OpenCV's own stereo_match sample, see `recipes.matching`.
"""

import time

from absl import flags

from recipes import common, evaluation, matching

FLAGS = flags.FLAGS
DATA = ("motorcycle", "scenes", "kitti2012", "kitti2015")
BASELINES = ("zero", "sgbm")
COLUMNS = (
    ("epe_all", "EPE all"),
    ("epe_noc", "noc"),
    ("epe_occ", "occ"),
    ("d1_all", "D1 all %"),
    ("d1_noc", "noc"),
    ("d1_occ", "occ"),
    ("holes", "holes %"),
)
evaluation.define_flags(DATA, BASELINES, data=["motorcycle"], scenes=50)
flags.DEFINE_float("max_disparity", 64.0, "of the generated scenes, pixels", lower_bound=1.0)
flags.DEFINE_integer(
    "disparities", None, "SGBM's search range; default an eighth of the width", lower_bound=16
)
flags.DEFINE_integer("repeats", 3, "runs a picture, of which the fastest is timed", lower_bound=1)


def main():
    """Prints the tables; writes metrics.json and pictures/."""
    from kcorr.io import write_image

    if FLAGS.smoke:
        FLAGS.data, FLAGS.scenes, FLAGS.scene_size, FLAGS.max_disparity = ["scenes"], 2, "64x96", 8
        FLAGS.repeats = 1
    sources, benchmarks = {}, {}
    for name in FLAGS.data:
        opened = open_benchmark(name)
        sources |= opened
        benchmarks |= dict.fromkeys(opened, name)
    methods = baseline_methods() | network_methods()
    workdir = common.open_workdir()
    (workdir / "pictures").mkdir(exist_ok=True)
    results = {}
    for title, source in sources.items():
        results[title], kept = measure(source, methods)
        for name, record, found in kept:
            path = workdir / "pictures" / f"{name.replace('/', '_')}.png"
            write_image(path, draw(record, found))
    evaluation.show_results(workdir, results, benchmarks, "disparity", COLUMNS)


def open_benchmark(name):
    """{title: source} with image1, image2, disparity, valid and occlusion."""
    from kcorr import datasets
    from kcorr.io import read_image

    if name == "motorcycle":
        return evaluation.open_benchmark(name, scales=[float(scale) for scale in FLAGS.scales])
    if name == "scenes":
        textures = None
        if not FLAGS.smoke:
            textures = [read_image(path) for path in datasets.demo_images("test")]
        height, width = common.parse_size(FLAGS.scene_size)
        source = datasets.StereoScenes(
            textures,
            (height, width),
            length=FLAGS.scenes,
            seed=evaluation.SCENE_SEED,
            max_disparity=FLAGS.max_disparity,
            noise_share=0.0,
        )
        return {f"scenes {height}x{width}, <= {FLAGS.max_disparity:g} px": source}
    return {f"KITTI {name[5:]} stereo": evaluation.open_kitti(name, FLAGS.data_dir, task="stereo")}


def network_methods():
    """{name: method} of --model; a method maps (left, right) to {row: disparity}, seconds."""
    from kcorr.models import disparity_of_flow

    def as_stereo(name, flow_method):
        def method(left, right):
            flow, _, seconds = flow_method(left, right)
            return {name: (disparity_of_flow(flow), seconds)}

        return method

    found = evaluation.load_networks()
    names = {name: name if FLAGS.smoke else f"kcorr {name}" for name in found}
    return {
        names[name]: as_stereo(names[name], evaluation.network_method(network, occlusion=False))
        for name, network in found.items()
    }


def baseline_methods():
    """{name: method} of --baselines; SGBM is left out where OpenCV is not installed."""
    import numpy as np

    methods = {}
    if "zero" in FLAGS.baselines:
        methods["zero"] = lambda left, right: {
            "zero": (np.zeros((*left.shape[:2], 1), np.float32), 0.0)
        }
    try:
        import cv2  # noqa: F401
    except ImportError:
        return methods
    if "sgbm" in FLAGS.baselines:
        methods["sgbm"] = _sgbm
    return methods


def _sgbm(left, right):
    start = time.perf_counter()
    holes = matching.semi_global_matching(left, right, FLAGS.disparities)
    seconds = time.perf_counter() - start
    filled = matching.filled_from_the_left(holes)
    return {
        "SGBM with holes": (holes, seconds),
        "SGBM filled": (filled, time.perf_counter() - start),
    }


def measure(source, methods):
    """({row: result and "seconds", "holes"}, list of (name, record, {row: disparity}))."""
    import numpy as np

    from kcorr.metrics import DisparityEvaluation

    evaluations, seconds, kept = {}, {}, []
    for index in range(min(len(source), FLAGS.limit or len(source))):
        record, found = source[index], {}
        name = source.names[index]
        for method in methods.values():
            runs = [method(record["image1"], record["image2"]) for _ in range(FLAGS.repeats)]
            for row, (disparity, _) in runs[0].items():
                found[row] = disparity
                # The fastest: whatever else the machine does can only add.
                seconds.setdefault(row, []).append(min(run[row][1] for run in runs))
                evaluations.setdefault(row, DisparityEvaluation()).update(
                    disparity,
                    record["disparity"],
                    record["valid"],
                    record["occlusion"],
                    name,
                    objects=record.get("objects"),
                )
        if index < FLAGS.pictures:
            kept.append((name, record, found))
    results = {}
    for row, one in evaluations.items():
        result = one.result()
        finite = {k: v for k, v in result.items() if v is not None and np.isfinite(v)}
        holes = 100 * result["missing"] / max(result["pixels_all"], 1)
        results[row] = {**finite, "holes": holes, "seconds": float(np.median(seconds[row]))}
    return results, kept


def draw(record, found):
    """One sheet: the pictures, the true disparity and each method's in one colour scale."""
    from kcorr import viz

    valid = record["valid"]
    known = record["disparity"][valid > 0]
    largest = float(max(known.max(initial=0.0), 1.0))
    sheet = [
        ("left", record["image1"]),
        ("right", record["image2"]),
        ("truth (black: unknown)", viz.disparity_to_color(record["disparity"], largest, valid)),
    ]
    sheet += [(row, viz.disparity_to_color(one, largest)) for row, one in found.items()]
    return viz.side_by_side(sheet, columns=3)


if __name__ == "__main__":
    common.run(main)
