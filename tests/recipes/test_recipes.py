"""Every recipe through its real command line: what it leaves behind, what it refuses, and how."""

import itertools
import json
import math
import shutil
import zipfile
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pytest
from _command import ROOT, recipe
from PIL import Image

RECIPES = sorted(
    path.stem for path in (ROOT / "recipes").glob("*.py") if "if __name__" in path.read_text()
)
LEARNING = (
    "flow_ddflow", "flow_distillflow", "flow_finetune", "flow_scenes", "flow_selflow",
    "flow_unsupervised", "flow2stereo", "quickstart",
)  # fmt: skip
OBJECTS = ("landmarks", "object_frame")


# What a smoke run is also asked for: another one of its own would take as long again. Each network
# learns in some recipe (FlowNetS in test_init); where nothing is said it is the smoke run's own.
MORE = {
    "flow_finetune": ("--standardise", "--zoom=1.25"),
    "flow_scenes": ("--network=recurrent_small", "--gamma=0.8"),
    "flow_unsupervised": ("--network=pwcnet_small",),
    "flow_ddflow": ("--network=flownet_c_small",),
    "ablation_flow": ("--test_size=64x64",),
}
WEIGHTS = {
    "flow_selflow": 1_461_740, "flow_finetune": 1_207_724, "flow_scenes": 1_059_952,
    "flow_unsupervised": 2_076_782, "flow_ddflow": 5_537_594, "quickstart": 1_207_724,
    "landmarks": 337_610, "object_frame": 335_811,  # with the moving means of batch normalisation
}  # fmt: skip
PICTURES = {
    "evaluate_flow": 2, "flow_unsupervised": 3, "flow_ddflow": 3, "quickstart": 7,
    "landmarks": 3, "object_frame": 3, "evaluate_landmarks": 5,
}  # fmt: skip


# === What a run leaves behind ===


@pytest.fixture(scope="session")
def smoke_run(tmp_path_factory):
    """Function: the name of a recipe -> (finished process, working directory) of its smoke run.

    All are run once, two at a time: most of a run is one thread that imports and traces.
    """
    root = tmp_path_factory.mktemp("smoke")
    with ThreadPoolExecutor(2) as pool:
        runs = {
            name: pool.submit(
                recipe, name, "--smoke", *MORE.get(name, ()), f"--workdir={root / name}"
            )
            for name in RECIPES
        }
        yield lambda name: (runs[name].result(), root / name)
        for run in runs.values():
            run.cancel()


def numbers(tree):
    """All numbers of a JSON tree."""
    if isinstance(tree, dict | list):
        for branch in tree.values() if isinstance(tree, dict) else tree:
            yield from numbers(branch)
    elif isinstance(tree, int | float):
        yield tree


def test_every_recipe_is_known_here():
    others = {"benchmark", "evaluate_flow", "evaluate_stereo", "export", "submit", "report"}
    others |= {"ablation_flow", "deep_matching", "evaluate_landmarks", "object_results"}
    assert set(RECIPES) == others | set(LEARNING) | set(OBJECTS)


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_smoke_runs_and_says_what_it_measured(smoke_run, name):
    done, workdir = smoke_run(name)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Traceback" not in done.stderr and "WARNING" not in done.stderr, done.stderr
    metrics = json.loads((workdir / "metrics.json").read_text())
    measured = list(numbers(metrics))
    assert measured and all(math.isfinite(number) for number in measured)
    flags = (workdir / "flags.txt").read_text().splitlines()
    assert "--smoke" in flags and f"--workdir={workdir}" in flags
    assert str(workdir) in done.stdout  # the last lines say where to look


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_smoke_leaves_no_temporary_file(smoke_run, name):
    _, workdir = smoke_run(name)
    left = [path for path in workdir.rglob("*") if path.name.startswith(".") or "tmp" in path.name]
    assert not left


@pytest.mark.slow
@pytest.mark.parametrize("name", (*LEARNING, *OBJECTS))
def test_learning_leaves_a_network_a_log_and_checkpoints(smoke_run, name):
    _, workdir = smoke_run(name)
    log = [json.loads(line) for line in (workdir / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == [2, 4]
    assert all(math.isfinite(line["loss"]) and line["skipped_steps"] == 0 for line in log)
    # Every stage learns: a mask that hides everything would be a loss of 0 for good.
    for path in workdir.rglob("log.jsonl"):
        stage = [json.loads(line) for line in path.read_text().splitlines()]
        assert stage and all(line["gradient_norm"] > 0 for line in stage), path
    steps = sorted(path.name for path in (workdir / "checkpoints").glob("step_*.h5"))
    assert steps == ["step_00000002.weights.h5", "step_00000004.weights.h5"]
    network = weights(workdir / "network.weights.h5")
    assert sum(weight.size for weight in network) == WEIGHTS.get(name, 856_812)  # spynet_small
    assert all(np.isfinite(weight).all() for weight in network)


def weights(path):
    """All arrays of a weights file."""
    arrays = []
    with h5py.File(path) as file:
        file.visititems(lambda _, node: arrays.append(node[()]) if hasattr(node, "dtype") else None)
    return arrays


@pytest.mark.slow
@pytest.mark.parametrize(("name", "least"), PICTURES.items())
def test_pictures_show_something(smoke_run, name, least):
    _, workdir = smoke_run(name)
    pictures = sorted((workdir / "pictures").glob("*.png"))
    assert len(pictures) >= least
    for path in pictures:
        assert np.asarray(Image.open(path)).std() > 10, path


@pytest.mark.slow
def test_ddflow_trains_a_student_that_differs_from_its_teacher(smoke_run):
    _, workdir = smoke_run("flow_ddflow")
    student = weights(workdir / "network.weights.h5")
    teacher = weights(workdir / "teacher" / "network.weights.h5")
    assert any((a != b).any() for a, b in zip(student, teacher, strict=True))
    log = (workdir / "log.jsonl").read_text().splitlines()
    assert all("distillation" in json.loads(line) for line in log)


@pytest.mark.slow
def test_distillflow_trains_teacher_student_and_the_student_of_students(smoke_run):
    _, workdir = smoke_run("flow_distillflow")
    stages = [
        weights(workdir / stage / "network.weights.h5") for stage in ("teacher_0", "data_0", "")
    ]
    for one, other in itertools.combinations(stages, 2):
        assert any((a != b).any() for a, b in zip(one, other, strict=True))
    log = json.loads((workdir / "log.jsonl").read_text().splitlines()[-1])
    assert log["distillation"] > 0 and "photometric" not in log
    log = json.loads((workdir / "teacher_0" / "log.jsonl").read_text().splitlines()[-1])
    assert "photometric" in log and "smoothness" in log


@pytest.mark.slow
def test_the_ablation_measures_every_row_and_trains_each_in_its_folder(smoke_run):
    done, workdir = smoke_run("ablation_flow")
    rows = ["none", "model"]
    metrics = json.loads((workdir / "metrics.json").read_text())
    assert list(metrics) == rows
    assert [metrics[row]["steps"] for row in rows] == [4, 8]
    assert all(metrics[row][key] > 0 for row in rows for key in ("epe_noc", "epe_occ", "fl_noc"))
    assert all(f"{metrics[row]['epe_occ']:.2f}" in done.stdout for row in rows)
    assert "1 scenes 64x64" in done.stdout
    trained = ("start", "none", "smoothness", "data", "model")
    names = [f"{row}/network.weights.h5" for row in trained]
    assert all((workdir / name).exists() for name in names)
    networks = [weights(workdir / name) for name in names]
    for one, other in itertools.combinations(networks, 2):
        assert any((a != b).any() for a, b in zip(one, other, strict=True))
    log = json.loads((workdir / "data" / "log.jsonl").read_text().splitlines()[-1])
    assert "distillation" in log and "photometric" not in log  # of teachers alone


@pytest.mark.slow
def test_the_ablation_goes_on_with_chosen_rows(smoke_run, tmp_path):
    _, workdir = smoke_run("ablation_flow")
    kept = shutil.copytree(workdir, tmp_path / "run")
    before = json.loads((kept / "metrics.json").read_text())["none"]
    flags = ("--smoke", "--rows=none", *MORE["ablation_flow"])
    done = recipe("ablation_flow", *flags, f"--workdir={kept}")
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stderr.splitlines() == ["going on from step 2 of 2"] * 2  # stage A and the row
    after = json.loads((kept / "metrics.json").read_text())
    assert list(after) == ["none"] and after["none"]["epe_all"] == before["epe_all"]


@pytest.mark.slow
def test_a_network_file_says_how_pictures_are_seen(smoke_run):
    _, workdir = smoke_run("flow_finetune")
    with zipfile.ZipFile(workdir / "network.keras") as file:
        config = json.loads(file.read("config.json"))["config"]
    assert config["standardise"] is True and config["zoom"] == 1.25


@pytest.mark.slow
def test_benchmark_measures_every_section_and_writes_it_as_json(smoke_run):
    done, workdir = smoke_run("benchmark")
    results = json.loads((workdir / "benchmark.json").read_text())
    timed = ["correlation", "warp", "census", "expected_distance", "matching"]
    assert list(results["sections"]) == [*timed, "networks", "training", "pipeline"]
    rows = [row for section in results["sections"].values() for row in section]
    values = [row.get("milliseconds", row.get("megabytes")) for row in rows]
    assert sum("megabytes" in row for row in rows) == 4 and min(values) > 0
    metrics = json.loads((workdir / "metrics.json").read_text())
    assert [metrics[row["case"]][row["form"]] for row in rows] == values
    assert all(row["case"] in done.stdout for row in rows)


@pytest.mark.slow
@pytest.mark.parametrize("name", ("flow_ddflow", *OBJECTS))
def test_the_same_command_again_goes_on_where_it_ended(smoke_run, name):
    _, workdir = smoke_run(name)
    stages = ("", "teacher/") if name == "flow_ddflow" else ("",)
    names = [f"{stage}network.weights.h5" for stage in stages]
    before = [weights(workdir / name) for name in names]
    log = (workdir / "log.jsonl").read_text()
    for file in names:
        (workdir / file).unlink()
    done = recipe(name, "--smoke", *MORE.get(name, ()), f"--workdir={workdir}")
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stderr.splitlines() == ["going on from step 4 of 4"] * len(stages)
    assert (workdir / "log.jsonl").read_text() == log
    for file, expected in zip(names, before, strict=True):
        for found, known in zip(weights(workdir / file), expected, strict=True):
            np.testing.assert_array_equal(found, known)


@pytest.mark.slow
def test_a_working_directory_of_a_run_with_other_flags_is_refused(smoke_run, tmp_path):
    _, workdir = smoke_run("flow_scenes")
    kept = shutil.copytree(workdir, tmp_path / "run")
    (kept / "network.weights.h5").unlink()
    # The progress bar is no matter.
    other = (*MORE["flow_scenes"], "--learning_rate=0.5", "--noprogress")
    done = recipe("flow_scenes", "--smoke", f"--workdir={kept}", *other)
    assert done.returncode == 2 and not (kept / "network.weights.h5").exists()
    assert "began with --learning_rate=0.0004 (now 0.5): give the same" in done.stderr
    assert "Traceback" not in done.stderr and "progress" not in done.stderr


# === What a recipe refuses ===

SIZE = "must be HEIGHTxWIDTH, at least 16x16"
POLICIES = "<float32|mixed_bfloat16|mixed_float16>"
CROP = "--crop must be HEIGHTxWIDTH, at least 16x16, within --size"
WRONG = [
    *((name, ["--nonsense=1"], "Unknown command line flag 'nonsense'") for name in RECIPES),
    *((name, ["--size=10x64"], SIZE) for name in LEARNING),
    *((name, ["--size=large"], SIZE) for name in LEARNING),
    *((name, ["--dtype_policy=half"], POLICIES) for name in (*LEARNING, *OBJECTS)),
    *((name, ["--network=raft"], "<ddflow|ddflow_small") for name in LEARNING),
    *((name, ["--batch_size=0"], "not a positive integer") for name in (*LEARNING, *OBJECTS)),
    *((name, ["--data=celeba"], "--data_dir must name the folder of --data") for name in OBJECTS),
    *(
        (name, ["--data=arm", "--data_dir=a"], "--data_dir is for --data=folder")
        for name in OBJECTS
    ),
    *((name, ["--side=40", "--crop=13"], "--crop leaves less than 16 pixels") for name in OBJECTS),
    ("landmarks", ["--data=arm", "--crop=38"], "--crop leaves less than 16 pixels"),
    ("landmarks", ["--data=orl", "--crop=43"], "--crop leaves less than 16 pixels"),
    ("landmarks", ["--network=object_frame"], "<landmarks_dilated|landmarks>"),
    ("landmarks", ["--landmarks=0"], "not a positive integer"),
    ("object_frame", ["--data=arm", "--stride=50"], "--stride must be below --frames"),
    ("object_frame", ["--network=landmarks"], "<object_frame|object_frame_simple|hourglass"),
    ("object_frame", ["--dim=1"], "1 is not integer >= 2"),
    ("object_frame", ["--symmetry=round"], "--symmetry takes none, bilateral, rotationN"),
    ("object_frame", ["--symmetry=rotation1"], "--symmetry takes none, bilateral, rotationN"),
    ("object_frame", ["--symmetry=rotation3", "--dim=2"], "needs --dim=3 or more"),
    ("object_frame", ["--exchange=1", "--batch_size=1"], "it must be below --batch_size"),
    ("ablation_flow", ["--layers=8,3"], "--layers takes two numbers such as 3,8"),
    ("deep_matching", ["--rows=dog"], "dog"),
    ("deep_matching", ["--rows="], "--rows must name at least one row"),
    ("flow_scenes", ["--zoom=1.5", "--network=pwcnet"], "--zoom is for the networks ddflow"),
    ("flow_scenes", ["--zoom=0.5"], "not a number in the range [1, 4]"),
    ("flow_scenes", ["--zoom=1.3"], "--zoom takes sixteenths, such as 1.5"),
    ("deep_matching", ["--radius=7"], "--radius must be even"),
    ("landmarks", ["--margin=15"], "--margin takes even numbers from 0 to 14"),
    ("evaluate_landmarks", [], "--model must name at least one network"),
    ("evaluate_landmarks", ["--model=a", "--smoke"], "or give --smoke alone"),
    ("object_results", ["--rows=cube"], "--rows takes arm, arm_log"),
    ("object_results", ["--rows="], "--rows must name at least one row"),
    ("flow_scenes", ["--learning_rate=-1"], "not a non-negative number"),
    *((name, ["--gamma=0.8"], "--network=recurrent_small") for name in LEARNING),
    ("flow_scenes", ["--ema=1.5"], "not a number in the range [0, 1]"),
    ("flow_scenes", ["--steps=many"], "--steps=many"),
    ("flow_scenes", ["--seed=-1"], "-1 is not an integer in the range [0, 4294967295]"),
    ("object_results", ["--seed=4294967296"], "in the range [0, 4294967295]"),
    ("flow_unsupervised", ["--strides=0"], "--strides takes whole numbers from 1"),
    ("flow_unsupervised", ["--strides="], "--strides takes whole numbers from 1"),
    ("flow_unsupervised", ["--data_dir="], "--data_dir must name at least one path"),
    ("flow2stereo", ["--data_dir=a,,b"], "--data_dir must name at least one path"),
    ("flow_finetune", ["--data=sintel", "--data_dir="], "--data_dir must name the folder"),
    ("flow_unsupervised", ["--photometric=ssim"], "<census|brightness>"),
    ("flow_unsupervised", ["--smoothness_order=3"], "<1|2>"),
    ("flow_unsupervised", ["--on_error=ignore"], "<raise|skip>"),
    ("flow_ddflow", ["--stage=student"], "--stage=student needs --teacher"),
    ("flow_ddflow", ["--crop=300x300"], CROP),
    ("flow_ddflow", ["--crop=big"], CROP),
    ("flow_selflow", ["--stage=student"], "--stage=student needs --teacher"),
    ("flow_selflow", ["--crop=300x300"], CROP),
    ("flow_selflow", ["--frames=1"], "<2|3|4|5>"),
    ("flow_selflow", ["--noise=blobs"], "<superpixels|rectangles|none>"),
    ("flow_selflow", ["--patches=9,3"], "--patches takes two whole numbers"),
    ("flow_selflow", ["--patches=9"], "--patches takes two whole numbers"),
    ("flow_distillflow", ["--stage=model"], "--members, the weights of trained networks"),
    ("flow_distillflow", ["--members=a.h5"], "--members, the weights of trained networks"),
    ("flow_distillflow", ["--challenges=sound"], "--challenges takes occlusion, colour, geometry"),
    ("flow_distillflow", ["--ensemble=1", "--agreement=1"], "--agreement compares two or more"),
    ("ablation_flow", ["--rows=edges"], "--rows takes start, none, occlusion, smoothness"),
    ("ablation_flow", ["--rows="], "--rows must name at least one row"),
    ("ablation_flow", ["--challenges=rain"], "--challenges"),
    ("ablation_flow", ["--size=10x64"], SIZE),
    ("ablation_flow", ["--test_size=8x64"], "--test_size must be HEIGHTxWIDTH"),
    ("ablation_flow", ["--crop=300x300"], CROP),
    ("ablation_flow", ["--ensemble=0"], "not a positive integer"),
    ("ablation_flow", ["--data_dir=a"], "the rows fix --data_dir"),
    ("ablation_flow", ["--strides=2"], "leave them out"),
    ("ablation_flow", ["--noocclusion"], "the rows fix --data_dir"),
    ("flow_finetune", ["--data=kitti2015"], "--data_dir must name the folder of --data"),
    ("flow_finetune", ["--data_dir=a"], "--data_dir must name the folder of --data"),
    ("deep_matching", ["--data=sintel"], "--data_dir must name the folder of --data"),
    ("evaluate_flow", ["--data=davis"], "--data takes motorcycle, scenes, sintel"),
    ("evaluate_flow", ["--data=sintel"], "--data_dir must name the tree"),
    ("evaluate_flow", ["--baselines=raft"], "--baselines takes zero, farneback, dis"),
    ("evaluate_flow", ["--scales=2"], "--scales takes 1, 1.0, 0.5, 0.25"),
    ("evaluate_stereo", ["--data=sintel"], "--data takes motorcycle, scenes, kitti2012"),
    ("evaluate_stereo", ["--data=kitti2015"], "--data_dir must name the tree"),
    ("evaluate_stereo", ["--baselines=dis"], "--baselines takes zero, sgbm"),
    ("flow2stereo", ["--network=selflow"], "--network sees three frames, not two"),
    ("flow2stereo", ["--stage=student"], "--stage=student needs --teacher"),
    ("flow2stereo", ["--smallest_scale=2"], "not a number in the range [0.1, 1"),
    ("flow2stereo", ["--crop=300x300"], CROP),
    ("export", ["--version=0", "--model=a", "--directory=b"], "not a positive integer"),
    ("submit", ["--network=raft"], "<ddflow|ddflow_small"),
    ("submit", ["--benchmark=kitti"], "<kitti2012|kitti2015|sintel>"),
    ("submit", [], "--data_dir must name the root of the benchmark's tree"),
    ("submit", ["--smoke", "--benchmark=sintel", "--task=disparity"], "server takes flow only"),
    ("benchmark", ["--sections=gpu"], "--sections takes correlation, warp, census"),
    ("benchmark", ["--repeats=0"], "not a positive integer"),
    ("report", [], "--runs must name at least one run"),
    ("report", ["--runs=a,b", "--names=a"], "--names must be as many as --runs"),
]


@pytest.fixture(scope="session")
def no_tensorflow(tmp_path_factory):
    """A folder whose tensorflow, keras and jax say who imported them, and end the process."""
    folder = tmp_path_factory.mktemp("imports")
    for name in ("tensorflow", "keras", "jax"):
        (folder / f"{name}.py").write_text(f"raise SystemExit('{name} was imported')")
    return folder


@pytest.mark.parametrize(("name", "flags", "message"), WRONG)
def test_a_wrong_flag_is_one_line_before_tensorflow_starts(
    no_tensorflow, tmp_path, name, flags, message
):
    workdir = tmp_path / "run"
    done = recipe(name, f"--workdir={workdir}", *flags, imports=no_tensorflow)
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if line and "--helpshort" not in line]
    assert len(lines) == 1 and message in lines[0], done.stderr
    assert not workdir.exists()


@pytest.mark.parametrize("name", sorted(set(RECIPES) - {"export", "quickstart"}))
def test_a_working_directory_is_asked_for(no_tensorflow, name):
    done = recipe(name, imports=no_tensorflow)
    assert done.returncode == 1 and "--workdir" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("name", RECIPES)
def test_help_names_every_flag_before_tensorflow_starts(no_tensorflow, name):
    done = recipe(name, "--help", imports=no_tensorflow)
    assert "--workdir: " in done.stdout and "--[no]smoke: " in done.stdout
    assert f"python -m recipes.{name}" in done.stdout  # the docstring's first command
    assert "was imported" not in done.stderr


def test_an_argument_without_dashes_is_refused(no_tensorflow, tmp_path):
    done = recipe("flow_scenes", f"--workdir={tmp_path / 'run'}", "smoke", imports=no_tensorflow)
    assert done.returncode == 2 and not (tmp_path / "run").exists() and not done.stdout
    expected = "flow_scenes: unexpected argument 'smoke': options start with --"
    assert done.stderr.splitlines() == [expected]


def test_the_folder_without_tensorflow_works(no_tensorflow, tmp_path):
    done = recipe("flow_scenes", "--smoke", f"--workdir={tmp_path}", imports=no_tensorflow)
    assert done.returncode != 0 and "tensorflow was imported" in done.stderr
