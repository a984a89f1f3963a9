"""How networks of dense labels are measured: the protocols of their papers.

Errors are in pixels of the pictures, or in per cent: of the distance of the eyes where the data has
eyes, else of the pictures' width.
"""

import tempfile

import numpy as np
from absl import flags

from recipes import object_views, objects
from recipes.object_protocols import joined, output_of, stacked
from recipes.regressions import by_shots, known_points, per_cent, progress

FLAGS = flags.FLAGS
CYCLE_STEP = 8  # pixels between the points that go to another picture and back
WARP_STEP = 4  # pixels between those whose labels are sought in another view
FAR = 30  # degrees of the ball


def measure_labels(network, shown, symmetric=False):
    """What a network of labels does on the test pictures.

    Args:
        network: gives `labels`.
        shown: an `Objects`.
        symmetric: whether the network was taught the bilateral symmetry.

    Returns:
        {measure: number}, those that the data allows.
    """
    images, points, visible, identity = stacked(
        shown.test, "image1", "points1", "visible", "identity"
    )
    labels = output_of(network, images, "labels")
    found = equivariance(network, shown.test) | matching(network, shown, identity)
    alike = objects.data_name() == "n_fold"  # no vector can tell one leg from the next
    learned = None
    if points is not None and shown.annotated is not None and not alike:
        learned = kept_labels(network, in_batches(shown.annotated))
        if known_points(learned[2]).any():
            found |= nearest(learned, shown, labels, points, visible)
            if FLAGS.regress:
                found |= regressed(network, learned, shown, labels, points, visible)
        else:
            learned = None
    if objects.data_name() == "sphere":
        found |= on_the_ball(labels, shown.test)
    if alike:
        found |= about_the_axis(labels, points, visible, shown.swap)
    elif shown.swap is not None:
        found |= symmetric_transfer(learned, labels, points, visible, shown.swap, symmetric)
    if points is None:
        found |= cycles(labels, images, identity)
    return found


def kept_labels(network, batches):
    """Labels of many pictures, in a file: those of MAFL's 19,000 are 12 GB of 64 dimensions.

    Args:
        network: gives `labels`.
        batches: dicts of arrays image1, points1 and visible, one after another.

    Returns:
        (labels [n, h, w, c], a `numpy.memmap` whose file is gone as soon as it is; points
        [n, k, 2]; visible [n, k, 1]).
    """
    rest = []
    with tempfile.TemporaryFile(dir=FLAGS.workdir) as file:
        for batch in batches:
            labels = output_of(network, batch["image1"], "labels").astype("float32")
            file.write(labels)
            rest.append([batch[key] for key in ("points1", "visible")])
        points, visible = (np.concatenate(parts) for parts in zip(*rest, strict=True))
        file.flush()
        shape = (len(points), *labels.shape[1:])
        return np.memmap(file, "float32", "r", shape=shape), points, visible


def in_batches(pictures, batch_size=32):
    """Annotated pictures as batches of arrays, read as they are asked for."""
    from kcorr.datasets import Subset

    keys = ("image1", "points1", "visible")
    for start in range(0, len(pictures), batch_size):
        part = Subset(pictures, range(start, min(start + batch_size, len(pictures))))
        yield dict(zip(keys, stacked(part, *keys), strict=True))


def equivariance(network, pictures):
    """How far from where a warp takes a pixel its label is found in the warped view.

    It needs no key points: pixels on a grid are followed, those of the object where records say
    which these are. "unmoved" is the error of pixels that stay where they are.
    """
    from kcorr.metrics import match_points
    from kcorr.metrics.points import mean_of, point_errors

    errors, unmoved = [], []
    for batch in object_views.views_of(on_a_grid(pictures)):
        first, second = (output_of(network, batch[f"image{k}"], "labels") for k in (1, 2))
        start, end, seen = (batch[key].numpy() for key in ("points1", "points2", "visible"))
        found = match_points(first, start, second, normalise=FLAGS.normalise)
        errors.append(point_errors(found, end, seen))
        unmoved.append(point_errors(start, end, seen))
    return {
        "equivariance px": mean_of(np.concatenate(errors)),
        "equivariance px, unmoved": mean_of(np.concatenate(unmoved)),
    }


def on_a_grid(pictures):
    """The pictures, with a grid of pixels as key points; those of the background do not count."""
    from kcorr.datasets import Source

    class OnGrid(Source):
        names = pictures.names

        def _read(self, index):
            record = pictures[index]
            height, width = record["image1"].shape[:2]
            points = grid_of((height, width), WARP_STEP // 2, WARP_STEP)
            columns, rows = points.T.astype(int)
            mask = record.get("objects", np.ones((height, width, 1)))
            visible = (mask[rows, columns] > 0).astype("float32")
            return {"image1": record["image1"], "points1": points, "visible": visible}

    return OnGrid()


def grid_of(size, margins, step):
    """Points [n, 2] so many pixels apart, within (vertical, horizontal) margins of a picture."""
    rows, columns = (
        np.arange(margin, side - margin + 1, step)
        for side, margin in zip(size, np.broadcast_to(margins, 2), strict=True)
    )
    return np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2).astype("float32")


def matching(network, shown, identity):
    """Points of one view sought in another one, of the same and of a different object."""
    from kcorr.metrics import matching_scores

    if len(shown.test) < 2:
        return {}
    views = joined(object_views.views_of(shown.test, 2 * min(16, len(shown.test) // 2)))
    if "points1" not in views:
        return {}
    count = len(views["points1"])
    scores = matching_scores(
        *(output_of(network, views[f"image{k}"], "labels") for k in (1, 2)),
        views["points1"],
        views["points2"],
        views["visible"],
        None if identity is None or objects.data_name() != "faces" else identity[:count],
        normalise=FLAGS.normalise,
    )
    if objects.data_name() == "n_fold":  # up to the turn: see `about_the_axis`
        return {"same px": scores["same"]}
    return {"same px": scores["same"], "different px": scores["different"]}


def nearest(learned, shown, labels, points, visible):
    """Annotated points found by one learned vector each, the trunk frozen."""
    from kcorr.metrics import fit_point_vectors, nearest_points
    from kcorr.metrics.matching import cell_of

    known_labels, known, there = learned
    seen = known_points(there)
    cells = cell_of(known[:, seen], known_labels.shape[1:3])
    vectors = fit_point_vectors(known_labels, cells, there[:, seen])
    places = nearest_points(vectors, labels)
    return {"nearest %": per_cent(places, shown, points, visible, seen)}


def regressed(network, learned, shown, labels, points, visible):
    """Annotated points through 50 virtual points each, the trunk frozen; from all and from few.

    Keras takes all labels into memory, once.
    """
    from kcorr.datasets import Subset
    from kcorr.models import fit_virtual_points

    count = len(shown.annotated)

    def error_of(known_labels, known, there, what, **options):
        seen = known_points(there)
        if not seen.any():  # in these few pictures
            return np.nan
        if FLAGS.smoke:
            options |= {"epochs": 2, "drops": ()}
        line = progress(f"points through virtual ones, {what}")
        regressor = fit_virtual_points(
            known_labels, known[:, seen], there[:, seen], callbacks=[line], **options
        )
        places = regressor.predict({"labels": labels}, verbose=0)["points"]
        return per_cent(places, shown, points, visible, seen)

    def few(picks, seed):
        # As DVE: as many warped views as there are pictures, each made once.
        picked = Subset(shown.annotated, picks.tolist())
        views = object_views.single_views(picked, count).as_numpy_iterator()
        arrays = [array[:count] for array in kept_labels(network, views)]
        options = {"epochs": 50, "learning_rate": 1e-2, "drops": (), "seed": seed}
        return error_of(*arrays, f"{len(picks)} shots, draw {seed + 1}", **options)

    found = by_shots(count, few, "regressed, {shots} shots")
    return found | {"regressed %": error_of(*learned, "all pictures")}


def symmetric_transfer(learned, labels, points, visible, swap, symmetric):
    """Each point's counterpart, by the reflected label in the same picture.

    A frame that was taught the symmetry is reflected at its own plane. Any frame is also reflected
    at the plane that the annotated pictures show, if there are some: without that a plain frame has
    no plane, and nothing is measured of it. Beside them, "unmoved" is how far counterparts are
    apart: the error of a point that stays where it is.
    """
    from kcorr.metrics import plane_reflection, symmetric_transfer_errors
    from kcorr.metrics.matching import labels_at
    from kcorr.metrics.points import mean_of, point_errors

    swap = np.asarray(swap)
    dimensions = labels.shape[-1]
    reflections = {}
    if learned is not None:
        # Points on the plane of symmetry; where there are none, half way between two counterparts.
        known_labels, known, there = learned
        at = labels_at(known_labels, known)
        both = np.minimum(there, there[:, swap])[..., 0] > 0.5
        middle = ((at + at[:, swap]) / 2)[both]
        if len(middle) >= dimensions - 1:
            reflections["transfer, plane fitted px"] = plane_reflection(middle)
    if symmetric:
        reflections["transfer px"] = np.diag([-1.0, *np.ones(dimensions - 1)])
    moved = swap != np.arange(len(swap))
    found = {}
    for name, matrix in reflections.items():
        errors = symmetric_transfer_errors(labels, points, swap, matrix, visible)
        found[name] = mean_of(errors[:, moved])
    both = np.minimum(visible, visible[:, swap])
    apart = point_errors(points, points[:, swap], both)
    return found | {"transfer px, unmoved": mean_of(apart[:, moved])}


def on_the_ball(labels, test):
    """The angle between labels and true places, after one orthogonal map for all pictures.

    And how many labels are on another part of the ball: a frame that holds for the whole of it has
    none of them, though none may be exact.
    """
    from kcorr.metrics import procrustes_angle

    (places,) = stacked(test, "coordinates1")
    count, height, width, channels = labels.shape
    if channels != 3:
        return {}
    cells = places[:, : 2 * height, : 2 * width].reshape(count, height, 2, width, 2, 3)
    whole = (np.square(cells).sum(-1) > 0).all(axis=(2, 4))  # no background in the cell
    places = cells.mean(axis=(2, 4))
    angle, matrix = procrustes_angle(labels, places * whole[..., None])
    labels, places = labels[whole] @ matrix.T, places[whole]
    lengths = np.linalg.norm(labels, axis=-1) * np.linalg.norm(places, axis=-1)
    near = np.sum(labels * places, axis=-1) >= np.cos(np.radians(FAR)) * lengths
    return {"angle deg": angle, f"over {FAR} deg %": 100 * float(np.mean(~near))}


def about_the_axis(labels, points, visible, following):
    """Matches up to the symmetry, and whether the hub is on the axis of the rotations."""
    from kcorr.metrics import axis_angles, errors_up_to_symmetry, match_points, powers_of
    from kcorr.metrics.matching import labels_at
    from kcorr.metrics.points import mean_of

    half = len(labels) // 2
    first, second = slice(0, half), slice(half, 2 * half)
    there = match_points(labels[first], points[first], labels[second])
    both = visible[first] * visible[second]
    errors, _ = errors_up_to_symmetry(there, points[second], powers_of(following), both)
    hub = labels_at(labels, points)[:, 0][visible[:, 0, 0] > 0.5]
    return {
        "match px": mean_of(errors),
        "axis deg": float(np.mean(axis_angles(hub[..., :3]))),
    }


def cycles(labels, images, identity):
    """Points on a grid that go to another object's picture and come back: how near, how often.

    Labels that are alike everywhere come back, too, but send all points to one place; those that
    only know the place in the picture come back exactly. So the deviation of where points go,
    "spread", is to be read beside that of the grid which they leave.
    """
    from kcorr.metrics import cycle_errors, match_points

    people = np.arange(len(images)) if identity is None else identity[:, 0]
    others = other_objects(people)
    if others is None:
        return {}
    size = images.shape[1:3]
    grid = grid_of(size, [side // 4 for side in size], CYCLE_STEP)[None]
    points = np.repeat(grid, len(images), axis=0)
    errors = cycle_errors(labels, points, labels[others], normalise=FLAGS.normalise)
    there = match_points(labels, points, labels[others], normalise=FLAGS.normalise)
    return {
        "cycle px": float(errors.mean()),
        "spread px": float(there.std(axis=1).mean()),
        "spread px, of the grid": float(points.std(axis=1).mean()),
    }


def other_objects(people):
    """For each picture one of another object, so that each is taken about as often.

    Args:
        people: [n], who each picture shows.

    Returns:
        [n] integers, or None where all pictures show one.
    """
    order = np.argsort(people, kind="stable")
    _, first, count = np.unique(people[order], return_index=True, return_counts=True)
    if len(count) < 2:
        return None
    # Person by person, the picture as many places on as the largest person has pictures: each
    # picture once, unless one person has more than half of them.
    others = np.empty(len(people), int)
    for start, own in zip(first, count, strict=True):
        rest = np.roll(order, -start - own)[: len(order) - own]
        steps = np.arange(own) + count.max() - own
        others[order[start : start + own]] = rest[steps % len(rest)]
    return others
