"""What the recipes that learn from unlabelled frames share: the data and the pictures."""

from absl import flags

from recipes import common, records

FLAGS = flags.FLAGS


def define_flags():
    """Flags of the data."""
    flags.DEFINE_list(
        "data_dir",
        None,
        "videos, folders of frames or folders of videos, or the trees of KITTI's multi-view "
        "extension, MPI-Sintel or FlyingChairs, comma-separated; default: the real videos of the "
        "demo wheels",
    )
    common.check_paths("data_dir")
    flags.DEFINE_list("strides", ["1"], "distances of the two frames of a pair, mixed")
    flags.DEFINE_float(
        "cache_gib",
        1.0,
        "memory for the frames of videos; what does not fit is compressed, or decoded on demand if "
        "even that does not fit",
        lower_bound=0,
    )
    flags.DEFINE_enum(
        "frames",
        None,
        ("2", "3", "4", "5"),
        "consecutive frames of an example; default: 2, or 4 for a network of three frames: a pair "
        "with the frame before and the one behind",
    )
    common.define_on_error_flag("picture or video")
    flags.DEFINE_enum("small", "resize", ("error", "resize"), "what a picture below --size does")
    flags.register_validator(
        "strides",
        lambda values: (
            bool(values) and all(value.isdigit() and int(value) >= 1 for value in values)
        ),
        "--strides takes whole numbers from 1, comma-separated",
    )


def frame_count():
    """--frames, or what --network sees."""
    return int(FLAGS.frames or (4 if FLAGS.network.startswith("selflow") else 2))


def open_pairs():
    """The source of frame pairs of --data_dir and --strides, or of windows of --frames."""
    from kcorr.datasets import Scenes, demo_videos, open_unlabelled

    frames = frame_count()
    if FLAGS.smoke and FLAGS.data_dir is None:
        size = common.training_size()
        if frames > 2:
            return panning(size, frames)
        return Scenes(size=size, length=8, max_motion=4, photometric=0.2)
    paths = FLAGS.data_dir
    if paths is None:
        videos = demo_videos()
        # The animated film is left out: the default is to learn from what cameras saw.
        paths = [videos["cityCC0"], videos["bikes"], videos["carphone"]]
    try:
        return open_unlabelled(
            paths,
            [int(stride) for stride in FLAGS.strides],
            frames=frames,
            cache_bytes=int(FLAGS.cache_gib * 2**30),
            on_error=FLAGS.on_error,
        )
    except ValueError as error:
        # What an argument of the library would do; here it is a flag's business.
        text, damaged, _ = str(error).partition("; damaged='keep'")
        hint = common.LEAVES_OUT if damaged else ""
        raise common.UserError(f"--data_dir: {text}{hint}") from error


def panning(size, frames, length=12):
    """Windows of a camera that pans over one generated picture, (3, 2) pixels a frame."""
    import numpy as np

    from kcorr.datasets import Scenes, Windows

    height, width = size
    large = Scenes(size=(height + 2 * length, width + 3 * length), length=1)[0]["image1"]

    class Pan(list):
        names = tuple(f"pan/{time:02d}" for time in range(length))
        cuts = ()

    views = (large[2 * t : 2 * t + height, 3 * t : 3 * t + width] for t in range(length))
    return Windows(Pan(map(np.ascontiguousarray, views)), frames)


def image_keys():
    """Keys of the images of an example: image1 and image2, or image0 to image4."""
    from kcorr import schema

    frames = frame_count()
    return schema.IMAGES[1:3] if frames == 2 else schema.IMAGES[:frames]


def batches(source, seed, size, keys=(), crop=None, last=None):
    """Endless batches of random crops, mirrored, with one of six orders of the colours.

    Args:
        source: of pairs or windows.
        seed: of everything random.
        size: (height, width) of the crops.
        keys: of the records besides the images'.
        crop: (height, width) of a student's crop inside them, None for none.
        last: one more change of an example, None for none.
    """
    import functools

    from kcorr import pipelines

    changes = [
        functools.partial(pipelines.random_crop, size=size, small=FLAGS.small),
        pipelines.random_flips,
        pipelines.random_channel_order,
    ]
    if crop:
        changes.append(functools.partial(pipelines.with_crop_offset, size=crop))
    if last:
        changes.append(last)
    keys = (*image_keys(), *keys)
    stream = pipelines.examples(source, keys, seed=seed, on_error=FLAGS.on_error)
    return pipelines.batches(pipelines.mapped(stream, *changes), FLAGS.batch_size)


def train(objective, dataset_of_seed, source, workdir, steps, ignore=()):
    """The objective's network learns in place, with pictures of `source`. Returns the last logs.

    For recipes with --decay_steps and --ema; the other arguments are those of `common.fit`.
    """
    objective.build()
    objective.compile(common.adam(FLAGS.decay_steps, FLAGS.ema), jit_compile=FLAGS.jit_compile)
    return common.fit(
        objective,
        dataset_of_seed,
        workdir,
        steps,
        sample=sample(source, common.training_size()),
        draw=draw,
        ignore=ignore,
    )


def sample(source, size):
    """A fixed batch for the pictures that are drawn while the network learns."""
    import numpy as np

    picks = (0, len(source) - 1)
    shown = [records.nearest(source, index, FLAGS.on_error) for index in picks]
    cut = {key: [_centre(record[key], size) for record in shown] for key in image_keys()}
    height, width = (min(image.shape[axis] for image in cut["image1"]) for axis in (0, 1))
    return {
        key: np.stack([_centre(image, (height, width)) for image in images]).astype("float32") / 255
        for key, images in cut.items()
    }


def _centre(image, size):
    top, left = (max(0, (have - want) // 2) for have, want in zip(image.shape, size, strict=False))
    return image[top : top + size[0], left : left + size[1]]


def draw(batch, output):
    """{name: sheet}: frames, flow and the flow over the frame, a row for each example."""
    import numpy as np

    from kcorr import viz

    scale = viz.flow_scale(*output["flow"])
    sheet = []
    for image1, image2, flow in zip(batch["image1"], batch["image2"], output["flow"], strict=True):
        finite = np.nan_to_num(flow)
        sheet += [
            ("frame 1", image1),
            ("frame 2", image2),
            ("flow", viz.flow_to_color(flow, scale)),
            ("what moves", viz.overlay(image1, finite, max_flow=scale)),
        ]
    return {"flow": viz.side_by_side(sheet, columns=4)}
