"""Views of objects that recipes learn from and are measured by: two of each, or a single one."""

import functools

from absl import flags

from recipes import objects

FLAGS = flags.FLAGS


def views(shown, seed, batch_size, mirror=False):
    """Endless batches of two views of each object, for learning.

    Args:
        shown: an `Objects`.
        seed: of everything random.
        batch_size: pairs a batch.
        mirror: whether half of the second views are mirrored.
    """
    from kcorr import pipelines

    keys = objects.PAIR if shown.moving else ("image1",)
    stream = pipelines.examples(shown.training, keys, seed=seed, on_error=FLAGS.on_error)
    changes = [as_pair if shown.moving else warped(FLAGS.warp)]
    if FLAGS.colour:
        changes.append(pipelines.random_appearance)
    if mirror:
        changes.append(pipelines.mirror_second)
    return pipelines.batches(pipelines.mapped(stream, *changes), batch_size)


def as_pair(example):
    """Two frames of a film as two views; what stands still counts, if it is part of the object."""
    from kcorr import pipelines

    return pipelines.video_pair(example, still=None)


def warped(kind):
    """What makes two warped views of a picture, with its key points."""
    return _view("published_pair", kind, objects.side(), objects.crop())


@functools.cache
def _view(maker, kind, side, crop):
    """The pipelines' `maker` as one graph for all streams: protocols make dozens of these.

    The size of pictures is said, so that graphs know it: they are twice as fast.
    """
    import tensorflow as tf

    from kcorr import pipelines

    make = getattr(pipelines, maker)

    def view(example):
        image = tf.ensure_shape(example["image1"], [side, side, 3])
        return make({**example, "image1": image}, kind=kind, resized=False, crop=crop)

    return tf.function(view, autograph=False)


def views_of(records, batch_size=8, kind="evaluation", limit=None):
    """Batches of two views of each record with their key points, always the same.

    Args:
        records: pictures, which are warped, or pairs of frames.
        batch_size: views a batch; what is left over is dropped.
        kind: of the warp.
        limit: largest number of records, spread over all.
    """
    import numpy as np
    import tensorflow as tf

    from kcorr import pipelines
    from kcorr.datasets import Subset

    count = min(len(records), limit or len(records))
    records = Subset(records, np.linspace(0, len(records) - 1, count).astype(int).tolist())
    wanted = (*objects.PAIR, "points1", "points2", "visible", "identity")
    keys = [key for key in wanted if key in records[0]]
    change = as_pair if "image2" in keys else warped(kind)
    stream = pipelines.examples(records, keys, objects.TEST_SEED, shuffle=False, repeat=False)
    batch_size = min(batch_size, count)
    stream = pipelines.batches(pipelines.mapped(stream, change), batch_size)
    return stream.apply(tf.data.experimental.assert_cardinality(count // batch_size))


def single_views(pictures, count, kind="single", batch_size=20):
    """Batches of about `count` warped views of annotated pictures, whole, always the same.

    Args:
        pictures: records with key points.
        count: views, rounded up to whole batches.
        kind: of the warp: "single", DVE's for a regressor, or "evaluation", which is stronger.
        batch_size: views a batch.
    """
    from kcorr import pipelines

    change = _view("published_view", kind, objects.side(), 0)
    keys = ("image1", "points1", "visible")
    stream = pipelines.examples(pictures, keys, objects.TEST_SEED, shuffle=False)
    stream = pipelines.batches(pipelines.mapped(stream, change), batch_size)
    return stream.take(-(-count // batch_size))
