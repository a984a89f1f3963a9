"""How networks of landmarks are measured: under warps, and by what regresses annotated points."""

import numpy as np
from absl import flags

from recipes import object_views, objects
from recipes.object_protocols import joined, output_of, per_cent, stacked

FLAGS = flags.FLAGS
SHOTS = (1, 5, 10, 20)
SEEDS = 3  # draws of the few shots
KEYS = ("image1", "points1", "visible")


def define_flags():
    """Flags of the regression."""
    flags.DEFINE_float(
        "ridge",
        100.0,
        "of the regression from landmarks to points, pixels squared; the papers have none, and "
        "then as many pictures as there are coordinates fit their noise",
        lower_bound=0.0,
    )
    flags.DEFINE_integer(
        "further_views",
        200,
        "landmarks: warped views of the annotated pictures that the regression also learns from",
        lower_bound=0,
    )


def measure_landmarks(network, shown):
    """What a network of landmarks does on the test pictures."""
    found = {}
    for kind in ("evaluation", "training"):
        found[f"equivariance px, {kind} warps"] = equivariance(network, shown.test, kind)
    if shown.annotated is not None:
        found |= regression(network, shown)
    return found


def equivariance(network, pictures, kind):
    """Mean distance of landmarks of one view, warped, from those of the other."""
    from kcorr.metrics import equivariance_errors
    from kcorr.metrics.points import mean_of

    views = joined(object_views.views_of(pictures, kind=kind))
    points = [output_of(network, views[f"image{k}"], "points") for k in (1, 2)]
    return mean_of(equivariance_errors(*points, views["grid"], views["valid"]))


def regression(network, shown):
    """Annotated points as linear functions of the landmarks, learned from few and from all."""
    from kcorr.metrics import LandmarkRegression, few_shot, mean_shape, point_errors

    known = measured(network, *stacked(shown.annotated, *KEYS))
    count = len(shown.annotated)
    images, points, visible = stacked(shown.test, "image1", "points1", "visible")
    unseen = output_of(network, images, "points")
    centre = [(objects.side() - 1) / 2] * 2

    def error_of(picks):
        parts = [[array[picks] for array in known]]
        if FLAGS.further_views:
            parts.append(further(network, shown.annotated, picks))
        landmarks, targets, there = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        seen = there[..., 0].any(axis=0)
        fit = LandmarkRegression(FLAGS.ridge, centre=centre)
        fit.fit(landmarks, targets[:, seen], there[:, seen])
        errors = point_errors(fit.predict(unseen), points[:, seen], visible[:, seen])
        return per_cent(errors, shown, points)

    mean = mean_shape(*known[1:])
    errors = point_errors(np.broadcast_to(mean, points.shape), points, visible)
    found = {"mean shape %": per_cent(errors, shown, points)}
    for shots in (number for number in SHOTS if number < count):
        picks = [few_shot(count, shots, seed) for seed in range(SEEDS)]
        found[f"{shots} shots %"] = float(np.mean([error_of(one) for one in picks]))
    found["all shots %"] = error_of(np.arange(count))
    return found


def further(network, pictures, picks):
    """`measured` of warped views of the picked pictures.

    Of a few pictures alone a regression learns the pictures by heart; their views show which
    landmarks a point moves with (ICCV 2017 learns its regressors so).
    """
    from kcorr.datasets import Subset

    picked = Subset(pictures, [int(pick) for pick in picks])
    views = joined(object_views.single_views(picked, FLAGS.further_views))
    return measured(network, *(views[key] for key in KEYS))


def measured(network, images, points, visible):
    """The landmarks of pictures, their points and which of these are seen."""
    return output_of(network, images, "points"), points, visible
