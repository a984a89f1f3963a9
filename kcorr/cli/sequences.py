"""`kcorr flow VIDEO` and `kcorr flow FOLDER`."""

import contextlib
import time
from pathlib import Path

from PIL import Image

from kcorr import viz
from kcorr.cli.errors import CommandError, one_line
from kcorr.cli.folders import check_output_folder, check_outputs, make_output_folder
from kcorr.cli.networks import load_network, recurrent_options
from kcorr.cli.pictures import Summary, needs_backward, save
from kcorr.cli.progress import progress
from kcorr.datasets import Pairs, VideoFrames, Windows
from kcorr.datasets.folders import PictureSequence, picture_sequences

_VIDEO = "flow.mp4"
_FADE = 0.97  # how fast the colours' scale may fall from one pair to the next


def run_sequence(args):
    """Reads the frames, then computes and writes pair by pair.

    A file appears under its name when it is complete; whatever interrupts the run leaves the
    finished pairs, and no flow.mp4.
    """
    path = Path(args.inputs[0])
    frames, numbers, fps, inputs = _open(path, args)
    stride = args.stride or 1
    pairs = Pairs(frames, stride)
    if not len(pairs):
        count = f"{len(frames)} frame{'s' if len(frames) > 1 else ''}"
        raise CommandError(
            f"{path}: {count}; expected two that are {stride} apart, with no hard cut between them"
        )
    _check_av(args)
    check_output_folder(args.output)
    names = [numbers[name.rpartition("+")[0]] for name in pairs.names]
    outputs = [path for name in names for path in _paths(args, name).values()]
    outputs += [Path(args.output, _VIDEO)] if "video" in args.save else []
    check_outputs(outputs, inputs, "folder")
    network = load_network(args.model, args.network, **recurrent_options(args))
    if getattr(network, "frames", 2) == 3:
        # The same pairs, with the frames before and behind: those of the same shot.
        pairs = Windows(frames, 4, stride, ends="repeat")
    _Run(args, pairs, names, network, fps).go()


class _Run:
    """All pairs of one sequence."""

    def __init__(self, args, pairs, names, network, fps):
        from kcorr.models import Predictor

        self._args, self._pairs, self._names, self._fps = args, pairs, names, fps
        self._predict = Predictor(
            network,
            needs_backward(args.save),
            args.max_side,
            compiled=len(pairs) > 4,
            protocol=args.protocol,
        )
        self._summary = Summary()
        self._video, self._size = None, None
        self._scale = 0.0
        self._done = 0

    def go(self):
        """Computes and writes everything, and prints a line about it."""
        start = time.perf_counter()
        count = len(self._pairs)
        try:
            with contextlib.ExitStack() as stack:
                for index in progress(range(count), count, "flow", stack):
                    self._pair(index, stack)
                    self._done += 1
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"{self._done} of {count} pairs are complete in {self._args.output}"
            ) from None
        seconds = time.perf_counter() - start
        height, width = self._size
        print(
            f"{Path(self._args.output)}: {count} pair{'s' if count > 1 else ''} of "
            f"{width}x{height}, {self._summary.text(seconds)}"
        )

    def _pair(self, index, stack):
        record = self._pairs[index]
        image = record["image1"]
        result = self._predict(image, record["image2"], **_around(record))
        self._summary.add(result)
        scale = self._color_scale(result["flow"])
        paths = _paths(self._args, self._names[index])
        for path in paths.values():
            make_output_folder(path.parent)
        drawn = save(paths, image, result, scale)
        if self._size is None:
            self._size = image.shape[:2]
        if "video" in self._args.save:
            if self._video is None:
                folder = make_output_folder(self._args.output)
                self._video = stack.enter_context(viz.video_writer(folder / _VIDEO, self._fps))
            picture = drawn.get("overlay")
            if picture is None:
                picture = viz.overlay(image, result["flow"], max_flow=scale)
            if picture.shape[:2] != self._size:  # a folder may change its size
                picture = Image.fromarray(picture).resize(self._size[::-1])
            self._video.write(picture)

    def _color_scale(self, flow):
        """One scale for all pictures would need all flows first; this one grows at once and falls
        slowly, so that colours do not flicker."""
        if self._args.max_flow:
            return self._args.max_flow
        self._scale = max(viz.flow_scale(flow), _FADE * self._scale)
        return self._scale


def _paths(args, name):
    """{kind: path} of the files of the pair of this name."""
    kinds = [kind for kind in args.save if kind != "video"]
    suffixes = {"flow": args.format}
    return {kind: Path(args.output, kind, f"{name}.{suffixes.get(kind, 'png')}") for kind in kinds}


def _around(record):
    return {key: record[key] for key in ("image0", "image3") if key in record}


def _open(path, args):
    """(frames, {frame name: what its files are called}, frames per second, files they lie in)."""
    start, stop = args.frames or (0, None)
    if path.is_dir():
        frames, pictures = _folder(path, start, stop)
        stems = [file.stem for file in frames.files]
        if len(set(stems)) < len(stems):
            stems = [f"{number:06d}" for number in range(start, start + len(stems))]
        return frames, dict(zip(frames.names, stems, strict=True)), args.fps or 25, pictures
    _refuse_picture(path)
    try:
        # Read in order, frames that memory does not hold are decoded again as fast, and exact.
        frames = VideoFrames(path, start, stop, compress=False, damaged=args.damaged or "error")
    except ImportError as error:
        raise CommandError(f"{path}: {one_line(error)}") from error
    except ValueError as error:
        raise CommandError(one_line(error).replace("damaged='keep'", "--damaged keep")) from error
    numbers = {name: name.rpartition("/")[2] for name in frames.names}
    return frames, numbers, args.fps or _video_fps(path), [path]


def _folder(path, start, stop):
    """(frames from `start` to `stop`, all pictures there are); a broken frame is found at once."""
    sequences = picture_sequences(path)
    if not sequences:
        raise CommandError(f"{path}: no picture in this folder; expected the frames of a video")
    if len(sequences) > 1:
        raise CommandError(
            f"{path}: pictures lie in {len(sequences)} folders, the first is "
            f"{sequences[0][0].parent}; expected the frames of one video"
        )
    [files] = sequences
    if max(start + 1, stop or 0) > len(files):
        raise CommandError(
            f"{path}: has {len(files)} frames; asked for frames {start} to {stop or 'the end'}"
        )
    shown = files[start:stop]
    names = [str(number) for number in range(start, start + len(shown))]
    return PictureSequence(shown, names, damaged="error"), files


def _refuse_picture(path):
    """A single picture is a slip that ffmpeg would take for a video of one frame."""
    from kcorr.io import FormatError, image_size

    try:
        image_size(path)
    except FormatError:
        return
    raise CommandError(f"{path}: is one picture; expected two, or a video, or a folder of frames")


def _video_fps(path):
    """Frames per second that the container states, else 25."""
    import av

    with av.open(str(path)) as container:
        rate = container.streams.video[0].average_rate
    return float(rate) if rate and 0 < rate < 1000 else 25


def _check_av(args):
    if "video" in args.save:
        try:
            import av  # noqa: F401
        except ImportError as error:
            raise CommandError(
                f"{Path(args.output, _VIDEO)}: writing a video needs PyAV: pip install "
                "'kcorr[video]', or leave video out of --save"
            ) from error
