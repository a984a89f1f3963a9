"""Landmarks and dense labels, measured by the protocols of their papers.

    python -m recipes.evaluate_landmarks --model=runs/orl/network.keras --workdir=runs/measured
    python -m recipes.evaluate_landmarks --model=runs/a/network.keras,runs/b/network.keras \\
        --data=faces --workdir=runs/evaluation_faces
    python -m recipes.evaluate_landmarks --smoke --workdir=/tmp/evaluate_landmarks      # seconds

Of all networks: equivariance under warps, beside the error of what stays where it is ("unmoved").
Networks of landmarks: regression of annotated points from few and from all pictures with warped
views of them, beside the mean shape. Networks of labels: matching of the same and of a different
object, nearest-neighbour localisation; on objects with a symmetry the transfer to the counterpart.
Where pictures have no key points, cycles of labels between objects, or how far landmarks scatter
from object to object. --regress adds what learns step by step, minutes: 50 virtual points each from
few and from all pictures for labels, a layer for landmarks. Few shots are means of three draws,
with their deviation. Labels of annotated pictures lie in a file of WORKDIR while they are measured:
12 GB for MAFL's 19,000 in 64 dimensions.
"""

from absl import flags

from recipes import (
    common,
    label_protocols,
    landmark_protocols,
    object_protocols,
    object_tables,
    objects,
)

FLAGS = flags.FLAGS
flags.DEFINE_string("workdir", None, "where metrics.json and pictures go", required=True)
flags.DEFINE_list("model", [], ".keras files or SavedModel folders of networks, comma-separated")
objects.define_data_flags()
objects.define_crop_flag()
object_protocols.define_flags()
landmark_protocols.define_flags()
flags.DEFINE_bool("symmetric", False, "the networks learned with --symmetry=bilateral")
flags.DEFINE_enum(
    "normalise",
    "none",
    ("none", "cosine"),
    "labels are compared by inner products, as DVE's are, or by directions: `kcorr match-points` "
    "without and with --directions",
)
common.define_seed_flag("of what is generated to be learned from, the training's")
flags.DEFINE_bool("smoke", False, "fresh networks on small pictures: seconds")
flags.register_multi_flags_validator(
    ["model", "smoke"],
    lambda given: bool(given["model"]) != given["smoke"],
    "--model must name at least one network, or give --smoke alone",
)


def main():
    """Measures; writes WORKDIR/metrics.json and pictures."""
    workdir = common.open_workdir()
    if FLAGS.smoke:
        FLAGS.side = FLAGS.side or 48
    networks = {path: object_protocols.load_network(path) for path in FLAGS.model}
    if FLAGS.smoke:
        from kcorr.models import build

        networks = {name: build(name) for name in ("landmarks", "object_frame_simple")}
    sizes = {network.picture_size for network in networks.values()} - {None}
    if sizes and FLAGS.side is None:
        if len(sizes) > 1:
            raise common.UserError(
                f"--model: the networks learned from pictures of {sorted(sizes)} pixels; expected "
                "one size, or --side"
            )
        FLAGS.side = sizes.pop()
    shown = objects.open_objects(regressed=True)
    results = {}
    for path, network in networks.items():
        results |= object_protocols.finite({path: measure(network, shown, workdir, path)})
        common.write_metrics(workdir, results)
    title = f"{objects.data_name()}, {len(shown.test)} test pictures {objects.side()}x"
    learned = ", learned from" if shown.seen else ""
    common.show(object_tables.table(f"{title}{objects.side()}{learned}", results))
    print(f"metrics: {workdir / 'metrics.json'}")
    print(f"pictures: {workdir / 'pictures'}")


def measure(network, shown, workdir, path):
    """{measure: number} of a network; its pictures are drawn into WORKDIR/pictures."""
    from kcorr.models.registry import gives_of

    protocols = object_protocols
    prefix = "" if len(FLAGS.model) == 1 else f"{protocols.short(path)}_"
    if gives_of(network) == "landmarks":
        pictures = protocols.pictures_of_landmarks(network, shown)
        found = landmark_protocols.measure_landmarks(network, shown)
    else:
        pictures = protocols.pictures_of_labels(network, shown, FLAGS.symmetric)
        found = label_protocols.measure_labels(network, shown, FLAGS.symmetric)
    protocols.write_pictures(workdir, {f"{prefix}{name}": one for name, one in pictures.items()})
    return found


if __name__ == "__main__":
    common.run(main)
