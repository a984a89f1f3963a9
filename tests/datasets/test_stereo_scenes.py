"""Generated stereo video: the identities of two cameras at two times, and what is seen."""

import re
from itertools import permutations

import numpy as np
import pytest
from test_scenes import _sampled, _smooth

from kcorr.datasets import StereoScenes

SIZE = (72, 96)
PAIRS = list(permutations((1, 2, 3, 4), 2))


def _scenes(size=SIZE, **options):
    textures = [_smooth((120, 150), seed) for seed in range(6)]
    options = {"seed": 3, "photometric": 0, "noise_share": 0, "max_motion": 8, **options}
    return StereoScenes(textures, size, max_disparity=12, all_pairs=True, **options)


def _at(maps, flow):
    """maps(p + flow(p)), bilinear in float64; NaN outside."""
    return np.concatenate(
        [_sampled(maps[..., c : c + 1], flow) for c in range(maps.shape[-1])], axis=-1
    )


@pytest.fixture(scope="module")
def records():
    return [_scenes()[index] for index in range(6)]


def _visible(record, *ways):
    """Pixels of image 1 that are seen on all `ways`, each (place's flow or None, pair)."""
    seen = np.ones(SIZE, bool)
    for place, pair in ways:
        hidden = record[f"occlusion{pair}"]
        hidden = hidden if place is None else _at(hidden, record[f"flow{place}"])
        seen &= hidden[..., 0] == 0
    return seen


def test_both_ways_to_the_fourth_picture_agree(records):
    """Within float32: bilinear look-ups of affine flows are exact away from other layers."""
    for record in records:
        f12, f13, f14 = record["flow12"], record["flow13"], record["flow14"]
        f24, f34 = _at(record["flow24"], f12), _at(record["flow34"], f13)
        seen = _visible(record, (None, "12"), (None, "13"), ("12", "24"), ("13", "34"))
        across = f12[..., 0] + f24[..., 0] - f13[..., 0] - f34[..., 0]
        down = f24[..., 1] - f13[..., 1]
        triangle = f14 - f24 - f12
        assert seen.mean() > 0.3
        # Only at a layer's edge do look-ups mix two layers' flows.
        for error in (across, down, triangle[..., 0], triangle[..., 1]):
            assert (np.abs(error[seen]) < 1e-3).mean() > 0.95
        # The rule can fail: the flows are not all alike.
        assert np.abs(f14 - f13)[seen].mean() > 0.5


def test_without_blobs_the_identities_hold_at_every_pixel():
    for index in range(4):
        record = _scenes(layers=(0, 0))[index]
        f12, f13 = record["flow12"], record["flow13"]
        f24, f34 = _at(record["flow24"], f12), _at(record["flow34"], f13)
        seen = np.isfinite(f24).all(-1) & np.isfinite(f34).all(-1)
        error = np.stack(
            [f12[..., 0] + f24[..., 0] - f13[..., 0] - f34[..., 0], f24[..., 1] - f13[..., 1]]
        )
        assert seen.mean() > 0.3 and np.abs(error[:, seen]).max() < 2e-4
        triangle = record["flow14"] - f24 - f12
        assert np.abs(triangle[np.isfinite(f24).all(-1)]).max() < 2e-4


def test_the_kcorr_losses_agree(records):
    """What the objective computes of the true flows: almost nothing but robust(0)."""
    from kcorr.losses import quadrilateral, triangle

    for record in records:
        flow = {pair: record[f"flow{pair}"][None] for pair in ("12", "13", "14", "24", "34")}
        hidden = {f"hidden{pair}": record[f"occlusion{pair}"][None] for pair in flow}
        around, across = ("12", "13", "24", "34"), ("12", "14", "24")
        for loss, ways in ((quadrilateral, around), (triangle, across)):
            masks = {f"hidden{way}": hidden[f"hidden{way}"] for way in ways}
            value = float(loss(*(flow[way] for way in ways), **masks)[0])
            assert 2 * 0.01**0.4 < value < 2 * 0.01**0.4 + 0.06


@pytest.mark.parametrize(("i", "j"), PAIRS)
def test_every_picture_at_the_flow_is_the_other_where_visible(records, i, j):
    for record in records[:3]:
        flow, hidden = record[f"flow{i}{j}"], record[f"occlusion{i}{j}"][..., 0] > 0
        error = np.abs(_sampled(record[f"image{j}"], flow) - record[f"image{i}"]).max(-1)
        beside = np.abs(_sampled(record[f"image{j}"], flow + 1.5) - record[f"image{i}"]).max(-1)
        assert np.isfinite(error[~hidden]).all()
        # Outlines are soft: near them both pictures show mixtures.
        assert np.mean(error[~hidden] < 4) > 0.85
        assert np.nanmean(beside[~hidden]) > 1.5 * np.mean(error[~hidden])


def test_the_record_is_that_of_a_stereo_pair(records):
    for record in records:
        assert (record["disparity"] >= 0).all() and record["disparity"].max() > 0.5
        np.testing.assert_array_equal(record["flow"], record["flow12"])
        np.testing.assert_array_equal(record["flow"][..., :1], -record["disparity"])
        np.testing.assert_array_equal(record["occlusion"], record["occlusion12"])
        assert (record["valid"] == 1).all()
        for pair in ("12", "21", "34", "43"):
            assert (record[f"flow{pair}"][..., 1] == 0).all()
        assert (record["flow34"][..., 0] <= 0).all() and (record["flow21"][..., 0] >= 0).all()


def test_nearer_layers_cover_those_behind():
    """Where something is hidden from the right camera inside its picture, the cover is nearer."""
    found = 0
    for index in range(6):
        record = _scenes(layers=(3, 6))[index]
        hidden = record["occlusion"][..., 0] > 0
        cover = _at(record["flow21"], record["flow12"])[..., 0]  # the disparity that is seen there
        inside = hidden & np.isfinite(cover)
        found += inside.sum()
        nearer = cover[inside] > record["disparity"][..., 0][inside] - 1.0
        assert nearer.mean() > 0.9 if nearer.size else True
    assert found > 100


def test_scenes_are_functions_of_seed_and_index():
    first, again = _scenes(photometric=1.0), _scenes(photometric=1.0)
    again[3]
    for key, value in first[1].items():
        np.testing.assert_array_equal(value, again[1][key])
    other = _scenes(seed=4)[1]
    assert not np.array_equal(first[1]["flow"], other["flow"])
    assert list(_scenes(length=2).names) == ["stereo_scene_3_0000000", "stereo_scene_3_0000001"]


def test_records_without_all_pairs_and_their_shapes():
    record = StereoScenes(size=(33, 50), photometric=1.0)[0]
    assert {key: (value.shape, str(value.dtype)) for key, value in record.items()} == {
        **{f"image{k}": ((33, 50, 3), "uint8") for k in (1, 2, 3, 4)},
        "flow": ((33, 50, 2), "float32"),
        "disparity": ((33, 50, 1), "float32"),
        "valid": ((33, 50, 1), "float32"),
        "occlusion": ((33, 50, 1), "float32"),
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_disparity": 0}, "max_disparity > 0"),
        ({"slant": -1}, "slant >= 0"),
        ({"size": (8, 8)}, "at least 16x16"),
    ],
)
def test_wrong_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        StereoScenes(**options)
