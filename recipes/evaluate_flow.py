"""Measures a network on benchmarks, beside zero flow and OpenCV's DIS and Farneback.

    python -m recipes.evaluate_flow --workdir=runs/evaluation                # `ddflow`
    python -m recipes.evaluate_flow --model=my.keras --data=sintel --data_dir=data/sintel \
        --workdir=runs/sintel
    python -m recipes.evaluate_flow --smoke --workdir=/tmp/evaluation        # seconds

Motorcycle and the scenes need no download. EPE is the mean over pictures of their means, Fl is
pooled over pixels; metrics.json holds both reductions of everything. Of Sintel and KITTI a second
table (--strata) is the benchmark's own, averaged as there: matched, unmatched, by distance from
occlusion boundaries (approximated) and by speed; foreground and background where the tree has
object maps; 3-pixel outliers for KITTI 2012. `recipes.report` shows both.

A network of three frames sees the frame before each pair: of Sintel the scene's (its first frame is
repeated), of KITTI that of --multi_view_dir. SelFlow's published numbers: --protocol=selflow.
"""

from absl import flags

from recipes import common, evaluation

FLAGS = flags.FLAGS
evaluation.define_flags(
    evaluation.BENCHMARKS, evaluation.BASELINES, data=["motorcycle", "scenes"], scenes=200
)
flags.DEFINE_float("max_motion", 100.0, "largest motion in the scenes, pixels", lower_bound=1.0)
flags.DEFINE_string("multi_view_dir", None, "KITTI's multi-view extension, for three frames")
flags.DEFINE_enum(
    "protocol", None, ("bilinear", "selflow"), "how pictures are sized for the network, see predict"
)


def main():
    """Prints the tables; writes metrics.json and pictures/."""
    if FLAGS.smoke:
        FLAGS.data, FLAGS.scenes, FLAGS.scene_size = ["scenes"], 2, "64x96"
    networks = evaluation.load_networks()
    seeing = [getattr(network, "frames", 2) for network in networks.values()]
    sources, benchmarks = {}, {}
    for name in FLAGS.data:
        opened = evaluation.open_benchmark(
            name,
            FLAGS.data_dir,
            [float(scale) for scale in FLAGS.scales],
            FLAGS.scenes,
            common.parse_size(FLAGS.scene_size),
            FLAGS.max_motion,
            frames=4 if 3 in seeing else 2,  # 4: the flow back has its frame before it, too
            multi_view=FLAGS.multi_view_dir,
        )
        sources |= opened
        benchmarks |= dict.fromkeys(opened, name)
    methods = evaluation.baseline_methods(FLAGS.baselines)
    methods |= {
        name: evaluation.network_method(network, FLAGS.protocol)
        for name, network in networks.items()
    }
    workdir = common.open_workdir()
    results = measure_all(sources, benchmarks, methods, workdir)
    evaluation.show_results(workdir, results, benchmarks)


def measure_all(sources, benchmarks, methods, workdir):
    """{title: {method: result}}; draws as it goes."""
    from rich.progress import track

    from kcorr.io import write_image

    distances = FLAGS.strata and "sintel" in FLAGS.data and evaluation.distances_known()
    results = {}
    (workdir / "pictures").mkdir(exist_ok=True)
    for title, source in sources.items():
        count = min(len(source), FLAGS.limit or len(source))
        steps = iter(track(range(count), description=title, transient=True))
        results[title], kept = evaluation.measure(
            source,
            methods,
            FLAGS.pictures,
            FLAGS.limit,
            tick=lambda steps=steps: next(steps, None),
            distances=distances and benchmarks[title] == "sintel",
        )
        for name, record, flows, hidden in kept:
            path = workdir / "pictures" / f"{name.replace('/', '_')}.png"
            write_image(path, evaluation.draw(record, flows, hidden))
    return results


if __name__ == "__main__":
    common.run(main)
