"""Landmarks of an object without labels (Thewlis et al., ICCV 2017): points that move with it.

    python -m recipes.landmarks --data_dir=my/pictures --landmarks=10 --workdir=runs/landmarks
    python -m recipes.landmarks --data=orl --workdir=runs/orl_landmarks
    python -m recipes.landmarks --data=celeba --data_dir=data/celeba --workdir=runs/celeba
    python -m recipes.landmarks --smoke --workdir=/tmp/landmarks                 # seconds

Any folder of pictures of one kind of object, about centred, will do: each is warped twice, and the
landmarks must follow the warp. `recipes.evaluate_landmarks` measures, `kcorr landmarks` uses them.
"""

from absl import flags

from recipes import common, objects

FLAGS = flags.FLAGS
NETWORKS = ("landmarks",)
common.define_training_flags(
    steps=2000, batch_size=16, learning_rate=1e-3, size=None, networks=NETWORKS
)
objects.define_data_flags()
objects.define_view_flags()
flags.DEFINE_integer("landmarks", 10, "how many", lower_bound=1)
flags.DEFINE_enum(
    "alignment", "probability", ("probability", "coordinate"), "what must follow the warp"
)
flags.DEFINE_float("diversity", 500.0, "weight of the maps' overlap", lower_bound=0.0)
flags.DEFINE_integer("window", 3, "cells of a block in which maps overlap", lower_bound=1)
flags.DEFINE_float("decay", 5e-4, "weight of the kernels' squares", lower_bound=0.0)


def main():
    """Trains; writes network.keras and network.weights.h5 into WORKDIR."""
    workdir = common.open_workdir()
    if FLAGS.smoke:
        objects.shrink_for_smoke()
    train(objects.open_objects(), workdir)


def train(shown, workdir, ignore=()):
    """A network learns the landmarks of `shown`, an `Objects`; returns it."""
    from kcorr.objectives import LandmarkObjective

    network = objects.make_network(landmarks=FLAGS.landmarks)
    objective = LandmarkObjective(
        network,
        alignment=FLAGS.alignment,
        diversity=FLAGS.diversity,
        window=FLAGS.window,
        decay=FLAGS.decay,
        clip_norm=None,
    )
    objective.build()
    objective.compile(objects.optimizer("landmarks"), jit_compile=FLAGS.jit_compile)
    objects.fit(objective, shown, workdir, draw, "val_loss", ignore=ignore)
    return network


def draw(batch, output):
    """{name: sheet}: pictures with their landmarks."""
    from kcorr import viz

    pairs = zip(batch["image"], output["points"], strict=True)
    sheet = [("", viz.draw_points(image, points, scale=3)) for image, points in pairs]
    return {"landmarks": viz.side_by_side(sheet, columns=3)}


if __name__ == "__main__":
    common.run(main)
