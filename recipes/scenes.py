"""What recipes share that learn from generated scenes, whose motion is known."""

import functools

from absl import flags

from recipes import common

FLAGS = flags.FLAGS


def define_flags(max_motion):
    """Flags of the scenes.

    Args:
        max_motion: default of --max_motion.
    """
    flags.DEFINE_string(
        "textures", None, "folder of pictures; default: the pip wheels' real pictures"
    )
    flags.DEFINE_float("max_motion", max_motion, "largest motion in pixels", lower_bound=1.0)
    flags.DEFINE_float(
        "fast_share",
        0.0,
        "share of shifts drawn uniformly up to --max_motion instead of log-uniformly",
        lower_bound=0,
        upper_bound=1,
    )
    flags.DEFINE_integer(
        "reuse", 3, "uses of a generated scene, each augmented anew", lower_bound=1
    )


@functools.cache
def load_textures():
    """Pictures of --textures, or the demo wheels' training pictures and every third video frame.

    They are decoded once, however many networks a recipe trains.
    """
    from kcorr.datasets import FrameFolder, VideoFrames, demo_images, demo_videos
    from kcorr.io import read_image

    if FLAGS.textures:
        folder = FrameFolder(FLAGS.textures, independent=True)
        return [folder[i]["image1"] for i in range(len(folder))]
    textures = [read_image(path) for path in demo_images("train")]
    if FLAGS.smoke:
        return textures[:4]
    for path in demo_videos().values():
        frames = VideoFrames(path)
        textures += [frames[i] for i in range(0, len(frames), 3)]
    return textures


def dataset(textures, seed, keys):
    """Endless batches of generated scenes, augmented, of which `keys` are wanted."""
    from kcorr import pipelines
    from kcorr.datasets.scenes import Scenes

    pairs = Scenes(
        textures,
        common.training_size(),
        length=10**6,
        seed=seed,
        max_motion=FLAGS.max_motion,
        fast_share=FLAGS.fast_share,
    )
    stream = pipelines.examples(pairs, keys, seed=seed, shuffle=False, reuse=FLAGS.reuse)
    stream = pipelines.mapped(
        stream, pipelines.random_flips, pipelines.random_channel_order, pipelines.random_colour
    )
    return pipelines.batches(stream, FLAGS.batch_size, mixing=FLAGS.batch_size * 32, seed=seed)
