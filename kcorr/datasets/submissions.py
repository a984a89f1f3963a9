"""Files that the benchmarks' servers take: written whole, and checked before they are sent.

KITTI takes a zip of 16-bit PNG files, in a folder for 2015 and at the top level for 2012. Sintel
takes what its own program makes of two trees of .flo files, clean/ and final/; those trees are
written here, the program comes with the data set.
"""

import contextlib
import os
import secrets
import shutil
import tempfile
import zipfile
import zlib
from collections import Counter
from pathlib import Path

import numpy as np

from kcorr.datasets.splits import KITTI_SCENES, SINTEL_FRAMES, scene_windows
from kcorr.io import (
    FormatError,
    atomic_write,
    read_disparity,
    read_flow,
    write_disparity,
    write_flow,
)

# Where the prediction for a record lies, by benchmark and task; {} is the record's name.
LAYOUTS = {
    ("kitti2015", "flow"): "flow/{}.png",
    ("kitti2015", "disparity"): "disp_0/{}.png",
    ("kitti2012", "flow"): "{}.png",
    ("kitti2012", "disparity"): "{}.png",
    ("sintel", "flow"): "{}.flo",
}
SINTEL_SIZE = (436, 1024)
_SHOWN = 5
_LARGEST = 2**28  # bytes of one prediction; a .flo of Sintel has 3.6 million


def official_files(benchmark, task="flow"):
    """All predictions that a complete submission holds.

    Args:
        benchmark: "kitti2015" (200), "kitti2012" (195) or "sintel" (552 clean and 552 final).
        task: "flow", or "disparity" for KITTI.

    Returns:
        {name of the record in `KITTI2015`, `KITTI2012` or `Sintel`: (height, width), or None where
        sizes vary}.

    Raises:
        ValueError: unknown benchmark or task.
    """
    _layout(benchmark, task)
    if benchmark == "sintel":
        frames = [(scene, first) for scene, (first, _) in scene_windows(SINTEL_FRAMES["test"])]
        return {
            f"{dtype}/{scene}/frame_{first:04d}": SINTEL_SIZE
            for dtype in ("clean", "final")
            for scene, first in frames
        }
    count = KITTI_SCENES[int(benchmark[-4:]), "testing"]
    return dict.fromkeys(f"{scene:06d}_10" for scene in range(count))


class SubmissionWriter:
    """Writes a submission: all of it, or nothing.

    Files gather under a temporary name beside `path`. When the block ends well and every
    prediction is there, they become `path`: a zip for KITTI, a folder for Sintel. Otherwise they
    are removed.

        with SubmissionWriter("flow.zip", "kitti2015") as submission:
            for name, record in zip(source.names, source):
                submission.add(name, predict(record), record["image1"].shape[:2])

    Args:
        path: what to write: a .zip, which is replaced, or for Sintel a folder that does not exist.
        benchmark, task: see `official_files`.
        names: names of the records that must be there; None takes `official_files`.

    Raises:
        ValueError: unknown benchmark or task, or a path that does not end in .zip for KITTI.
        FileExistsError: Sintel's folder is there already.
        FileNotFoundError: the folder that `path` shall lie in does not exist.
        FormatError: when the block ends, a prediction is missing; the message names it.
    """

    def __init__(self, path, benchmark, task="flow", names=None):
        self._path = Path(path)
        self._layout = _layout(benchmark, task)
        self._task = task
        self._zipped = benchmark != "sintel"
        known = official_files(benchmark, task) if names is None else dict.fromkeys(names)
        self._sizes = known
        self._written = set()
        if self._zipped and self._path.suffix.lower() != ".zip":
            raise ValueError(f"{path}: KITTI takes a .zip, expected a name that ends so")
        if not self._zipped and self._path.exists():
            raise FileExistsError(f"{path}: is there already, expected a new folder")
        if not self._path.absolute().parent.is_dir():
            raise FileNotFoundError(f"{path}: the folder {self._path.parent} does not exist")
        self._folder = self._path.with_name(f".{secrets.token_hex(6)}.{self._path.name}")

    def __enter__(self):
        self._folder.mkdir()
        return self

    def add(self, name, values, size=None):
        """Writes the prediction for one record.

        A PNG rounds to 1/64 (disparity: 1/256) pixel; what it cannot hold becomes the nearest value
        that it can, flow beyond 512 pixels and a disparity below 1/256.

        Args:
            name: of the record.
            values: [h, w, 2] pixels of flow, or [h, w, 1] of disparity, finite everywhere.
            size: (height, width) that the prediction must have.

        Raises:
            FormatError: a name that does not belong to the benchmark, another size, or values that
                are not finite.
        """
        file = self._layout.format(name)
        if name not in self._sizes:
            raise FormatError(file, "is not part of this submission")
        wanted = size or self._sizes[name]
        values = np.asarray(values)
        if wanted is not None and tuple(values.shape[:2]) != tuple(wanted):
            raise FormatError(file, f"is {_size(values.shape)}", _size(wanted))
        path = self._folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        write = write_flow if self._task == "flow" else write_disparity
        everywhere = np.ones(values.shape[:2])  # so a pixel that is not finite is refused
        try:
            write(path, values, everywhere, clip=True)
        except FormatError as error:
            raise FormatError(file, str(error).removeprefix(f"{path}: ")) from error
        self._written.add(name)

    def __exit__(self, kind, error, trace):
        try:
            if kind is None:
                self._finish()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _finish(self):
        missing = [self._layout.format(n) for n in self._sizes if n not in self._written]
        if missing:
            raise FormatError(self._path, f"missing {_listed(missing)}; nothing was written")
        if not self._zipped:
            os.rename(self._folder, self._path)
            return
        with atomic_write(self._path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
            for name in self._sizes:
                file = self._layout.format(name)
                # A fixed date: the same predictions are the same zip. PNG is compressed already.
                archive.writestr(zipfile.ZipInfo(file), (self._folder / file).read_bytes())


def check_submission(path, benchmark, task="flow", names=None):
    """Refuses a submission that is not complete or not in shape, and says what is wrong with it.

    Every file is read: its format, its size where that is known, and that every pixel has a value.

    Args:
        path: the .zip, or the folder that would be packed.
        benchmark, task: see `official_files`.
        names: names of the records that must be there, or {name: (height, width)}; None takes
            `official_files`.

    Returns:
        The number of predictions.

    Raises:
        ValueError: unknown benchmark or task.
        FileNotFoundError: no such file or folder.
        FormatError: one line that names the files that are missing, do not belong there, or are
            misshapen.
    """
    layout = _layout(benchmark, task)
    names = official_files(benchmark, task) if names is None else names
    sizes = names if isinstance(names, dict) else dict.fromkeys(names)
    expected = {layout.format(name): size for name, size in sizes.items()}
    read = read_flow if task == "flow" else read_disparity
    with _opened(Path(path)) as (found, fetch):
        wrong = _wrong_names(found, expected)
        misshapen = []
        for file in [file for file in expected if file in found]:
            problem = _wrong_content(file, fetch, read, expected[file])
            if problem:
                misshapen.append(f"{file} {problem}")
    if misshapen:
        wrong.append(_listed(misshapen, "; "))
    if wrong:
        raise FormatError(path, "; ".join(wrong))
    return len(expected)


def _layout(benchmark, task):
    if (benchmark, task) not in LAYOUTS:
        known = ", ".join(" ".join(key) for key in LAYOUTS)
        raise ValueError(f"no benchmark {benchmark!r} for {task!r}; known are {known}")
    return LAYOUTS[benchmark, task]


@contextlib.contextmanager
def _opened(path):
    """(names of all files, function that gives the path of one of them)."""
    if path.is_dir():
        files = [file for file in path.rglob("*") if not file.is_dir()]
        yield [file.relative_to(path).as_posix() for file in files], path.joinpath
        return
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise FormatError(path, f"is no zip file ({error})") from error
    with archive, tempfile.TemporaryDirectory() as folder:

        def fetch(name):
            # One at a time: a submission may be larger than what is left in memory or on disk.
            target = Path(folder, "one" + Path(name).suffix)
            if archive.getinfo(name).file_size > _LARGEST:
                raise FormatError(target, f"unpacks to more than {_LARGEST} bytes")
            try:
                with archive.open(name) as member, open(target, "wb") as file:
                    shutil.copyfileobj(member, file)
            # RuntimeError: encrypted, or compressed in a way that Python does not know.
            except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
                raise FormatError(target, f"cannot be unpacked ({error})") from error
            return target

        yield [name for name in archive.namelist() if not name.endswith("/")], fetch


def _wrong_names(found, expected):
    """What is wrong with the list of files."""
    wrong = []
    missing = [file for file in expected if file not in set(found)]
    strange = sorted(set(found) - set(expected))
    if missing:
        wrong.append(f"missing {_listed(missing)}")
        inside = [file.removesuffix(missing[0]) for file in strange if file.endswith(missing[0])]
        wrong[0] += f" (it lies in {inside[0]}, one folder too deep)" if inside else ""
    if strange:
        wrong.append(f"not part of it: {_listed(strange)}")
    twice = [file for file, count in Counter(found).items() if count > 1]
    if twice:
        wrong.append(f"there twice: {_listed(twice)}")
    return wrong


def _wrong_content(file, fetch, read, size):
    """What is wrong with one file, or None."""
    try:
        path = fetch(file)
        values, known = read(path)
    except (FormatError, OSError) as error:
        return str(error).partition(f"{Path(file).suffix}: ")[2]  # without the path
    if size is not None and values.shape[:2] != tuple(size):
        return f"is {_size(values.shape)}, expected {_size(size)}"
    lost = int((known == 0).sum())
    return f"has no value at {lost} pixels" if lost else None


def _listed(texts, separator=", "):
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return separator.join(texts[:_SHOWN]) + more


def _size(shape):
    return f"{shape[1]}x{shape[0]}"
