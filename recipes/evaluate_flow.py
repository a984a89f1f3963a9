"""Measures a network on benchmarks, beside zero flow and OpenCV's DIS and Farneback.

    python -m recipes.evaluate_flow --workdir=runs/evaluation                # the shipped network
    python -m recipes.evaluate_flow --model=my.keras --data=sintel --data_dir=data/sintel \
        --workdir=runs/sintel
    python -m recipes.evaluate_flow --smoke --workdir=/tmp/evaluation        # seconds

Motorcycle and the scenes need no download. EPE is the mean over pictures of their means, Fl is
pooled over pixels; metrics.json holds both reductions of everything, and each picture's numbers.
"""

from pathlib import Path

from absl import flags

from recipes import common, evaluation

FLAGS = flags.FLAGS
flags.DEFINE_string("workdir", None, "where metrics.json and pictures go", required=True)
flags.DEFINE_list("model", ["ddflow"], "networks: shipped names or paths, comma-separated")
flags.DEFINE_enum("network", None, common.NETWORKS, "what a .weights.h5 file belongs to")
flags.DEFINE_list("data", ["motorcycle", "scenes"], f"of {', '.join(evaluation.BENCHMARKS)}")
flags.DEFINE_string("data_dir", None, "root of the benchmark's tree (one benchmark at a time)")
flags.DEFINE_list("scales", ["1", "0.5", "0.25"], "of motorcycle")
flags.DEFINE_integer("scenes", 200, "generated scenes", lower_bound=1)
flags.DEFINE_string("scene_size", "384x512", "of the generated scenes, HEIGHTxWIDTH")
flags.DEFINE_float("max_motion", 100.0, "largest motion in the scenes, pixels", lower_bound=1.0)
flags.DEFINE_list("baselines", list(evaluation.BASELINES), "beside the networks, may be empty")
flags.DEFINE_integer("limit", None, "records of each benchmark at most", lower_bound=1)
flags.DEFINE_integer("pictures", 2, "sheets drawn for each benchmark", lower_bound=0)
flags.DEFINE_bool("smoke", False, "a fresh small network on two small scenes: seconds")
common.check_choices("data", evaluation.BENCHMARKS)
common.check_choices("baselines", evaluation.BASELINES)
common.check_choices("scales", ("1", "1.0", "0.5", "0.25"))
common.check_size("scene_size")


def _tree_is_named(given):
    trees = set(given["data"]) - {"motorcycle", "scenes"}
    return not trees or (len(trees) == 1 and given["data_dir"])


flags.register_multi_flags_validator(
    ["data", "data_dir"], _tree_is_named, "--data_dir must name the tree of the one benchmark"
)


def main():
    """Prints the table; writes metrics.json and pictures/."""
    if FLAGS.smoke:
        FLAGS.data, FLAGS.scenes, FLAGS.scene_size = ["scenes"], 2, "64x96"
    sources = {}
    for name in FLAGS.data:
        sources |= evaluation.open_benchmark(
            name,
            FLAGS.data_dir,
            [float(scale) for scale in FLAGS.scales],
            FLAGS.scenes,
            common.parse_size(FLAGS.scene_size),
            FLAGS.max_motion,
        )
    methods = evaluation.baseline_methods(FLAGS.baselines)
    methods |= {name: evaluation.network_method(network) for name, network in networks().items()}
    workdir = common.open_workdir()
    results = measure_all(sources, methods, workdir)
    common.write_metrics(workdir, results)
    common.show(evaluation.table(results))
    print(f"numbers: {workdir / 'metrics.json'}   pictures: {workdir / 'pictures'}")


def networks():
    """{name: network} of --model."""
    from kcorr.models import build, load

    if FLAGS.smoke:
        return {"untrained": build("ddflow_small")}
    try:
        return {name: load(name, FLAGS.network) for name in FLAGS.model}
    except ValueError as error:
        raise common.UserError(f"--model: {error}") from error


def measure_all(sources, methods, workdir):
    """{title: {method: result}}; draws as it goes."""
    from rich.progress import track

    from kcorr.io import write_image

    results = {}
    (workdir / "pictures").mkdir(exist_ok=True)
    for title, source in sources.items():
        count = min(len(source), FLAGS.limit or len(source))
        steps = iter(track(range(count), description=title, transient=True))
        results[title], kept = evaluation.measure(
            source, methods, FLAGS.pictures, FLAGS.limit, tick=lambda steps=steps: next(steps, None)
        )
        for name, record, flows, hidden in kept:
            path = Path(f"{workdir}/pictures/{name.replace('/', '_')}.png")
            write_image(path, evaluation.draw(record, flows, hidden))
    return results


if __name__ == "__main__":
    common.run(main)
