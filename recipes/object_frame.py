"""Dense labels of an object without labels: the place of each pixel on the object's own frame.

    python -m recipes.object_frame --data_dir=my/pictures --workdir=runs/frame
    python -m recipes.object_frame --data=arm --workdir=runs/arm                 # films with flow
    python -m recipes.object_frame --data=two_arms --symmetry=bilateral --workdir=runs/two_arms
    python -m recipes.object_frame --data=n_fold --symmetry=rotation3 --workdir=runs/clathrin
    python -m recipes.object_frame --data=orl --dim=16 --exchange=1 --workdir=runs/orl
    python -m recipes.object_frame --smoke --workdir=/tmp/frame                  # seconds

Three dimensions are the object frame (Thewlis et al., NeurIPS 2017): a place on a sphere. With
--symmetry=bilateral (NeurIPS 2018) the first of them changes its sign in the mirror; rotationN is
for N equal parts that nothing tells apart; group.npy holds any [n, 3, 3] orthogonal matrices. More
dimensions need --exchange (vector exchange, ICCV 2019), or labels mean another place on each
object. Networks, losses, the learning rate and its steps down, as shares of the run, are the
published ones. Its length and batch are what a CPU can do: the papers take 100 epochs, with 32
pairs a batch, 16 for the hourglass. --schedule=fine_tuning is theirs from trained weights (--init).
"""

import re

from absl import flags

from recipes import common, object_symmetry, object_training, objects

FLAGS = flags.FLAGS
NETWORKS = ("object_frame", "object_frame_simple", "hourglass", "hourglass_small")
object_training.define_training_flags(batch_size=8, networks=NETWORKS)
flags.DEFINE_integer("dim", 3, "length of a label", lower_bound=2)
flags.DEFINE_string("symmetry", "none", "none, bilateral, rotationN, or a file group.npy")
flags.DEFINE_integer("exchange", 0, "other pictures that labels are rebuilt from", lower_bound=0)
flags.DEFINE_enum("loss", "distance", ("distance", "log"), "what a label's matches must be")
flags.DEFINE_float("power", 0.5, "of the distance in pixels", lower_bound=0.01)
flags.DEFINE_bool(
    "normalise",
    None,
    "labels get one length before they are compared; default: as published, the hourglass's do",
)
flags.DEFINE_enum(
    "schedule",
    None,
    ("smallnet", "hourglass", "fine_tuning"),
    "when the learning rate goes down; default: as published for the network",
)
flags.register_validator(
    "symmetry",
    lambda text: bool(re.fullmatch(r"none|bilateral|rotation([2-9]|[1-9]\d+)|.+\.npy", text)),
    "--symmetry takes none, bilateral, rotationN (N from 2) or a file group.npy",
)
flags.register_multi_flags_validator(
    ["exchange", "batch_size"],
    lambda given: given["exchange"] < given["batch_size"],
    "--exchange takes other pictures of the batch: it must be below --batch_size",
)
flags.register_multi_flags_validator(
    ["symmetry", "dim"],
    lambda given: given["dim"] >= 3 or given["symmetry"] in ("none", "bilateral"),
    "--symmetry of rotations needs --dim=3 or more",
)


def main():
    """Trains; writes network.keras and network.weights.h5 into WORKDIR."""
    object_training.run(train)


def train(shown, workdir):
    """A network learns the frame of `shown`, an `Objects`."""
    from kcorr.objectives import ObjectFrameObjective

    bilateral = FLAGS.symmetry == "bilateral"
    width = objects.side() - (0 if shown.moving else 2 * objects.crop())
    object_symmetry.check_learnable(FLAGS.symmetry, FLAGS.exchange, len(shown.training), width)
    recipe, published = object_training.published(FLAGS.network)
    if FLAGS.normalise is None:
        FLAGS.normalise = published["normalise"]  # noted with the run's flags
    network = object_training.make_network(dimensions=FLAGS.dim)
    objective = ObjectFrameObjective(
        network,
        loss=FLAGS.loss,
        power=FLAGS.power,
        exchange=FLAGS.exchange,
        normalise=FLAGS.normalise,
        group=object_symmetry.group_of(FLAGS.symmetry),
        clip_norm=published["clip_norm"],
    )
    objective.build()
    optimizer = object_training.optimizer(FLAGS.schedule or recipe)
    objective.compile(optimizer, jit_compile=FLAGS.jit_compile)
    object_training.fit(objective, shown, workdir, draw, "val_match", mirror=bilateral)


def draw(batch, output):
    """{name: sheet}: pictures and their labels as colours, the same colour for the same label."""
    from kcorr import viz

    colours = viz.labels_to_color(output["labels"], viz.label_basis(output["labels"]))
    pairs = zip(batch["image"], colours, strict=True)
    sheet = [entry for image, label in pairs for entry in (("picture", image), ("labels", label))]
    return {"labels": viz.side_by_side(sheet, columns=4)}


if __name__ == "__main__":
    common.run(main)
