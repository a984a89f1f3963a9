"""How fast kcorr is: its operations beside the usual ways, networks, training steps, pipeline.

    python -m recipes.benchmark --workdir=runs/benchmark
    python -m recipes.benchmark --sections=correlation,warp --workdir=runs/benchmark
    python -m recipes.benchmark --smoke --workdir=/tmp/benchmark    # seconds, numbers mean nothing

One process, --threads threads, float32 unless a row says otherwise. The forms of a case take turns,
so that whatever else the machine does slows all of them, and their medians are shown; before that
their results are checked against each other. Forms run as graphs (`tf.function`); "compiled" is
XLA. Targets say how many times faster than the first form of its case a form has to be.

Memory is measured in a process of its own for each form: how far its resident set rises while the
form runs once, on top of what TensorFlow and the inputs take.

The pipeline crops and mirrors frames of real videos as `recipes.flow_unsupervised` does, alone, and
is compared with the batches a training step consumes: from videos, which are decoded when they are
opened and held in memory; from JPEG files, and from a 720p video whose frames memory holds
compressed, both of which are decoded for each example.

On two cores: about six minutes. Writes benchmark.json (everything, after each section) and
metrics.json ({case: {form: median milliseconds, or megabytes}}).
"""

import json
import os
import platform
import tempfile
import time
from pathlib import Path

from absl import flags

from recipes import benchmark_matching, common, frames
from recipes.benchmark_memory import printed_by

FLAGS = flags.FLAGS
SECTIONS = (
    "correlation", "warp", "census", "expected_distance", "matching", "networks", "training",
    "pipeline",
)  # fmt: skip
flags.DEFINE_string("workdir", None, "where benchmark.json and metrics.json go", required=True)
flags.DEFINE_list("sections", list(SECTIONS), f"of {', '.join(SECTIONS)}")
flags.DEFINE_integer("repeats", 20, "times each form is run", lower_bound=1)
flags.DEFINE_integer("threads", 2, "threads within an operation", lower_bound=1)
flags.DEFINE_integer("batch_size", 4, "of the pipeline", lower_bound=1)
flags.DEFINE_string("size", "192x256", "of the pipeline's crops, HEIGHTxWIDTH")
flags.DEFINE_bool("smoke", False, "tiny sizes: only shows that everything works")
frames.define_flags()
FLAGS.set_default("frames", "2")  # without --network nothing else says so
common.check_choices("sections", SECTIONS)
common.check_size("size")

PIPELINE_TARGET = 5.0
WARM_UP = 2


def main():
    """Prints a table for each section; writes benchmark.json and metrics.json."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(FLAGS.threads)
    if FLAGS.smoke:
        FLAGS.repeats, FLAGS.size = 1, "48x64"
    workdir = common.open_workdir()
    # Only now: importing the cases starts TensorFlow's threads.
    from recipes import benchmark_cases

    results = {}
    for section in FLAGS.sections:
        if section == "pipeline":
            rows = measure_pipeline()
        elif section == "matching":
            rows = benchmark_matching.rows(FLAGS.threads, FLAGS.smoke)
        else:
            cases = benchmark_cases.SECTIONS[section](FLAGS.smoke)
            rows = [row for case in cases for row in measure(case, FLAGS.repeats)]
        if section == "expected_distance":
            rows += measure_memory(f"{rows[-1]['case']}, memory")
        results[section] = rows
        common.show(table(section, rows))
        write(workdir, results)
    print(f"numbers: {workdir / 'benchmark.json'}")


def measure(case, repeats):
    """Rows of one case: the forms take turns, `repeats` times each.

    Raises:
        RuntimeError: two forms that should compute the same do not.
    """
    import numpy as np

    outputs = {name: form() for name, form in case.forms.items()}
    if case.tolerance is not None:
        check_agreement(case, outputs)
    del outputs
    for form in list(case.forms.values()) * (WARM_UP - 1):
        form()
    seconds = {name: [] for name in case.forms}
    for _ in range(repeats):
        for name, form in case.forms.items():
            start = time.perf_counter()
            form()
            seconds[name].append(time.perf_counter() - start)
    medians = {name: float(np.median(times)) * 1e3 for name, times in seconds.items()}
    first = next(iter(medians.values()))
    return [
        {
            "case": case.title,
            "form": name,
            "milliseconds": round(medians[name], 3),
            "quartiles": [round(float(q) * 1e3, 3) for q in np.quantile(times, (0.25, 0.75))],
            "times_faster": round(first / medians[name], 2),
            "target": None if FLAGS.smoke else case.targets.get(name),
        }
        for name, times in seconds.items()
    ]


def check_agreement(case, outputs):
    """All forms give what the first one gives, gradients included."""
    import numpy as np
    import tensorflow as tf

    (first, expected), *others = outputs.items()
    for name, found in others:
        for a, b in zip(tf.nest.flatten(expected), tf.nest.flatten(found), strict=True):
            difference = float(np.abs(a - b).max() / np.abs(a).max())
            if not difference <= case.tolerance:
                raise RuntimeError(f"{case.title}: {name} differs from {first} by {difference:.1e}")


def measure_memory(title):
    """Rows: megabytes of forward and backward of each form of `expected_distance`."""
    from recipes.benchmark_cases import DISTANCE_FORMS, DISTANCE_MEMORY_TARGET

    found = {}
    for forms in [tuple(DISTANCE_FORMS)] if FLAGS.smoke else [(form,) for form in DISTANCE_FORMS]:
        call = f"main({forms!r}, {FLAGS.threads}, {FLAGS.smoke})"
        numbers = printed_by("recipes.benchmark_memory", call, f"memory of {', '.join(forms)}")
        found |= zip(forms, numbers, strict=True)
    first, *_ = found.values()
    return [
        {
            "case": title,
            "form": form,
            "megabytes": round(megabytes, 3),
            "times_less": round(first / megabytes, 2),
            "target": None if FLAGS.smoke or megabytes == first else DISTANCE_MEMORY_TARGET,
        }
        for form, megabytes in found.items()
    ]


def measure_pipeline():
    """Rows: milliseconds a batch of the pipeline alone, beside a training step of each policy."""
    from recipes import benchmark_cases

    size = common.training_size()
    start = time.perf_counter()
    pairs = frames.open_pairs()
    opening = (time.perf_counter() - start) * 1e3
    steps = {
        policy: benchmark_cases.training_step(
            "UnsupervisedFlow", policy, FLAGS.batch_size, size, benchmark_cases.trained(FLAGS.smoke)
        )
        for policy in benchmark_cases.policies(FLAGS.smoke)
    }
    shape = benchmark_cases.times((FLAGS.batch_size, *size))
    rows = measure(benchmark_cases.Case(f"UnsupervisedFlow step {shape}", steps), FLAGS.repeats)
    needed = {row["form"]: row["milliseconds"] for row in rows}
    for row in rows:
        row["times_faster"] = None
    rows.append(pipeline_row("opening the videos, decoded once", "once", opening))
    with tempfile.TemporaryDirectory() as folder:
        sources = {"videos in memory": pairs, "JPEG files": jpeg_pairs(pairs, Path(folder))}
        if not FLAGS.smoke:  # which does without the demo wheels
            sources["a 720p video compressed in memory"] = compressed_pairs()
        for name, source in sources.items():
            batch = pipeline_milliseconds(source, size, 10 * FLAGS.repeats)
            for policy, step in needed.items():
                title = f"pipeline {shape}, {name}"
                rows.append(pipeline_row(title, f"beside {policy}", batch, step / batch))
    return rows


def pipeline_row(case, form, milliseconds, times_faster=None):
    """A row as `measure` makes them; the target is that of the pipeline beside a step."""
    return {
        "case": case,
        "form": form,
        "milliseconds": round(milliseconds, 3),
        "quartiles": None,
        "times_faster": times_faster and round(times_faster, 2),
        "target": PIPELINE_TARGET if times_faster and not FLAGS.smoke else None,
    }


def compressed_pairs():
    """Pairs of a video with hardly more memory than its frames take when all are compressed."""
    from kcorr.datasets import demo_videos, video_pairs

    return video_pairs(demo_videos()["bigbuckbunny"], cache_bytes=48 * 10**6)


def jpeg_pairs(pairs, folder, count=40):
    """The first frames of `pairs`, written as JPEG files that are decoded for each example."""
    from kcorr.datasets import FrameFolder
    from kcorr.io import write_image

    for index in range(min(count, len(pairs))):
        write_image(folder / f"{index}.jpg", pairs[index]["image1"])
    return FrameFolder(folder, cut_threshold=None)


def pipeline_milliseconds(source, size, count):
    """Milliseconds a batch, over `count` batches after as many as the prefetching holds."""
    stream = iter(frames.batches(source, 0, size))
    for _ in range(10):
        next(stream)
    start = time.perf_counter()
    for _ in range(count):
        next(stream)
    return (time.perf_counter() - start) / count * 1e3


def table(section, rows):
    """A rich table of a section's rows."""
    from rich.table import Table

    shown = Table(title=section, title_justify="left")
    for name in ("case", "form", "ms", "times better", "target"):
        shown.add_column(name, justify="left" if name in ("case", "form") else "right")
    previous = None
    for row in rows:
        if previous not in (None, row["case"]):
            shown.add_section()
        better = row["times_less"] if "megabytes" in row else row["times_faster"]
        reached = row["target"] is None or better >= row["target"]
        ratio = "" if better is None else f"{better:.1f}"
        shown.add_row(
            "" if previous == row["case"] else row["case"],
            row["form"],
            f"{row['megabytes']:.0f} MB" if "megabytes" in row else f"{row['milliseconds']:.2f}",
            ratio if reached else f"[red]{ratio} missed[/]",
            "" if row["target"] is None else f"{row['target']:g}",
        )
        previous = row["case"]
    return shown


def write(workdir, results):
    """benchmark.json and metrics.json of the sections measured so far."""
    import keras
    import tensorflow as tf

    from kcorr.io import atomic_write

    about = {
        "threads": FLAGS.threads,
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "repeats": FLAGS.repeats,
        "smoke": FLAGS.smoke,
    }
    with atomic_write(workdir / "benchmark.json") as temporary:
        temporary.write_text(json.dumps({"about": about, "sections": results}, indent=1))
    medians = {}
    for row in (row for rows in results.values() for row in rows):
        value = row["megabytes"] if "megabytes" in row else row["milliseconds"]
        medians.setdefault(row["case"], {})[row["form"]] = value
    common.write_metrics(workdir, medians)


if __name__ == "__main__":
    common.run(main)
