"""One HTML file about a run, or about several beside each other.

    python -m recipes.report --runs=runs/ddflow --workdir=runs/ddflow
    python -m recipes.report --runs=runs/scenes2,runs/scenes3 --names=two,three --workdir=runs/all
    python -m recipes.report --runs=results_a.json,results_b.json --workdir=/tmp/report
    python -m recipes.report --smoke --workdir=/tmp/report                  # seconds

A run is the working directory of a recipe, also of one that is still going: its numbers, its log
as curves, its pictures and its flags; or a file of `kcorr evaluate --json`. WORKDIR/report.html
needs no other file and no network; the best value of each measure is marked, tables sort by a
click, and two pictures can be laid over each other.
"""

import json
from pathlib import Path

import numpy as np
from absl import flags

from recipes import common

FLAGS = flags.FLAGS
flags.DEFINE_string("workdir", None, "where report.html goes", required=True)
flags.DEFINE_list("runs", [], "working directories and evaluation files, comma-separated")
flags.DEFINE_list(
    "names", [], "what the runs are called, comma-separated (default: by their paths)"
)
flags.DEFINE_string("title", None, "heading (default: the names)")
flags.DEFINE_bool("smoke", False, "two small made-up runs: seconds")


def _something_is_named(given):
    return given["smoke"] or bool(given["runs"])


def _names_fit(given):
    return not given["names"] or len(given["names"]) == len(given["runs"])


flags.register_multi_flags_validator(
    ["runs", "smoke"], _something_is_named, "--runs must name at least one run"
)
flags.register_multi_flags_validator(
    ["runs", "names"], _names_fit, "--names must be as many as --runs"
)


def main():
    """Writes report.html and, unless the directory is that of a run, what is in it as metrics.json.

    A run that is reported into its own directory keeps its own flags and metrics.
    """
    from kcorr import viz

    workdir = Path(FLAGS.workdir)
    if FLAGS.smoke:
        paths = [workdir / "first", workdir / "second"]
        for seed, path in enumerate(paths):
            make_up_run(path, seed)
    else:
        paths = [Path(path) for path in FLAGS.runs]
    names = FLAGS.names or names_of(paths)
    runs = [viz.read_run(path, name) for path, name in zip(paths, names, strict=True)]
    apart = workdir.resolve() not in [path.resolve() for path in paths]
    if apart:
        common.open_workdir()
    viz.write_report(workdir / "report.html", runs, FLAGS.title)
    if apart:
        common.write_metrics(workdir, counts(runs))
    print(f"report: {workdir / 'report.html'}")


def names_of(paths):
    """The shortest ends of the paths that tell them apart."""
    from kcorr.datasets.any_source import distinct_ends

    try:
        return distinct_ends([path.resolve().with_suffix("") for path in paths])
    except ValueError as error:
        raise common.UserError(f"--runs: {error}, or --names that tell them apart") from error


def counts(runs):
    """{run: what a report shows of it}, numbers only."""
    return {
        run.name: {
            "methods": sum(map(len, run.results.values())),
            "log lines": len(run.log),
            "pictures": len(run.pictures),
        }
        for run in runs
    }


def make_up_run(folder, seed):
    """Writes a working directory like a training's: a falling loss, two pictures, flags."""
    from kcorr import viz
    from kcorr.io import write_image

    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:48, :64].astype(np.float32)
    lines = []
    for step in range(0, 101, 10):
        loss = float((1 + seed) * np.exp(-step / 40) + 0.1 * random.random())
        lines.append(json.dumps({"step": step, "loss": loss, "val_epe": 3 * loss}))
        flow = np.stack([x - 32, y - 24], -1) + random.normal(0, 20 * loss, (48, 64, 2))
        if step in (0, 100):
            picture = viz.flow_to_color(flow, max_flow=40, clip=True)
            write_image(folder / "pictures" / f"flow_{step:08d}.png", picture)
    (folder / "log.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "metrics.json").write_text(json.dumps({"scenes": {"network": {"epe_all": 3 * loss}}}))
    (folder / "flags.txt").write_text(f"--seed={seed}\n--steps=100\n")


if __name__ == "__main__":
    common.run(main)
