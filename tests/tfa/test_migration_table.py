"""The README's table for tensorflow-addons users, run as it is printed, on the recorded data."""

import re
import sys
from pathlib import Path

import pytest

import kcorr

sys.path.insert(0, str(Path(__file__).parent))
from golden import GOLDEN, assert_parity

README = Path(__file__).parents[2] / "README.md"
HEADING = "Coming from tensorflow-addons"

# What the left cell calls -> the names that the right cell may use and the recording it must meet.
RECORDINGS = {
    "tfa.layers.CorrelationCost(1, 4, 1, 1, 4": [
        ({"first": "corr_a", "second": "corr_b"}, {}, "corr_r4_out")
    ],
    "tfa.layers.CorrelationCost(1, 4, 1, 2, 4": [
        ({"first": "corr_a", "second": "corr_b"}, {}, "corr_r4s2_out")
    ],
    "tfa.image.dense_image_warp(": [
        ({"image": "warp_image", "flow_yx": "warp_flow_yx"}, {}, "warp_out")
    ],
    "tfa.image.interpolate_spline(": [
        (
            {
                "train_points": "spline_train_points",
                "train_values": "spline_train_values",
                "query_points": "spline_query_points",
            },
            {"order": order},
            f"spline_order{order}",
        )
        for order in (1, 2, 3)
    ],
    "tfa.image.sparse_image_warp(": [
        (
            {
                "image": "sparse_image",
                "source_yx": "sparse_source_yx",
                "destination_yx": "sparse_dest_yx",
            },
            {},
            ("sparse_out", "sparse_flow_yx"),
        )
    ],
}


def table(text):
    """The rows (their call, our call) of the section's table."""
    found = re.search(rf"^(#+) *{HEADING}.*?$(.*?)(?=^\1 |^# |\Z)", text, re.M | re.S)
    assert found, f"the README has no section {HEADING!r}"
    rows = []
    for line in found[2].splitlines():
        cells = [re.findall(r"`([^`]+)`", cell) for cell in line.strip().strip("|").split("|")]
        if line.lstrip().startswith("|") and len(cells) == 2 and cells[1]:
            rows.append((cells[0][0], cells[1][0]))
    return rows


@pytest.fixture(scope="module")
def rows():
    return table(README.read_text(encoding="utf-8"))


def test_the_table_has_a_row_for_everything_that_was_recorded(rows):
    left = [theirs for theirs, _ in rows]
    assert len(left) == len(set(left))
    for call in RECORDINGS:
        assert any(theirs.startswith(call) for theirs in left), f"no row for {call}...)"


@pytest.mark.tensorflow_only  # its readers come from TensorFlow; jax solves splines in float32
@pytest.mark.parametrize("call", RECORDINGS)
def test_the_printed_call_gives_the_recorded_numbers(rows, call):
    import tensorflow as tf

    printed = [(theirs, ours) for theirs, ours in rows if theirs.startswith(call)]
    assert printed, f"no row for {call}...)"
    for theirs, ours in printed:
        for tensors, others, recording in RECORDINGS[call]:
            if isinstance(recording, tuple):
                recording = recording[1 if theirs.endswith("[1]") else 0]
            names = {name: tf.constant(GOLDEN[key]) for name, key in tensors.items()}
            assert_parity(eval(ours, {"kcorr": kcorr, **others, **names}), recording)
