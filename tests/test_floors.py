"""The architecture: imports only go down, TensorFlow stays where it belongs, files stay small."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# What each part of kcorr may import of the others. An edge that is missing here is a decision to
# be made, not a line to be added: floors are listed from the lowest to the highest.
ALLOWED = {
    "schema": set(),
    "io": {"schema"},
    "ops": {"schema"},
    "layers": {"ops", "schema"},
    "losses": {"ops", "schema"},
    "metrics": {"ops", "schema"},
    "datasets": {"io", "schema"},
    "pipelines": {"datasets", "io", "ops", "schema"},
    # io: networks are read from the authors' bundles and from weight files.
    "models": {"layers", "ops", "io", "schema"},
    # io: checkpoints, logs and pictures are written whole or not at all.
    "objectives": {"models", "losses", "metrics", "layers", "ops", "io", "schema"},
    "viz": {"io", "schema"},
    "export": {"models", "layers", "ops", "io", "schema"},
    "cli": {
        "export", "viz", "objectives", "models", "pipelines", "losses", "metrics", "datasets",
        "layers", "ops", "io", "schema",
    },
}  # fmt: skip
NUMPY_ONLY = ("io", "datasets", "viz", "schema")
KERAS_OPS_ONLY = ("ops", "layers", "losses", "metrics", "models")
BACKENDS = {"tensorflow", "keras", "jax"}


def modules_imported(source, package="kcorr"):
    """Dotted names of every module that the source imports, wherever in the file it does.

    `from kcorr import io` gives "kcorr.io", and so does importlib.import_module("kcorr.io").
    """
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            base = parts[: len(parts) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found |= {f"{module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and node.args and _name(node.func) == "import_module":
            first = node.args[0]
            first = first.values[0] if isinstance(first, ast.JoinedStr) else first
            if isinstance(first, ast.Constant):
                found.add(str(first.value))
    return found


def _name(function):
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", None)


def parts_imported(source, package="kcorr"):
    """The parts of kcorr that the source imports; "" is kcorr itself, for its version."""
    parts = set()
    for module in modules_imported(source, package):
        first, _, rest = module.partition(".")
        if first == "kcorr":
            name = rest.partition(".")[0]
            parts.add(name if name in ALLOWED else "")
    return parts


def files(*folders):
    """All Python files under the folders."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def part_of(path):
    """kcorr/io/_flow.py -> "io", kcorr/schema.py -> "schema", kcorr/__init__.py -> ""."""
    inside = path.relative_to(ROOT / "kcorr").parts
    return "" if inside == ("__init__.py",) else inside[0].removesuffix(".py")


def package_of(path):
    """The dotted package that the relative imports of a file start from."""
    return ".".join(path.relative_to(ROOT).parts[:-1])


def where(path):
    return str(path.relative_to(ROOT))


def test_the_table_names_every_part_of_kcorr():
    assert {part_of(path) for path in files("kcorr")} - {""} == set(ALLOWED)


def test_the_table_only_goes_down():
    lower = set()
    for part, below in ALLOWED.items():
        assert below <= lower, part
        lower.add(part)


def test_imports_follow_the_table():
    wrong = []
    for path in files("kcorr"):
        part = part_of(path)
        if not part:
            continue  # resolves every sub-package on first use
        allowed = ALLOWED[part] | {part} | ({""} if part in ("cli", "export") else set())
        for other in parts_imported(path.read_text(), package_of(path)) - allowed:
            wrong.append(f"{where(path)} imports kcorr.{other}".rstrip("."))
    assert not wrong, "\n".join(wrong)


def heavy(path):
    """The backends that a file imports."""
    modules = modules_imported(path.read_text(), package_of(path))
    return {module.partition(".")[0] for module in modules} & BACKENDS


def test_tensorflow_below_the_objectives_is_in_one_file():
    wrong = [
        f"{where(path)} imports {name}"
        for path in files(*(f"kcorr/{part}" for part in KERAS_OPS_ONLY))
        if where(path) != "kcorr/ops/_backend.py"
        for name in heavy(path) - {"keras"}
    ]
    assert not wrong, "\n".join(wrong)
    assert heavy(ROOT / "kcorr/ops/_backend.py") == BACKENDS


def test_files_and_pictures_need_neither_tensorflow_nor_keras():
    wrong = [
        f"{where(path)} imports {', '.join(heavy(path))}"
        for path in files("kcorr")
        if part_of(path) in NUMPY_ONLY and heavy(path)
    ]
    assert not wrong, "\n".join(wrong)


def test_flags_and_recipes_stay_outside_kcorr():
    wrong = []
    for path in files("kcorr"):
        for module in modules_imported(path.read_text(), package_of(path)):
            if module.startswith(("absl.flags", "absl.app")) or module.split(".")[0] == "recipes":
                wrong.append(f"{where(path)} imports {module}")
    assert not wrong, "\n".join(wrong)


def test_no_file_is_called_utils_or_longer_than_400_lines():
    wrong = []
    for path in files("kcorr", "recipes", "tests"):
        if path.stem.strip("_") in ("utils", "util", "helpers", "misc"):
            wrong.append(f"{where(path)}: a name that says nothing")
        length = len(path.read_text().splitlines())
        if length > 400:
            wrong.append(f"{where(path)} has {length} lines")
    assert not wrong, "\n".join(wrong)


LIGHT = ("kcorr", "kcorr.io", "kcorr.datasets", "kcorr.viz", "kcorr.metrics", "kcorr.cli",
         "kcorr.cli.__main__", "kcorr.schema", "kcorr.export.client")  # fmt: skip
IMPORT_EACH = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
    print(name, *sorted({"tensorflow", "keras", "jax"} & set(sys.modules)))
"""


def test_light_parts_are_imported_without_tensorflow():
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_EACH, *LIGHT], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:-1] == list(LIGHT), done.stdout


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import kcorr.io", {"io"}),
        ("from kcorr import io, viz", {"io", "viz"}),
        ("from kcorr.io._png import decode_png16", {"io"}),
        ("def f():\n    if True:\n        from kcorr.ops.grid import pixel_grid", {"ops"}),
        ("from ..io import read_flow", {"io"}),
        ("from . import cuts", {"datasets"}),
        ("import importlib\nimportlib.import_module(f'kcorr.models.{name}')", {"models"}),
        ("import kcorr", {""}),
        ("from kcorr import __version__", {""}),
        ("import numpy, kcorr_tools", set()),
    ],
)
def test_every_way_of_importing_is_seen(source, expected):
    assert parts_imported(source, "kcorr.datasets") == expected
