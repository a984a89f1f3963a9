"""What a run or an evaluation has left in its files, for a report."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

from kcorr.io import FormatError

_PICTURES = (".png", ".gif", ".webp", ".jpg", ".jpeg")
_STEP = re.compile(r"(.+)_(\d{8})")  # as kcorr.objectives.Pictures names them


@dataclass
class Run:
    """What a report shows of one run.

    Attributes:
        name: shown; text of any kind.
        results: {data: {method: {measure: number, None, "inf" or "nan"}}}. Under "" stands what is
            measured of the run itself.
        images: {picture: {measure: ...}}, the numbers of each picture.
        log: list of {"step": int, name: number or None}, steps rising.
        flags: {flag: value} as texts.
        pictures: list of (group, caption, picture); a picture is [h, w, 3], [h, w, 1] or [h, w] in
            uint8 or float in [0, 1], or the path of a file. In a comparison, pictures of the same
            group stand side by side.
        notes: lines about what could not be read.
    """

    name: str
    results: dict = field(default_factory=dict)
    images: dict = field(default_factory=dict)
    log: list = field(default_factory=list)
    flags: dict = field(default_factory=dict)
    pictures: list = field(default_factory=list)
    notes: list = field(default_factory=list)


def read_run(path, name=None):
    """Reads a working directory of a recipe, or the JSON file of an evaluation.

    Of a directory, whatever is there of metrics.json, log.jsonl, flags.txt and pictures/ is taken,
    so a run that is still going, or was killed, can be looked at, too. A half-written last line of
    the log is left out.

    Args:
        path: directory, or file of `kcorr evaluate --json` or a metrics.json.
        name: shown; None takes the name of the directory or the file.

    Returns:
        `Run`.

    Raises:
        FileNotFoundError: there is nothing at path.
        FormatError: a directory without any of these, or a file that is not a JSON object.
    """
    path = Path(path)
    if path.is_file():
        run = Run(name or path.stem)
        _take_numbers(run, path)
        return run
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: no such file or folder")
    run = Run(name or path.resolve().name)
    parts = {
        "metrics.json": _take_numbers,
        "log.jsonl": _take_log,
        "flags.txt": _take_flags,
        "pictures": _take_pictures,
    }
    there = {part: take for part, take in parts.items() if (path / part).exists()}
    if not there:
        raise FormatError(path, "is no run", f"a folder with one of {', '.join(parts)}")
    for part, take in there.items():
        take(run, path / part)
    return run


def _take_numbers(run, path):
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise FormatError(path, f"is no JSON ({' '.join(str(error).split())})") from error
    if not isinstance(content, dict):
        raise FormatError(path, f"holds a {type(content).__name__}", "a JSON object")
    if isinstance(content.get("result"), dict) and isinstance(content.get("images"), list):
        take_evaluation(run, content)
    else:
        _collect(run, content, ())


def take_evaluation(run, content):
    """Puts what `kcorr evaluate` measured into `run`, the two ways of averaging apart.

    Args:
        run: `Run`.
        content: {"kind": "flow" or "disparity", "result": {measure: value}, "images": [{"name":
            text, measure: value}]}, as in its JSON file.
    """
    # Disparity is measured as flow, where D1 and Fl are the same number.
    short = "d1_" if content.get("kind") == "disparity" else "fl_"

    def renamed(values):
        return {re.sub("^fl_", short, key): value for key, value in _scalars(values).items()}

    result = renamed(content["result"])
    means, pooled = (
        {key.removesuffix(way): value for key, value in result.items() if key.endswith(way)}
        for way in ("_per_image", "_per_pixel")
    )
    others = {key: value for key, value in result.items() if f"{key}_per_pixel" not in result}
    pooled |= {key: value for key, value in others.items() if "_per_" not in key}
    run.results = {"All pixels of all pictures": {"": pooled}}
    if len(content["images"]) > 1:
        run.results = {"Mean of the pictures": {"": means}} | run.results
    rows = [row for row in content["images"] if isinstance(row, dict)]
    run.images = {
        str(row.get("name")): renamed({k: v for k, v in row.items() if k != "name"}) for row in rows
    }


def _collect(run, tree, above):
    """Puts the numbers of every level of a tree of dicts where `Run.results` has them."""
    own = _scalars(tree)
    if own:
        *data, method = above or ("",)
        run.results.setdefault(" / ".join(data), {})[method] = own
    for key, branch in tree.items():
        if isinstance(branch, dict) and len(above) < 8:
            _collect(run, branch, (*above, key) if key else above)


def _scalars(tree):
    """The numbers of a dict, and None, "inf" and "nan", which stand for numbers in JSON."""
    return {
        str(key): value
        for key, value in tree.items()
        if value is None
        or (isinstance(value, int | float) and not isinstance(value, bool))
        or value in ("inf", "-inf", "nan")
    }


def _take_log(run, path):
    lines = path.read_bytes().decode("utf-8", "replace").splitlines()
    broken = 0
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            entry = None
        if isinstance(entry, dict) and isinstance(entry.get("step"), int):
            run.log.append(_scalars(entry))
        elif line.strip() and number < len(lines):
            broken += 1
    run.log.sort(key=lambda entry: entry["step"])
    if broken:
        run.notes.append(f"log.jsonl: {broken} lines cannot be read and are left out")


def _take_flags(run, path):
    for line in path.read_bytes().decode("utf-8", "replace").splitlines():
        if line.startswith("--"):
            name, equals, value = line[2:].partition("=")
            run.flags[name] = value if equals else ""


def _take_pictures(run, path):
    files = sorted(one for one in path.iterdir() if one.suffix.lower() in _PICTURES)
    for file in files:
        if file.name.startswith("."):
            continue
        found = _STEP.fullmatch(file.stem)
        group, caption = (found[1], f"step {int(found[2])}") if found else (file.stem, "")
        run.pictures.append((group, caption, file))
