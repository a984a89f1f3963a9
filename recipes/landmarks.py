"""Landmarks of an object without labels (Thewlis et al., ICCV 2017): points that move with it.

    python -m recipes.landmarks --data_dir=my/pictures --landmarks=10 --workdir=runs/landmarks
    python -m recipes.landmarks --data=orl --workdir=runs/orl_landmarks
    python -m recipes.landmarks --data=celeba --data_dir=data/celeba --workdir=runs/celeba
    python -m recipes.landmarks --smoke --workdir=/tmp/landmarks                 # seconds

Any folder of pictures of one kind of object, about centred, will do: each is warped twice, and the
landmarks must follow the warp. `recipes.evaluate_landmarks` measures, `kcorr landmarks` uses them.
--network=landmarks is the paper's; landmarks_dilated, the default, sees more around each place and
learns in fewer steps. The weights of the terms are the published ones. The default --learning_rate
is ten times the paper's 1e-4, which learns until nothing changes any more; its batch is not
published.
"""

from absl import flags

from recipes import common, object_training

FLAGS = flags.FLAGS
NETWORKS = ("landmarks_dilated", "landmarks")
object_training.define_training_flags(batch_size=16, networks=NETWORKS)
flags.DEFINE_integer("landmarks", 10, "how many", lower_bound=1)
flags.DEFINE_enum(
    "alignment", "probability", ("probability", "coordinate"), "what must follow the warp"
)
flags.DEFINE_float("diversity", 500.0, "weight of the maps' overlap", lower_bound=0.0)
flags.DEFINE_integer("window", 3, "cells of a block in which maps overlap", lower_bound=1)
flags.DEFINE_integer(
    "margin",
    14,
    "pixels of mirror image around a picture, or landmarks learn to stay at its border",
)
flags.register_validator(
    "margin", lambda n: n in range(0, 16, 2), "--margin takes even numbers from 0 to 14"
)
flags.DEFINE_float("decay", 5e-4, "weight of the kernels' squares", lower_bound=0.0)


def main():
    """Trains; writes network.keras and network.weights.h5 into WORKDIR."""
    object_training.run(train)


def train(shown, workdir):
    """A network learns the landmarks of `shown`, an `Objects`."""
    from kcorr.objectives import TRAINING, LandmarkObjective

    network = object_training.make_network(landmarks=FLAGS.landmarks, margin=FLAGS.margin)
    objective = LandmarkObjective(
        network,
        alignment=FLAGS.alignment,
        diversity=FLAGS.diversity,
        window=FLAGS.window,
        decay=FLAGS.decay,
        clip_norm=TRAINING["landmarks"]["objective"]["clip_norm"],
    )
    objective.build()
    objective.compile(object_training.optimizer("landmarks"), jit_compile=FLAGS.jit_compile)
    object_training.fit(objective, shown, workdir, draw, "val_loss")


def draw(batch, output):
    """{name: sheet}: pictures with their landmarks."""
    from kcorr import viz

    pairs = zip(batch["image"], output["points"], strict=True)
    sheet = [("", viz.draw_points(image, points, scale=3)) for image, points in pairs]
    return {"landmarks": viz.side_by_side(sheet, columns=3)}


if __name__ == "__main__":
    common.run(main)
