"""Files that the benchmarks' servers take: written whole, and checked before they are sent.

KITTI takes a zip of 16-bit PNG files, in a folder for 2015 and at the top level for 2012. Sintel
takes what its own program, the bundler, makes of two trees of .flo files, clean/ and final/; those
trees are written here, the program comes with the data set. Their files are named frame0001.flo,
without the underscore of the data set's own frame_0001, as public programs of the field write them
for it (the project's spec has frame_NNNN.flo, from memory).
"""

import contextlib
import os
import re
import secrets
import shutil
import tempfile
import zipfile
import zlib
from collections import Counter
from pathlib import Path

import numpy as np

from kcorr.datasets.splits import KITTI_SCENES, SINTEL_TEST_PAIRS, SINTEL_TEST_SCENES
from kcorr.io import (
    FormatError,
    atomic_write,
    read_disparity,
    read_flow,
    write_disparity,
    write_flow,
)

# Where the prediction for a record lies, by benchmark and task; {} is the record's name.
_LAYOUTS = {
    ("kitti2015", "flow"): "flow/{}.png",
    ("kitti2015", "disparity"): "disp_0/{}.png",
    ("kitti2012", "flow"): "{}.png",
    ("kitti2012", "disparity"): "{}.png",
    ("sintel", "flow"): "{}.flo",
}
_SINTEL_SIZE = (436, 1024)
_SINTEL_NAME = re.compile(r"(?:clean|final)/([^/]+)/frame_(\d{4})")
_SHOWN = 5
_LARGEST = 2**28  # bytes of one prediction; a .flo of Sintel has 3.6 million


def official_names(benchmark, task="flow", present=()):
    """Names of the records of a whole test split.

    Args:
        benchmark: "kitti2015" (200 records), "kitti2012" (195) or "sintel" (552 clean, 552 final).
        task: "flow", or "disparity" for KITTI.
        present: names that are there. Of Sintel's scenes only the names and the number of all pairs
            are known here, so each scene is taken to end with its last frame that is present.

    Returns:
        {name of the record in `KITTI2015`, `KITTI2012` or `Sintel`: (height, width), or None where
        sizes vary}.

    Raises:
        ValueError: unknown benchmark or task.
    """
    _layout(benchmark, task)
    if benchmark != "sintel":
        count = KITTI_SCENES[int(benchmark[-4:]), "testing"]
        return dict.fromkeys(f"{scene:06d}_10" for scene in range(count))
    last = dict.fromkeys(SINTEL_TEST_SCENES, 1)
    for match in filter(None, map(_SINTEL_NAME.fullmatch, present)):
        scene, number = match[1], int(match[2])
        if scene in last:
            last[scene] = max(last[scene], number)
    return {
        f"{dtype}/{scene}/frame_{number:04d}": _SINTEL_SIZE
        for dtype in ("clean", "final")
        for scene, end in last.items()
        for number in range(1, end + 1)
    }


def wrong_names(present, benchmark, task="flow"):
    """What keeps some records from being a whole test split.

    Args:
        present: their names.
        benchmark, task: see `official_names`.

    Returns:
        None, or one line that names what is missing or too much.

    Raises:
        ValueError: unknown benchmark or task.
    """
    expected = official_names(benchmark, task, present)
    return _difference(present, expected) or _too_few(benchmark, expected)


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
        benchmark, task: see `official_names`.
        names: names of the records that must be there; None expects the whole test split.

    Raises:
        ValueError: unknown benchmark or task, or a path that does not end in .zip for KITTI.
        FileExistsError: Sintel's folder is there already.
        FileNotFoundError: the folder that `path` shall lie in does not exist.
        FormatError: when the block ends, a prediction is missing; the message names it.
    """

    def __init__(self, path, benchmark, task="flow", names=None):
        _layout(benchmark, task)
        self._path = Path(path)
        self._benchmark, self._task = benchmark, task
        self._names = None if names is None else dict.fromkeys(names)
        self._written = []
        if benchmark != "sintel" and self._path.suffix.lower() != ".zip":
            raise ValueError(f"{path}: KITTI takes a .zip, expected a name that ends so")
        if benchmark == "sintel" and self._path.exists():
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
        file = _file(name, self._benchmark, self._task)
        known = self._names
        if known is None:
            known = official_names(self._benchmark, self._task, [name])
        if name not in known:
            raise FormatError(file, "is not part of this submission")
        values = np.asarray(values)
        size = size or known[name]
        if size is not None and values.shape[:2] != tuple(size):
            raise FormatError(file, f"is {_size(values.shape)}", _size(size))
        path = self._folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        write = write_flow if self._task == "flow" else write_disparity
        everywhere = np.ones(values.shape[:2])  # so a pixel that is not finite is refused
        try:
            write(path, values, everywhere, clip=True)
        except FormatError as error:
            raise FormatError(file, str(error).removeprefix(f"{path}: ")) from error
        self._written.append(name)

    def __exit__(self, kind, error, trace):
        try:
            if kind is None:
                self._finish()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _finish(self):
        expected = self._names
        if expected is None:
            expected = official_names(self._benchmark, self._task, self._written)
        files = [_file(name, self._benchmark, self._task) for name in expected]
        written = {_file(name, self._benchmark, self._task) for name in self._written}
        problem = _difference(written, files)
        if self._names is None:
            problem = problem or _too_few(self._benchmark, expected)
        if problem:
            raise FormatError(self._path, f"{problem}; nothing was written")
        if self._benchmark == "sintel":
            os.rename(self._folder, self._path)
            return
        with atomic_write(self._path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
            for file in files:
                # A fixed date: the same predictions are the same zip. PNG is compressed already.
                archive.writestr(zipfile.ZipInfo(file), (self._folder / file).read_bytes())


def check_submission(path, benchmark, task="flow", names=None):
    """Refuses a submission that is not complete or not in shape, and says what is wrong with it.

    Every file is read: its format, its size where that is known, and that every pixel has a value.

    Args:
        path: the .zip, or the folder that would be packed.
        benchmark, task: see `official_names`.
        names: names of the records that must be there, or {name: (height, width)}; None expects the
            whole test split.

    Returns:
        The number of predictions.

    Raises:
        ValueError: unknown benchmark or task.
        FileNotFoundError: no such file or folder.
        FormatError: one line that names the files that are missing, do not belong there, or are
            misshapen.
    """
    _layout(benchmark, task)
    read = read_flow if task == "flow" else read_disparity
    with _opened(Path(path)) as (found, fetch):
        whole = names is None
        if whole:
            present = [re.sub(r"/frame(\d{4})\.flo$", r"/frame_\1", file) for file in found]
            names = official_names(benchmark, task, present)
        sizes = names if isinstance(names, dict) else dict.fromkeys(names)
        expected = {_file(name, benchmark, task): size for name, size in sizes.items()}
        problems = [_difference(found, expected)]
        if whole and problems == [None]:
            problems = [_too_few(benchmark, expected)]
        misshapen = [
            f"{file} {problem}"
            for file in expected.keys() & set(found)
            if (problem := _wrong_content(file, fetch, read, expected[file]))
        ]
    problems.append(_listed(sorted(misshapen), "; "))
    if any(problems):
        raise FormatError(path, "; ".join(filter(None, problems)))
    return len(expected)


def _layout(benchmark, task):
    if (benchmark, task) not in _LAYOUTS:
        known = ", ".join(" ".join(key) for key in _LAYOUTS)
        raise ValueError(f"no benchmark {benchmark!r} for {task!r}; known are {known}")
    return _LAYOUTS[benchmark, task]


def _file(name, benchmark, task):
    """Where the prediction for a record lies in the submission."""
    if benchmark == "sintel":
        name = name.replace("/frame_", "/frame")  # as the bundler's own instructions have it
    return _layout(benchmark, task).format(name)


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


def _difference(present, expected):
    """What is wrong with a list of names or files, None if nothing is."""
    present = list(present)
    have, wrong = set(present), []
    missing = [name for name in expected if name not in have]
    strange = sorted(have - set(expected))
    if missing:
        inside = [name.removesuffix(missing[0]) for name in strange if name.endswith(missing[0])]
        where = f" (it lies in {inside[0]}, one folder too deep)" if inside else ""
        wrong.append(f"missing {_listed(missing)}{where}")
    if strange:
        wrong.append(f"not part of it: {_listed(strange)}")
    twice = [name for name, count in Counter(present).items() if count > 1]
    if twice:
        wrong.append(f"there twice: {_listed(twice)}")
    return "; ".join(wrong) or None


def _too_few(benchmark, expected):
    """Sintel's scenes end with what is there, so only the sum tells that one was cut off."""
    if benchmark != "sintel" or len(expected) == 2 * SINTEL_TEST_PAIRS:
        return None
    return (
        f"{len(expected) // 2} pairs of frames in {len(SINTEL_TEST_SCENES)} scenes, expected "
        f"{SINTEL_TEST_PAIRS}: frames at the end of a scene are missing or too many"
    )


def _wrong_content(file, fetch, read, size):
    """What is wrong with one file, or None."""
    try:
        values, known = read(fetch(file))
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
