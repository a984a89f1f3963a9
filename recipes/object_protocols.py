"""What measures of networks of object structure share: their outputs, and what is drawn of them."""

from pathlib import Path

import numpy as np
from absl import flags

from recipes import common, object_views, objects

FLAGS = flags.FLAGS


def define_flags():
    """Flags of the protocols."""
    flags.DEFINE_bool(
        "regress",
        False,
        "also regress points by what learns step by step: labels through 50 virtual points, from "
        "all pictures and few; landmarks by a layer beside the closed form",
    )


def output_of(network, images, key, batch_size=32):
    """The network's output under `key` for uint8 or float pictures [n, h, w, 3]."""
    import tensorflow as tf

    if not hasattr(network, "_measured"):
        network._measured = tf.function(
            lambda x: network({"image": x}, training=False),
            input_signature=[tf.TensorSpec([None, None, None, 3])],
        )
    parts = []
    for start in range(0, len(images), batch_size):
        part = np.asarray(images[start : start + batch_size])
        part = part.astype("float32") / (255 if part.dtype == np.uint8 else 1)
        parts.append(network._measured(part)[key].numpy())
    return np.concatenate(parts)


def stacked(source, *keys):
    """The records' arrays of each key, stacked; None for a key that records do not have."""
    records = [source[index] for index in range(len(source))]
    return [
        np.stack([record[key] for record in records]) if key in records[0] else None for key in keys
    ]


def joined(batches):
    """{key: array} of all batches of a dataset."""
    parts = [{key: value.numpy() for key, value in batch.items()} for batch in batches]
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


# === Pictures ===


def pictures_of_labels(network, shown, symmetric=False, count=8):
    """{name: picture}: labels as colours, matches between two pictures, the unrolled sphere."""
    from kcorr import viz
    from kcorr.metrics import match_points

    images, points, masks, identity = stacked(
        shown.test, "image1", "points1", "objects", "identity"
    )
    labels = output_of(network, images, "labels")
    height, width = 2 * labels.shape[1], 2 * labels.shape[2]
    masks = np.ones(images.shape[:3], bool) if masks is None else masks[..., 0] > 0
    masks = masks[:, :height:2, :width:2]
    few = np.linspace(0, len(images) - 1, min(count, len(images))).astype(int)
    colours = viz.labels_to_color(labels[few], viz.label_basis(labels[few]), masks[few])
    sheet = []
    for image, colour in zip(images[few], colours, strict=True):
        sheet += [("picture", image), ("labels", colour)]
    found = {"labels": viz.side_by_side(sheet, columns=4)}
    if symmetric:
        drawn = zip(images[few], labels[few], masks[few], strict=True)
        planes = [("", viz.draw_symmetry(*one, scale=3)) for one in drawn]
        found["symmetry"] = viz.side_by_side(planes, columns=4)
    elif objects.data_name() == "n_fold":
        drawn = zip(images[few], labels[few, ..., :3], masks[few], strict=True)
        axes = [("", viz.draw_axis(*one, scale=3)) for one in drawn]
        found["axis"] = viz.side_by_side(axes, columns=4)
    if labels.shape[-1] == 3:
        has_axes = symmetric or objects.data_name() == "n_fold"
        frame = np.eye(3) if has_axes else viz.upright_frame(labels, masks)
        people = None if identity is None else identity[:, 0]
        found["unrolled"] = unrolled(images[:, :height, :width], labels @ frame, masks, people)
    if len(images) < 2:
        return found
    if points is None:
        x, y = (np.linspace(0.3, 0.7, 5) * side for side in (width, height))
        points = np.stack(np.meshgrid(x, y), -1).reshape(1, -1, 2)
    other = len(images) // 2  # another person, or the same arm at another time
    there = match_points(labels[:1], points[:1], labels[other : other + 1])
    found["matches"] = viz.draw_matches(images[0], images[other], points[0], there[0], scale=4)
    return found


def unrolled(images, labels, masks, people, count=8):
    """The map of all pictures and, where people are told apart, of some of them beside it."""
    from kcorr import viz

    shown = {"all": np.ones(len(images), bool)}
    if people is not None:
        shown |= {f"person {int(one)}": people == one for one in np.unique(people)[:count]}
    maps = [
        (name, viz.unroll_sphere(images[of], labels[of], mask=masks[of], smooth=1.5))
        for name, of in shown.items()
    ]
    return viz.side_by_side(maps, columns=3)


def pictures_of_landmarks(network, shown, count=6):
    """{name: picture}: landmarks over pictures of several objects, and over warps of one."""
    from kcorr import viz

    (images,) = stacked(shown.test, "image1")
    picks = np.linspace(0, len(images) - 1, min(count, len(images))).astype(int)
    views = joined(object_views.views_of(shown.test, kind="training", limit=count))
    found = {}
    for name, shots in (("objects", images[picks]), ("warps", views["image1"][:count])):
        points = output_of(network, shots, "points")
        sheet = [("", viz.draw_points(*pair, scale=3)) for pair in zip(shots, points, strict=True)]
        found[name] = viz.side_by_side(sheet, columns=3)
    return found


def write_pictures(workdir, pictures):
    """Writes WORKDIR/pictures/NAME.png; returns the folder."""
    from kcorr.io import write_image

    folder = workdir / "pictures"
    folder.mkdir(exist_ok=True)
    for name, picture in pictures.items():
        write_image(folder / f"{name}.png", picture)
    return folder


def finite(results):
    """Results without what could not be measured: JSON has no NaN."""
    return {
        name: {key: value for key, value in result.items() if np.isfinite(value)}
        for name, result in results.items()
    }


def short(path):
    """A name for files: the run's folder of a network, or the file's own."""
    path = Path(path)
    return path.parent.name if path.stem == "network" and path.parent.name else path.stem


def load_network(path):
    """A trained network of landmarks or labels: a .keras file, or a SavedModel of one."""
    from kcorr.models import load
    from kcorr.models.registry import gives_of

    try:
        network = load(str(path))
    except (ValueError, OSError) as error:
        raise common.UserError(str(error)) from error
    if gives_of(network) not in ("landmarks", "labels"):
        raise common.UserError(f"{path}: expected a network of landmarks or labels, got another")
    return network
