"""How networks of landmarks are measured: under warps, and by what regresses annotated points."""

import functools

import numpy as np
from absl import flags

from recipes import object_views, objects
from recipes.object_protocols import joined, output_of, stacked
from recipes.regressions import by_shots, known_points, per_cent, progress

FLAGS = flags.FLAGS
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
    flags.DEFINE_enum(
        "further_warp",
        "evaluation",
        ("evaluation", "single"),
        "landmarks: how strong these warps are: half of the training's, or DVE's for a regressor",
    )


def measure_landmarks(network, shown):
    """What a network of landmarks does on the test pictures."""
    found = {}
    for kind in ("evaluation", "training"):
        found |= equivariance(network, shown.test, kind)
    if shown.annotated is not None:
        found |= regression(network, shown)
    elif len(shown.test) > 1 and "points1" not in shown.test[0]:
        (images,) = stacked(shown.test, "image1")
        found |= consistency(output_of(network, images, "points"))
    return found


def consistency(landmarks):
    """Whether a landmark is at about the same place of each object, which fill pictures alike.

    Args:
        landmarks: [n, k, 2] pixels, of n pictures.

    Returns:
        The mean distance of landmarks from their mean places, and that of a mean place from the
        nearest other one: a landmark that means the same on all objects stays nearer to its own
        place than to others'.
    """
    places = landmarks.mean(axis=0)
    found = {"scatter px": float(np.linalg.norm(landmarks - places, axis=-1).mean())}
    if len(places) > 1:
        apart = np.linalg.norm(places[:, None] - places, axis=-1)
        np.fill_diagonal(apart, np.inf)
        found["apart px"] = float(apart.min(axis=1).mean())
    return found


def equivariance(network, pictures, kind):
    """Distances of landmarks of one view, warped, from those of the other: their mean and median.

    "unmoved" is the mean of landmarks that stay where they are, whatever the warp does.
    """
    from kcorr.metrics import equivariance_errors
    from kcorr.metrics.points import mean_of

    views = joined(object_views.views_of(pictures, kind=kind))
    first, second = (output_of(network, views[f"image{k}"], "points") for k in (1, 2))
    errors = equivariance_errors(first, second, views["grid"], views["valid"])
    unmoved = equivariance_errors(first, first, views["grid"], views["valid"])
    counted = errors[~np.isnan(errors)]
    name = f"equivariance px, {kind} warps"
    return {
        name: mean_of(errors),
        f"{name}, median": float(np.median(counted)) if counted.size else np.nan,
        f"{name}, unmoved": mean_of(unmoved),
    }


def regression(network, shown):
    """Annotated points as linear functions of the landmarks, learned from few and from all."""
    from kcorr.metrics import LandmarkRegression, mean_shape
    from kcorr.models import fit_linear_points

    known = measured(network, *stacked(shown.annotated, *KEYS))
    count = len(shown.annotated)
    images, points, visible = stacked(shown.test, *KEYS)
    unseen = output_of(network, images, "points")
    centre = [(objects.side() - 1) / 2] * 2

    @functools.cache
    def learned_from(*picks):
        parts = [[array[list(picks)] for array in known]]
        if FLAGS.further_views:
            parts.append(further(network, shown.annotated, picks))
        landmarks, targets, there = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        seen = known_points(there)
        return (landmarks, targets[:, seen], there[:, seen]), seen

    def closed(picks, seed=0):
        arrays, seen = learned_from(*picks)
        if not seen.any():  # in these few pictures
            return np.nan
        fit = LandmarkRegression(FLAGS.ridge, centre=centre).fit(*arrays)
        return per_cent(fit.predict(unseen), shown, points, visible, seen)

    def step_by_step(picks, seed=0):
        arrays, seen = learned_from(*picks)
        if not seen.any():
            return np.nan
        options = {"epochs": 2, "drops": ()} if FLAGS.smoke else {}
        line = progress(f"a layer, {len(picks)} shots")
        fit = fit_linear_points(
            *arrays, size=images.shape[1:3], seed=seed, callbacks=[line], **options
        )
        places = fit.predict({"landmarks": unseen}, verbose=0)["points"]
        return per_cent(places, shown, points, visible, seen)

    seen = known_points(known[2])
    if not seen.any():
        return {}
    mean = mean_shape(*known[1:])[seen]
    mean = np.broadcast_to(mean, (len(points), *mean.shape))
    found = {"mean shape %": per_cent(mean, shown, points, visible, seen)}
    found |= by_shots(count, closed)
    found["all shots %"] = closed(np.arange(count))
    if FLAGS.regress:
        found |= by_shots(count, step_by_step, "{shots} shots, by steps")
        found["all shots, by steps %"] = step_by_step(np.arange(count))
    return found


def further(network, pictures, picks):
    """`measured` of warped views of the picked pictures.

    Of a few pictures alone a regression learns the pictures by heart; their views show which
    landmarks a point moves with (ICCV 2017 learns its regressors so).
    """
    from kcorr.datasets import Subset

    picked = Subset(pictures, [int(pick) for pick in picks])
    views = joined(object_views.single_views(picked, FLAGS.further_views, FLAGS.further_warp))
    return measured(network, *(views[key] for key in KEYS))


def measured(network, images, points, visible):
    """The landmarks of pictures, their points and which of these are seen."""
    return output_of(network, images, "points"), points, visible
