"""Runs a network over a benchmark's test pictures and writes what its server takes, checked.

    python -m recipes.submit --benchmark=kitti2015 --data_dir=data/data_scene_flow \\
        --workdir=runs/submission                                      # `ddflow`
    python -m recipes.submit --benchmark=kitti2012 --task=disparity --model=my.keras \\
        --data_dir=data/data_stereo_flow --workdir=runs/submission
    python -m recipes.submit --benchmark=sintel --model=selflow.weights.h5 --network=selflow \\
        --data_dir=data/MPI-Sintel-complete --workdir=runs/submission
    python -m recipes.submit --smoke --workdir=/tmp/submission         # tiny made-up trees

KITTI: WORKDIR/kitti2015_flow.zip and so on, ready for upload. Sintel: WORKDIR/sintel/clean and
final, to be packed by the program that comes with the data set. Every file is read again and held
to the official list; an incomplete submission is not written at all.

A network of three frames gets the frame before. At the start of a Sintel scene there is none, and
the first frame is repeated; on KITTI it comes from the multi-view extension (--multi_view_dir), and
without that the first frame is repeated, too. Disparity is the flow from the left to the right
picture, -u, at least 0.
"""

import logging
import time

import numpy as np
from absl import flags

from recipes import common

FLAGS = flags.FLAGS
_BOTH = ("flow", "disparity")
TASKS = {"kitti2012": _BOTH, "kitti2015": _BOTH, "sintel": ("flow",)}
flags.DEFINE_string("workdir", None, "where the submission and metrics.json go", required=True)
flags.DEFINE_enum("benchmark", "kitti2015", list(TASKS), "whose test pictures")
flags.DEFINE_enum("task", "flow", _BOTH, "what is predicted; disparity: KITTI only")
flags.DEFINE_string("data_dir", None, "root of the benchmark's tree")
flags.DEFINE_string("multi_view_dir", None, "KITTI's multi-view extension, for three frames")
flags.DEFINE_string("model", "ddflow", "a shipped network, a .keras or .weights.h5 file, ...")
flags.DEFINE_enum("network", None, common.NETWORKS, "what a .weights.h5 file belongs to")
flags.DEFINE_enum(
    "protocol", None, ("bilinear", "selflow"), "how pictures are sized for the network, see predict"
)
flags.DEFINE_bool("smoke", False, "fresh small networks on tiny made-up trees: seconds")
flags.register_multi_flags_validator(
    ["data_dir", "smoke"],
    lambda given: given["smoke"] or given["data_dir"],
    "--data_dir must name the root of the benchmark's tree",
)
flags.register_multi_flags_validator(
    ["benchmark", "task"],
    lambda given: given["task"] in TASKS[given["benchmark"]],
    "--task=disparity: Sintel's server takes flow only",
)


def main():
    """Writes the submission, reads it again, and says what it holds."""
    workdir = common.open_workdir()
    if FLAGS.smoke:
        results = smoke(workdir)
    else:
        network = load_network()
        source = open_test(FLAGS.benchmark, FLAGS.task, FLAGS.data_dir, frames_of(network))
        refuse_incomplete(source)
        results = submit(network, source, FLAGS.benchmark, FLAGS.task, workdir)
    common.write_metrics(workdir, results)
    print(f"numbers: {workdir / 'metrics.json'}")


def load_network():
    """The network of --model."""
    from kcorr.models import load

    try:
        return load(FLAGS.model, FLAGS.network, gives="flow")
    except ValueError as error:
        raise common.UserError(f"--model: {error}") from error


def frames_of(network):
    """How many frames the network sees."""
    return getattr(network, "frames", 2)


def open_test(benchmark, task, root, frames):
    """The test pictures: records of image1, image2 and, for three frames, image0."""
    from kcorr import datasets

    if benchmark == "sintel":
        return datasets.Concat(
            datasets.Sintel(root, "test", dtype, frames=frames, ends="repeat")
            for dtype in ("clean", "final")
        )
    reader = {"kitti2012": datasets.KITTI2012, "kitti2015": datasets.KITTI2015}[benchmark]
    if task == "disparity":
        return reader(root, "testing", "stereo")
    if frames == 2:
        return reader(root, "testing")
    if FLAGS.multi_view_dir is None:
        logging.info("no --multi_view_dir: the first frame stands for the one before it")
        return reader(root, "testing")
    return reader(root, "testing", frames=frames, multi_view=FLAGS.multi_view_dir)


def refuse_incomplete(source):
    """Says before hours of work that the tree lacks pictures that the server will ask for."""
    from kcorr.datasets import wrong_names

    problem = wrong_names(source.names, FLAGS.benchmark, FLAGS.task)
    if problem:
        raise common.UserError(f"--data_dir {FLAGS.data_dir}: of the test split, {problem}")


def submit(network, source, benchmark, task, workdir):
    """Predicts, writes and checks; returns numbers for metrics.json."""
    from rich.progress import track

    from kcorr.datasets import SubmissionWriter, check_submission
    from kcorr.models import Predictor, disparity_of_flow

    predictor = Predictor(network, backward=False, protocol=FLAGS.protocol)
    path = workdir / ("sintel" if benchmark == "sintel" else f"{benchmark}_{task}.zip")
    names = source.names if FLAGS.smoke else None
    sizes, fastest, start = {}, 0.0, time.perf_counter()
    with SubmissionWriter(path, benchmark, task, names) as submission:
        for index in track(range(len(source)), description=benchmark, transient=True):
            record, name = source[index], source.names[index]
            sizes[name] = record["image1"].shape[:2]
            before = record.get("image0")
            flow = predictor(record["image1"], record["image2"], image0=before)["flow"]
            fastest = max(fastest, float(np.abs(flow).max()))
            values = flow if task == "flow" else disparity_of_flow(flow)
            submission.add(name, values, sizes[name])
    seconds = time.perf_counter() - start
    count = check_submission(path, benchmark, task, sizes)
    print(f"{benchmark} {task}: {count} predictions, checked: {path}")
    return {
        f"{benchmark} {task}": {
            "predictions": count,
            "largest_component": fastest,
            "seconds": round(seconds, 2),
        }
    }


def smoke(workdir):
    """Writes small trees in the official layout and submits them: two and three frames."""
    from kcorr import models

    write_trees(workdir / "tree")
    results = {}
    for benchmark, task, name in (
        ("kitti2015", "flow", "ddflow_small"),
        ("kitti2012", "disparity", "ddflow_small"),
        ("sintel", "flow", "selflow_small"),
    ):
        network = models.build(name)
        source = open_test(benchmark, task, workdir / "tree", frames_of(network))
        results |= submit(network, source, benchmark, task, workdir)
    return results


def write_trees(root):
    """Test splits of two scenes each: KITTI's two pictures, Sintel's three frames twice."""
    from kcorr.datasets import Scenes
    from kcorr.io import write_image

    for number, record in enumerate(Scenes(size=(64, 96), length=2, max_motion=4)):
        first, second = record["image1"], record["image2"]
        files = {}
        for left, right in (("image_2", "image_3"), ("colored_0", "colored_1")):
            scene = f"testing/{{}}/{number:06d}_{{}}.png".format
            files |= {scene(left, 10): first, scene(left, 11): second, scene(right, 10): second}
        for dtype in ("clean", "final"):
            for frame, image in enumerate((first, second, first), 1):
                files[f"test/{dtype}/scene_{number}/frame_{frame:04d}.png"] = image
        for file, image in files.items():
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            write_image(root / file, image)


if __name__ == "__main__":
    common.run(main)
