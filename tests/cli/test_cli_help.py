"""The command answers at once: nothing heavy is imported before the arguments are parsed."""

import subprocess
import sys
import time

import pytest

COMMANDS = (
    "flow", "stereo", "match", "landmarks", "match-points", "evaluate", "convert",
    "import-checkpoint", "export",
)  # fmt: skip


def _python(code, *arguments):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True
    )


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_is_there_within_a_second(command):
    times = []
    for _ in range(5):  # the best of a few: other processes may take the machine for a moment
        start = time.perf_counter()
        result = subprocess.run(
            [sys.executable, "-m", "kcorr.cli", *command.split(), "--help"],
            capture_output=True,
            text=True,
        )
        times.append(time.perf_counter() - start)
        if times[-1] < 1:
            break
    assert result.returncode == 0
    assert result.stdout.startswith(f"usage: kcorr {command}".rstrip())
    assert result.stderr == ""
    assert min(times) < 1, times


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_imports_nothing_heavy(command):
    code = """
import sys
from kcorr.cli.__main__ import main
try:
    main([*sys.argv[1].split(), "--help"])
except SystemExit:
    heavy = {"tensorflow", "keras", "numpy", "PIL", "rich", "av", "h5py"} & set(sys.modules)
    print("imported:", sorted(heavy))
"""
    assert _python(code, command).stdout.splitlines()[-1] == "imported: []"


def test_evaluate_and_convert_do_without_tensorflow(tmp_path):
    code = """
import sys
import numpy as np
from kcorr.cli.__main__ import main
from kcorr.io import write_flow
folder = sys.argv[1]
write_flow(f"{folder}/a.flo", np.ones((4, 5, 2)))
assert main(["convert", f"{folder}/a.flo", f"{folder}/a.png"]) == 0
assert main(["evaluate", f"{folder}/a.png", f"{folder}/a.flo"]) == 0
print("imported:", sorted({"tensorflow", "keras", "av"} & set(sys.modules)))
"""
    result = _python(code, tmp_path)
    assert result.stdout.splitlines()[-1] == "imported: []", result.stderr


def test_help_of_the_command_names_every_command(kcorr):
    result = kcorr("--help")
    assert result.status == 0
    assert all(f"\n    {command}" in result.out for command in COMMANDS)


def test_version(kcorr):
    import kcorr as package

    assert kcorr("--version").out == f"kcorr {package.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "kcorr: no command; expected one of flow, stereo, match, landmarks"),
        (["draw"], "kcorr: argument COMMAND: invalid choice: 'draw'"),
        (["flow"], "kcorr flow: the following arguments are required: INPUT"),
        (["flow", "a", "--format", "gif"], "kcorr flow: argument --format: invalid choice: 'gif'"),
        (["flow", "a", "--save", "flow,art"], "kcorr flow: argument --save: 'art' is unknown"),
        (["flow", "a", "--frames", "7"], "kcorr flow: argument --frames: '7' is no range"),
        (["flow", "a", "--frames", "7:3"], "kcorr flow: argument --frames: '7:3' holds no frame"),
        (["convert", "a"], "kcorr convert: the following arguments are required: OUT"),
    ],
)
def test_a_wrong_command_line_is_one_line(refused, arguments, said):
    assert refused(*arguments).startswith(said)


def test_output_into_a_closed_pipe_is_no_error(tmp_path):
    import numpy as np

    from kcorr.io import write_flow

    write_flow(tmp_path / "a.flo", np.zeros((1, 1, 2)))
    command = f"'{sys.executable}' -m kcorr.cli evaluate '{tmp_path}' '{tmp_path}'"
    # `true` reads nothing: it is gone before anything is written.
    result = subprocess.run(
        ["bash", "-c", f"{command} | true; echo ${{PIPESTATUS[0]}}"], capture_output=True, text=True
    )
    assert result.stderr == ""
    assert result.stdout == "141\n"
