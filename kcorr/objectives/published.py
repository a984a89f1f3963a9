"""How landmarks and object frames were trained, as far as that is published."""

import keras

from kcorr.objectives.fused_adam import FusedAdam

# `batch_size` pairs, `epochs` through the data, the learning rate times `factor` after each of the
# `milestones` (epochs). `objective` holds arguments of the objective that were part of it; no
# clipping is published, so there is none. Recipes take the optimizer, its milestones as shares of
# --steps, `normalise` and `clip_norm` from here; their own batches are smaller, for CPUs.
TRAINING = {
    # DVE, released configurations. SmallNet's of the first papers are not known.
    "smallnet": {
        "batch_size": 32,
        "epochs": 100,
        "learning_rate": 1e-3,
        "milestones": (70, 90),
        "factor": 0.1,
        "amsgrad": True,
        "objective": {"power": 0.5, "exchange": 1, "normalise": False, "clip_norm": None},
    },
    "hourglass": {
        "batch_size": 16,
        "epochs": 100,
        "learning_rate": 1e-3,
        "milestones": (50,),
        "factor": 0.1,
        "amsgrad": True,
        "objective": {"power": 0.5, "exchange": 1, "normalise": True, "clip_norm": None},
    },
    # On another data set, from trained weights. The authors' configurations for SmallNet leave
    # `normalise` out here, which switches it on although it was off before; that may be why
    # matching got worse. Here it stays as it was trained.
    "fine_tuning": {
        "batch_size": 32,
        "epochs": 50,
        "learning_rate": 1e-3,
        "milestones": (30, 40),
        "factor": 0.1,
        "amsgrad": True,
        "objective": {"power": 0.5, "exchange": 1, "normalise": False, "clip_norm": None},
    },
    # ICCV 2017: Adam until it converges, then once more with a tenth. Batch and epochs are kcorr's.
    "landmarks": {
        "batch_size": 32,
        "epochs": 100,
        "learning_rate": 1e-4,
        "milestones": (80,),
        "factor": 0.1,
        "amsgrad": False,
        "objective": {"diversity": 500.0, "decay": 5e-4, "clip_norm": None},
    },
}


def published_optimizer(name, epoch_steps, **changes):
    """Adam with the published learning rate and its steps down.

    (The released code also gives biases a hundredth of the learning rate. Those in front of a batch
    normalisation have no effect at all, so that this is about the last layer's only; it is not done
    here.)

    Args:
        name: of `TRAINING`.
        epoch_steps: steps an epoch.
        **changes: entries of the recipe that are to be others, for example `milestones`.

    Returns:
        A `FusedAdam`.

    Raises:
        ValueError: an unknown name or entry, or `epoch_steps` below 1.
    """
    if name not in TRAINING:
        raise ValueError(f"unknown recipe {name!r}; known are {', '.join(TRAINING)}")
    if epoch_steps < 1:
        raise ValueError(f"epoch_steps must be at least 1, got {epoch_steps}")
    unknown = sorted(set(changes) - set(TRAINING[name]))
    if unknown:
        raise ValueError(f"a recipe has no {', '.join(unknown)}, only {', '.join(TRAINING[name])}")
    recipe = {**TRAINING[name], **changes}
    rate = recipe["learning_rate"]
    if recipe["milestones"]:
        rate = keras.optimizers.schedules.PiecewiseConstantDecay(
            [epoch * epoch_steps for epoch in recipe["milestones"]],
            [rate * recipe["factor"] ** k for k in range(len(recipe["milestones"]) + 1)],
        )
    return FusedAdam(rate, amsgrad=recipe["amsgrad"])
