"""What `evaluate_flow` and `evaluate_stereo` measure of trees in the official layout."""

import json

import numpy as np
import pytest
from _command import recipe
from keras import ops

from kcorr import viz
from kcorr.io import write_disparity, write_flow, write_image
from recipes import evaluation

H, W = 16, 24
TRUTH = np.broadcast_to(np.float32([10, 0]), (H, W, 2))
FAR = 4.0  # pixels, of 10: an outlier by every rule
KNOWN, SEEN, OBJECT, WRONG = (np.zeros((H, W), bool) for _ in range(4))
KNOWN[1:] = True
SEEN[1:, :20] = True
OBJECT[4:8] = True
WRONG[6:11, 12:] = True


def method(image1, image2, **around):
    """Right but for `WRONG`."""
    flow = TRUTH.copy()
    flow[WRONG, 1] += FAR
    return flow, None, 0.0


def grey(path, level):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, np.full((H, W, 3), level, np.uint8))


@pytest.fixture
def kitti(tmp_path):
    """One scene of KITTI 2015 for flow and stereo."""
    root = tmp_path / "kitti"
    for camera, frame in (("image_2", 10), ("image_2", 11), ("image_3", 10)):
        grey(root / f"training/{camera}/000000_{frame}.png", frame)
    for kind, known in (("occ", KNOWN), ("noc", SEEN)):
        for folder, write, values in (
            (f"flow_{kind}", write_flow, TRUTH),
            (f"disp_{kind}_0", write_disparity, TRUTH[..., :1]),
        ):
            (root / "training" / folder).mkdir()
            write(root / f"training/{folder}/000000_10.png", values, known[..., None])
    (root / "training/obj_map").mkdir()
    write_image(root / "training/obj_map/000000_10.png", OBJECT[..., None].astype(np.uint8) * 3)
    return root


def share(of):
    """Percent of the pixels that are wrong."""
    return pytest.approx(100 * (WRONG & of).sum() / of.sum())


def test_kitti_2015_by_foreground_and_background(kitti):
    for objects in (True, False):
        sources = evaluation.open_benchmark("kitti2015", kitti)
        results = {t: evaluation.measure(s, {"m": method})[0] for t, s in sources.items()}
        own = evaluation.own_tables(results, dict.fromkeys(sources, "kitti2015"))
        assert own == {
            "KITTI 2015, as the benchmark counts": {
                "m": {
                    "Fl-bg": share(KNOWN & ~OBJECT) if objects else None,
                    "Fl-fg": share(KNOWN & OBJECT) if objects else None,
                    "Fl-all": share(KNOWN),
                    "Fl-bg noc": share(SEEN & ~OBJECT) if objects else None,
                    "Fl-fg noc": share(SEEN & OBJECT) if objects else None,
                    "Fl-all noc": share(SEEN),
                }
            }
        }
        (kitti / "training/obj_map/000000_10.png").unlink(missing_ok=True)
        if objects:
            (kitti / "training/obj_map").rmdir()


@pytest.fixture
def sintel(tmp_path):
    """One scene of three frames: frame k moves by (6 k, 0), and hides a column."""
    root = tmp_path / "sintel/training"
    for kind in ("clean", "final"):
        for frame in (1, 2, 3):
            grey(root / f"{kind}/alley_1/frame_{frame:04d}.png", 10 * frame)
    for frame in (1, 2):
        for folder in ("flow", "occlusions"):
            (root / folder / "alley_1").mkdir(parents=True, exist_ok=True)
        hidden = np.zeros((H, W, 1), np.uint8)
        hidden[:, 3 * frame] = 255
        flow = np.broadcast_to(np.float32([6 * frame, 0]), (H, W, 2))
        write_flow(root / f"flow/alley_1/frame_{frame:04d}.flo", flow)
        write_image(root / f"occlusions/alley_1/frame_{frame:04d}.png", hidden)
    return root.parent


def test_sintel_by_visibility_distance_and_speed(sintel):
    """The error of a pixel is its column: each stratum's mean is that of its columns."""

    def ramp(image1, image2, **around):
        flow = np.zeros((H, W, 2), np.float32)
        flow[..., 0] = 6 * image1[0, 0, 0] / 10  # grey 10 k
        flow[..., 1] = np.arange(W)
        return flow, None, 0.0

    source = evaluation.open_benchmark("sintel", sintel)["Sintel clean"]
    results = {"S": evaluation.measure(source, {"m": ramp}, distances=True)[0]}
    found = evaluation.own_tables(results, {"S": "sintel"})["S, as the benchmark counts"]["m"]
    columns = np.arange(W, dtype=float)
    # The hidden column and its neighbours are the boundary.
    distance = [np.maximum(abs(columns - 3 * frame) - 1, 0) for frame in (1, 2)]
    near = np.concatenate([columns[d < 10] for d in distance])
    beyond = np.concatenate([columns[(d >= 10) & (d < 60)] for d in distance])
    assert found == {
        "EPE all": pytest.approx(columns.mean()),
        "EPE matched": pytest.approx((2 * columns.sum() - 3 - 6) / (2 * W - 2)),
        "EPE unmatched": pytest.approx(4.5),
        "d0-10": pytest.approx(near.mean()),
        "d10-60": pytest.approx(beyond.mean()),
        "d60-140": None,
        "s0-10": pytest.approx(columns.mean()),  # the first pair, of 6 pixels
        "s10-40": pytest.approx(columns.mean()),
        "s40+": None,
    }


def test_trees_without_strata_are_read_too(tmp_path):
    """Middlebury, HD1K and FlyingThings3D, each of one pair."""
    files = {
        "middlebury": (
            "other-data/A/frame10.png",
            "other-data/A/frame11.png",
            "other-gt-flow/A/flow10.flo",
        ),
        "hd1k": (
            "hd1k_input/image_2/000000_0000.png",
            "hd1k_input/image_2/000000_0001.png",
            "hd1k_flow_gt/flow_occ/000000_0000.png",
        ),
        "things": (
            "frames_cleanpass/TEST/A/0000/left/0006.png",
            "frames_cleanpass/TEST/A/0000/left/0007.png",
            "optical_flow/TEST/A/0000/into_future/left/OpticalFlowIntoFuture_0006_L.pfm",
        ),
    }
    for name, (first, second, flow) in files.items():
        for path, level in ((first, 10), (second, 20)):
            grey(tmp_path / path, level)
        (tmp_path / flow).parent.mkdir(parents=True)
        write_flow(tmp_path / flow, TRUTH)
        ((title, source),) = evaluation.open_benchmark(name, tmp_path).items()
        results = {title: evaluation.measure(source, {"m": method}, distances=False)[0]}
        assert results[title]["m"]["epe_all"] == pytest.approx(FAR * WRONG.mean())
        assert evaluation.own_tables(results, {title: name}) == {}


class Looking:
    """A network of three frames whose flow is the level of grey of the frames around the pair."""

    frames = 3

    def __call__(self, inputs, backward=False):
        zero = ops.zeros_like(inputs["image1"][..., :1])
        before = zero + 255 * ops.mean(inputs["image0"])
        behind = zero + (255 * ops.mean(inputs["image3"]) if backward else 0)
        flow = ops.concatenate([before, behind], axis=-1)
        return {"flow": flow, "flow_backward": -flow} if backward else {"flow": flow}


def test_a_network_of_three_frames_sees_those_around_the_pair(sintel):
    source = evaluation.open_benchmark("sintel", sintel, frames=4)["Sintel final"]
    seen, looking = [], evaluation.network_method(Looking())

    def watching(image1, image2, **around):
        flow, occlusion, seconds = looking(image1, image2, **around)
        seen.append(tuple(np.round(flow[0, 0]).astype(int)))
        assert occlusion.shape == (H, W, 1) and seconds > 0
        return flow, occlusion, seconds

    evaluation.measure(source, {"m": watching})
    # Behind the last pair and before the first there is nothing: the nearest frame again.
    assert seen == [(10, 30), (10, 30)]
    assert (
        evaluation.network_method(Looking(), occlusion=False)(*([np.zeros((H, W, 3))] * 2))[1]
        is None
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["evaluate_flow", "evaluate_stereo"])
def test_the_tables_and_the_report(kitti, tmp_path, name):
    flags = ["--data=kitti2015", f"--data_dir={kitti}", "--model=", "--baselines=zero"]
    done = recipe(name, *flags, f"--workdir={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr[-3000:]
    short = {"evaluate_flow": "Fl", "evaluate_stereo": "D1"}[name]
    metrics = json.loads((tmp_path / "run/metrics.json").read_text())
    (plain, own), values = metrics, list(metrics.values())
    assert own == f"{plain}, as the benchmark counts"
    (row,) = values[1].values()
    assert set(row.values()) == {100.0} and f"{short}-fg noc" in row
    assert all(f"{short}-{part}" in done.stdout for part in ("bg", "fg", "all"))
    html = viz.report_html([viz.read_run(tmp_path / "run")])
    assert own in html and f">{short}-fg<" in html
