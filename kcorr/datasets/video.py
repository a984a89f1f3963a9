"""Video files as random-access frames and as frame pairs. Decodes with PyAV.

imageio-ffmpeg duplicates frames of some files and skvideo needs a system ffprobe, hence PyAV.
"""

import logging
import threading
import time
import zlib
from collections import OrderedDict
from itertools import chain, dropwhile, pairwise
from pathlib import Path

import numpy as np

from kcorr.datasets._frame_memory import FrameMemory, bytes_of, image_of
from kcorr.datasets.cuts import THRESHOLD, CutFinder
from kcorr.datasets.source import Windows, checked_index
from kcorr.io import FormatError

SUFFIXES = frozenset((
    ".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts",
    ".ogv", ".ts", ".webm", ".wmv",
))  # fmt: skip
_LOG = logging.getLogger("kcorr")
_SAY_SECONDS = 10  # between two lines while a long video is decoded
_RECENT = 16  # frames kept when decoding on demand: a pair and its neighbours share frames


class VideoFrames:
    """The frames of a video, uint8 `[h, w, 3]` RGB, by index.

    The file is decoded once from end to end, which gives the number of frames, the cuts, and any
    damage; every ten seconds a line of the log says how far that is. Frames come upright (a
    phone's rotation mark is applied) and read-only. Safe to read from several threads.

    Frames that fit `cache_bytes` stay in memory as they are. If they do not all fit, the first ones
    are kept as JPEG pictures of quality 95 with whole chroma, as many as need be, and decoded when
    they are read, by several threads at once. Such a frame differs from the video's by 1 to 1.5
    grey levels on average, and by more than 8 at one value in a thousand; a `cache_bytes` of three
    for each pixel of each frame, or `compress=False`, avoids that.

    If even these do not all fit, none stays (a warning says so), and a frame is decoded on demand
    from the keyframe before it, by one thread at a time, and held against the checksum of the first
    pass, so that it is bit for bit the video's. In random order that is slow.

    Args:
        path: the video file.
        start: first frame to use; frames keep their numbers of the file in `names`.
        stop: frame after the last one to use, None for the end. Nothing behind it is decoded.
        cut_threshold: see `kcorr.datasets.CutFinder`; None looks for no cuts.
        cache_bytes: how much memory frames may take; 0 decodes on demand.
        compress: False decodes on demand what does not fit as it is: exact, and as fast where
            frames are read in order.
        damaged: "error" refuses a file that is cut off or broken somewhere; "keep" takes the
            frames before the damage and says in `damage` what happened.
        name: what `names` begin with; the file's name by default.

    Attributes:
        names: "<name>/<six-digit frame number>".
        cuts: indices of frames that start a new shot.
        damage: None, or one line on what is broken.
        cached_bytes: memory that the kept frames take, 0 if they are decoded on demand.

    Raises:
        FileNotFoundError: no such file.
        kcorr.io.FormatError: not a video, no frame in it, or damaged.
        ImportError: PyAV is not installed.
        ValueError: a bad start, stop or `damaged`.
    """

    def __init__(
        self,
        path,
        start=None,
        stop=None,
        *,
        cut_threshold=THRESHOLD,
        cache_bytes=2**30,
        compress=True,
        damaged="error",
        name=None,
    ):
        self.path = Path(path)
        if damaged not in ("error", "keep"):
            raise ValueError(f"damaged is {damaged!r}, expected 'error' or 'keep'")
        self._start = 0 if start is None else start
        if self._start < 0 or (stop is not None and stop <= self._start):
            raise ValueError(f"frames {start} to {stop}: expected 0 <= start < stop")
        self._lock = threading.Lock()
        self._decoder = None
        self._recent = OrderedDict()
        # `open_source` has one memory for all its videos.
        shared = isinstance(cache_bytes, FrameMemory)
        memory = cache_bytes if shared else FrameMemory(cache_bytes, compress)
        self._scan(stop, cut_threshold, memory)
        if self.damage and damaged == "error":
            memory.give_up(self._frames or [])
            raise FormatError(
                self.path, f"{self.damage}; damaged='keep' uses the {len(self)} frames before that"
            )
        prefix = self.path.name if name is None else name
        self.names = [f"{prefix}/{self._start + i:06d}" for i in range(len(self))]

    def _scan(self, stop, cut_threshold, memory):
        decoder = _Decoder(self.path)
        finder = CutFinder(cut_threshold)
        self._times, self._sums, self.cuts, self._frames = [], [], [], []
        for number, (shown_at, image) in enumerate(_logged(decoder, self.path)):
            self._times.append(shown_at)
            self._sums.append(zlib.adler32(image))
            if number >= self._start:
                if finder.starts_shot(image):
                    self.cuts.append(number - self._start)
                if self._frames is not None and not memory.add(self._frames, image):
                    self._frames = None
            if stop is not None and number + 1 == stop:
                break
        decoder.close()
        self.damage = decoder.damage
        count = len(self._times) - self._start
        if count <= 0:
            found = f"{len(self._times)} frames decoded, asked from frame {self._start}"
            raise FormatError(self.path, f"{self.damage or 'not enough frames'} ({found})")
        if stop is not None and not self.damage and len(self._times) < stop:
            raise ValueError(
                f"{self.path} has {len(self._times)} frames, asked for frames up to {stop}"
            )
        self._count = count
        if self._frames is None and memory.limit and memory.compress:
            _LOG.warning(
                "%s: %d frames do not fit into %d MB even when compressed, and are decoded on "
                "demand, slow in random order: give more memory (cache_bytes; --cache_gib of the "
                "recipes), a shorter or smaller video, or a folder of its frames as pictures",
                self.path,
                count,
                memory.limit >> 20,
            )

    @property
    def cached_bytes(self):
        return bytes_of(self._frames or ())

    def __len__(self):
        return self._count

    def __getitem__(self, index):
        index = checked_index(index, len(self), f"{self.path} (frames)")
        if self._frames is not None:
            return image_of(self._frames[index])
        with self._lock:
            return self._decode(self._start + index)

    def _decode(self, number):
        """Frame `number` of the file; frames met on the way are remembered for a while."""
        if number in self._recent:
            return self._recent[number]
        near = self._decoder is not None and 0 <= number - self._decoder.position < _RECENT
        if not (near or self._reopen(seek=number)) or not self._run_to(number):
            # The container seeks wrongly: from the very start the numbers are right.
            self._reopen()
            if not self._run_to(number):
                raise FormatError(self.path, f"frame {number} has changed since it was opened")
        return self._recent[number]

    def _reopen(self, seek=None):
        if self._decoder is not None:
            self._decoder.close()
        self._decoder = _Decoder(self.path)
        return seek is None or self._decoder.seek(self._times, seek)

    def _run_to(self, number):
        """Decodes up to frame `number`; False when a frame is not the one of the first pass."""
        for _, image in self._decoder:
            position = self._decoder.position - 1
            if position >= len(self._sums) or zlib.adler32(image) != self._sums[position]:
                return False
            self._recent[position] = image
            while len(self._recent) > _RECENT:
                self._recent.popitem(last=False)
            if position == number:
                return True
        return False


def video_pairs(path, stride=1, start=None, stop=None, *, frames=2, ends="skip", **options):
    """Frame pairs `{image1, image2}`, or longer windows, of a video; none crosses a hard cut.

    Args:
        path: the video file.
        stride: distance of the two frames, at least 1.
        start: first frame to use.
        stop: frame after the last one to use.
        frames, ends: see `Windows`.
        **options: cut_threshold, cache_bytes, compress, damaged, name of `VideoFrames`.

    Returns:
        `Windows`, a source of uint8 images `[h, w, 3]`.

    Raises:
        As `VideoFrames`.
    """
    return Windows(VideoFrames(path, start, stop, **options), frames, stride, ends=ends)


def _logged(frames, path):
    """The same frames; now and then a line of the log says how many there were."""
    said = time.monotonic()
    for count, frame in enumerate(frames, 1):
        if time.monotonic() - said >= _SAY_SECONDS:
            said = time.monotonic()
            _LOG.info("%s: %d frames decoded so far", path, count)
        yield frame


class _Decoder:
    """Iterates (presentation time, RGB frame) in display order, from the start or a keyframe.

    Attributes:
        position: number of the next frame that iteration gives.
        damage: after iteration, None or what is broken in the file.
    """

    def __init__(self, path):
        try:
            import av
        except ImportError as error:
            raise ImportError("reading video needs PyAV: pip install kcorr[video]") from error
        if not Path(path).is_file():
            raise FileNotFoundError(f"{path}: no such video file")
        self._av, self._errors, self._path = av, av.error.FFmpegError, path
        self._open()

    def close(self):
        self._container.close()

    def __iter__(self):
        return self

    def __next__(self):
        frame = next(self._frames)
        self.position += 1
        return frame.pts, _upright_rgb(frame)

    def _raw_frames(self):
        """Decoded frames up to the end or the first damage, which is noted."""
        packets = good = 0
        try:
            for packet in self._container.demux(self._stream):
                packets += packet.size > 0
                for frame in packet.decode():
                    if not frame.is_corrupt:
                        good += 1
                        yield frame
                    elif good:  # before the first good one: leading frames of a cut-out clip
                        self.damage = f"broken after {good} frames"
                        return
        except self._errors as error:
            self.damage = f"broken after {good} frames ({error.strerror})"
            return
        promised = self._stream.frames  # 0 where the container does not say
        if packets < promised:
            self.damage = f"cut off: {packets} of {promised} frames are there"

    def seek(self, times, number):
        """Moves to frame `number`, or to a frame before it from which decoding is exact.

        Frames are identified by presentation time, and decoding is exact from a keyframe on:
        frames shown before it may lean on what was skipped. Containers without an index (MPEG
        program streams) land where they like, even too late, and stamp the first frame after a
        seek wrongly. So frames are believed from the first two that follow each other, and when
        those come too late, an earlier landing place is tried.

        Args:
            times: presentation time of every frame of the file.
            number: the wanted frame.

        Returns:
            Whether it worked; if not, the decoder must be opened anew.
        """
        numbers = {time: i for i, time in enumerate(times) if time is not None}
        back = 0
        while number - back >= 0 and len(numbers) == len(times):
            try:
                self._container.seek(times[number - back], stream=self._stream)
            except self._errors:  # not seekable
                return False
            frames = dropwhile(lambda frame: not frame.key_frame, self._raw_frames())
            for first, second in pairwise(frames):
                landed = numbers.get(first.pts, number)
                if landed >= number:
                    break
                if numbers.get(second.pts) == landed + 1:
                    self.position = landed
                    self._frames = chain([first, second], frames)
                    return True
            back = 2 * back + 12
        return False

    def _open(self):
        try:
            # A title in another encoding is no reason to refuse a video.
            self._container = self._av.open(str(self._path), metadata_errors="replace")
        except self._errors as error:
            # The error's own text repeats the path; its strerror does not.
            raise FormatError(self._path, f"not a readable video ({error.strerror})") from error
        if not self._container.streams.video:
            self._container.close()
            raise FormatError(self._path, "holds no video stream")
        self._stream = self._container.streams.video[0]
        self.position = 0
        self.damage = None
        self._frames = self._raw_frames()


def _upright_rgb(frame):
    """uint8 `[h, w, 3]`, read-only, turned as the file's display mark says."""
    quarters = round(getattr(frame, "rotation", 0) / 90)  # degrees counter-clockwise
    image = np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), quarters))
    image.setflags(write=False)
    return image
