"""What is measured of networks of objects, where the answer is known."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from kcorr.datasets import DeformableFaces
from kcorr.models import build, fit_linear_points
from recipes import (
    common,
    label_protocols,
    landmark_protocols,
    object_protocols,
    object_tables,
    object_views,
    objects,
    regressions,
)

SIDE = 32
SWAP = (1, 0, 3, 2)


@pytest.fixture
def flags(monkeypatch, tmp_path):
    """The flags that the protocols read, as if given."""
    given = SimpleNamespace(
        data="faces", data_dir=None, side=SIDE, crop=0, smoke=True, regress=True, ridge=100.0,
        further_views=20, further_warp="single", workdir=tmp_path,
        normalise="none",
    )  # fmt: skip
    modules = (objects, label_protocols, object_protocols, object_views, landmark_protocols)
    for module in modules:
        monkeypatch.setattr(module, "FLAGS", given)
    monkeypatch.setattr(regressions, "SHOTS", (2,))
    monkeypatch.setattr(regressions, "SEEDS", 2)
    return given


class Pictures(list):
    """A source of records."""

    def __init__(self, records):
        super().__init__(records)
        self.names = [f"{k}.png" for k in range(len(records))]


def faces(count, seed, hidden=()):
    """Pictures of generated faces; points that are `hidden` are nowhere known."""
    source = DeformableFaces((SIDE, SIDE), count, 2, seed=seed).pictures
    records = [dict(source[k]) for k in range(count)]
    for record in records:
        record["visible"] = record["visible"].copy()
        record["visible"][list(hidden)] = 0
    return Pictures(records)


def shown_faces(hidden=(), count=6):
    test = faces(4, 1)
    return objects.Objects(None, test, test, faces(count, 2, hidden), eyes=(0, 1))


# === Symmetry ===


def mirrored_labels(count, seed, normal):
    """Labels [count, 16, 16, 3] whose right half is the left one, reflected, and 4 points."""
    rng = np.random.default_rng(seed)
    left = rng.normal(size=(count, 16, 8, 3))
    left /= np.linalg.norm(left, axis=-1, keepdims=True)
    reflection = np.eye(3) - 2 * np.outer(normal, normal)
    labels = np.concatenate([left, left[:, :, ::-1] @ reflection], axis=2)
    cells = np.stack([rng.integers(0, 8, (count, 2)), rng.integers(0, 16, (count, 2))], -1)
    one = 2 * cells + 0.5
    points = np.stack([one, [SIDE - 1, 0] + one * [-1, 1]], axis=2).reshape(count, 4, 2)
    return labels, points, np.ones((count, 4, 1))


def test_the_plane_is_fitted_to_the_annotated_pictures():
    normal = np.array([0.6, 0.0, 0.8])
    learned, test = (mirrored_labels(5, seed, normal) for seed in (0, 1))
    found = label_protocols.symmetric_transfer(learned, *test, SWAP, False)
    assert found["transfer, plane fitted px"] == 0
    apart = np.abs(SIDE - 1 - 2 * test[1][..., 0]).mean()  # a point that stays
    assert found["transfer px, unmoved"] == pytest.approx(apart)
    # Another plane is that of other pictures, whatever the test pictures are like.
    other = mirrored_labels(5, 0, np.array([0.0, 1.0, 0.0]))
    found = label_protocols.symmetric_transfer(other, *test, SWAP, False)
    assert found["transfer, plane fitted px"] > 3


def test_a_point_whose_counterpart_is_hidden_says_nothing_of_the_plane():
    normal = np.array([0.6, 0.0, 0.8])
    labels, points, visible = mirrored_labels(5, 0, normal)
    points[:, 1], visible[:, 1] = (0.5, 0.5), 0  # unknown points lie anywhere
    labels[:, 0, 0] = 100 * normal
    test = mirrored_labels(5, 1, normal)
    found = label_protocols.symmetric_transfer((labels, points, visible), *test, SWAP, False)
    assert found["transfer, plane fitted px"] == 0
    visible[:] = 0
    for learned in ((labels, points, visible), None):
        found = label_protocols.symmetric_transfer(learned, *test, SWAP, False)
        assert set(found) == {"transfer px, unmoved"}


def test_only_a_frame_that_was_taught_the_symmetry_has_a_plane_of_its_own():
    test = mirrored_labels(5, 2, np.array([1.0, 0.0, 0.0]))
    found = label_protocols.symmetric_transfer(None, *test, SWAP, True)
    assert found["transfer px"] == 0 and found["transfer px, unmoved"] > 3
    found = label_protocols.symmetric_transfer(None, *test, SWAP, False)
    assert "transfer px" not in found


# === Equivariance ===


def network_of(key, function):
    """What stands in for a network: `function` of pictures [b, h, w, 3] gives `key`."""
    return lambda inputs, training=False: {key: function(inputs["image"])}


def places(images):
    """Landmarks at the brightest and the darkest spot of pictures, [b, 2, 2] pixels."""
    flat = tf.reshape(tf.reduce_sum(images, -1), [tf.shape(images)[0], -1])
    spots = tf.stack([tf.argmax(flat, 1), tf.argmin(flat, 1)], axis=1)
    width = tf.cast(tf.shape(images)[2], tf.int64)
    return tf.cast(tf.stack([spots % width, spots // width], axis=-1), tf.float32)


def slopes(masked=False):
    """Pictures whose colours tell the place, with or without a mask of their left half."""
    y, x = np.mgrid[:SIDE, :SIDE] / (SIDE - 1)
    record = {"image1": (255 * np.stack([x, y, 0 * x], axis=-1)).astype("uint8")}
    if masked:
        record["objects"] = np.ones((SIDE, SIDE, 1), "float32") * (x < 0.5)[..., None]
    return Pictures([record] * 8)


def on_a_sphere(images):
    """Labels of one length, different wherever colours are."""
    colours = tf.nn.avg_pool2d(images, 2, 2, "SAME")[..., :2] * 2 - 1
    third = tf.sqrt(tf.maximum(4 - tf.reduce_sum(colours**2, -1, keepdims=True), 0))
    return tf.concat([colours, third], axis=-1)


def test_labels_follow_warps_without_key_points(flags):
    for masked in (False, True):
        network = network_of("labels", on_a_sphere)
        found = label_protocols.equivariance(network, slopes(masked))
        assert set(found) == {"equivariance px", "equivariance px, unmoved"}
        assert 0 < found["equivariance px"] < 1.5 < found["equivariance px, unmoved"]
    # Labels that only know the place in the picture stay, but for half a cell.
    place = slopes()[0]["image1"] / 255
    network = network_of("labels", lambda images: on_a_sphere(tf.zeros_like(images) + place))
    found = label_protocols.equivariance(network, slopes())
    assert found["equivariance px"] == pytest.approx(found["equivariance px, unmoved"], abs=0.7)


def test_pixels_of_the_background_are_not_followed():
    record = label_protocols.on_a_grid(slopes(masked=True))[0]
    assert record["points1"].shape == (64, 2) and record["points1"].max() == 30
    np.testing.assert_array_equal(record["visible"][:, 0], record["points1"][:, 0] < SIDE / 2)


def test_landmarks_are_measured_beside_landmarks_that_stay(flags):
    spots = np.full((SIDE, SIDE, 3), 128, "uint8")
    spots[10, 12], spots[20, 18] = 255, 0
    network = network_of("points", places)
    found = landmark_protocols.equivariance(network, Pictures([{"image1": spots}] * 8), "training")
    name = "equivariance px, training warps"
    assert list(found) == [name, f"{name}, median", f"{name}, unmoved"]
    assert 0 < found[f"{name}, median"] < 1 and found[name] < found[f"{name}, unmoved"]


# === Other people ===


@pytest.mark.parametrize(
    ("people", "targets"),
    [
        (np.repeat(np.arange(8), 10), 80),  # ORL's held-out people
        (np.arange(12) % 2, 12),
        (np.array([3, 1, 1, 2, 3, 2]), 6),
        (np.array([0, 0, 1, 2]), 4),
        (np.array([5, 5, 7, 5, 5, 5]), 2),  # the one other picture, and one of the many
        (np.arange(5), 5),
    ],
)
def test_points_go_to_every_picture_of_other_people(people, targets):
    others = label_protocols.other_objects(people)
    assert (people[others] != people).all() and len(set(others.tolist())) == targets
    np.testing.assert_array_equal(others, label_protocols.other_objects(people))


def test_one_person_is_not_compared_with_himself():
    labels, images = np.ones((4, 16, 16, 3)), np.zeros((4, SIDE, SIDE, 3))
    assert label_protocols.cycles(labels, images, np.zeros((4, 1))) == {}
    assert label_protocols.cycles(labels[:1], images[:1], None) == {}


@pytest.mark.usefixtures("flags")
def test_labels_that_know_the_place_only_spread_as_the_grid_does():
    y, x = np.mgrid[:16, :16] / 16 - 0.5
    place = np.stack([x, y, np.sqrt(1 - x**2 - y**2)], axis=-1)
    labels, images = np.stack([place] * 4), np.zeros((4, SIDE, SIDE, 3))
    found = label_protocols.cycles(labels, images, None)
    assert list(found) == ["cycle px", "spread px", "spread px, of the grid"]
    assert found["cycle px"] == pytest.approx(0.5**0.5)  # to the middle of its cell
    assert found["spread px"] == pytest.approx(found["spread px, of the grid"])
    found = label_protocols.cycles(np.ones_like(labels), images, None)
    assert found["spread px"] == 0 < found["spread px, of the grid"]


# === Regressions ===


def test_labels_in_a_file_are_those_of_all_pictures_at_once(flags, tmp_path):
    network = build("object_frame", dimensions=4, widths=(4, 4, 4, 4, 4))
    pictures = faces(5, 2)
    batches = label_protocols.in_batches(pictures, batch_size=2)
    found = label_protocols.kept_labels(network, batches)
    images, points, visible = object_protocols.stacked(pictures, "image1", "points1", "visible")
    labels = object_protocols.output_of(network, images, "labels")
    np.testing.assert_allclose(found[0], labels, atol=1e-5)
    for one, known in zip(found[1:], (points, visible), strict=True):
        np.testing.assert_array_equal(one, known)
    assert not list(tmp_path.iterdir())  # nothing is left behind, and yet it can be read


@pytest.mark.slow
def test_points_that_nobody_marked_are_left_out_of_labels(flags):
    network = build("object_frame", dimensions=4, widths=(4, 4, 4, 4, 4))
    found = label_protocols.measure_labels(network, shown_faces(hidden=(2,)))
    names = ("nearest %", "regressed %", "regressed, 2 shots %")
    assert all(0 < found[name] < 1000 for name in names), found
    assert found["regressed, 2 shots %, deviation"] > 0
    shown = shown_faces(hidden=range(10))
    assert not [name for name in label_protocols.measure_labels(network, shown) if "%" in name]


@pytest.mark.slow
def test_points_that_nobody_marked_are_left_out_of_landmarks(flags):
    network = build("landmarks", landmarks=3, widths=(4, 4, 4, 4, 4))
    found = landmark_protocols.regression(network, shown_faces(hidden=(2,)))
    names = ["mean shape %"]
    for kind in ("", ", by steps"):
        names += [f"2 shots{kind} %", f"2 shots{kind} %, deviation", f"all shots{kind} %"]
    assert list(found) == names
    assert all(0 < error < 1000 for error in found.values()), found
    assert not landmark_protocols.regression(network, shown_faces(hidden=range(10)))


def test_landmarks_that_stay_at_their_places():
    places = np.array([[0.0, 0], [8, 0], [8, 6]])
    moves = np.array([[3.0, 4], [-3, -4]])
    found = landmark_protocols.consistency(places + moves[:, None])
    assert found == pytest.approx({"scatter px": 5, "apart px": (8 + 6 + 6) / 3})
    assert landmark_protocols.consistency(places[None, :1] + moves[:, None]) == {"scatter px": 5}


def test_few_shots_are_the_mean_of_three_draws_with_their_deviation():
    drawn = []

    def error_of(picks, seed):
        drawn.append((len(picks), seed))
        return float(10 * len(picks) + seed)

    found = regressions.by_shots(10, error_of)
    assert drawn == [(1, 0), (1, 1), (1, 2), (5, 0), (5, 1), (5, 2)]
    assert found["1 shots %"] == 11 and found["5 shots %"] == 51
    assert found["1 shots %, deviation"] == pytest.approx((2 / 3) ** 0.5)
    table = object_tables.table("faces", {"a": found, "b": {"1 shots %": 3.0}})
    assert list(table.columns[0].cells) == ["1 shots %", "5 shots %"]
    assert next(iter(table.columns[1].cells)) == "11.00 ± 0.82"
    assert list(table.columns[2].cells) == ["3.00", "-"]


def test_per_cent_of_the_eyes_distance_or_of_the_width(flags):
    points = np.zeros((2, 3, 2))
    points[0, 1], points[1, 1] = (8, 0), (0, 16)
    shown = SimpleNamespace(eyes=(0, 1))
    learned, visible = np.array([True, False, True]), np.ones((2, 3, 1))
    off = points[:, learned] + [0, 4]
    assert regressions.per_cent(off, shown, points, visible, learned) == (50 + 25) / 2
    visible[1, 0] = 0  # each of the three points that are left counts the same
    found = regressions.per_cent(off, shown, points, visible, learned)
    assert found == pytest.approx((50 + 50 + 25) / 3)
    assert np.isnan(regressions.per_cent(off, shown, points, 0 * visible, learned))
    shown.eyes = None
    assert regressions.per_cent(off, shown, points, visible, learned) == 100 * 4 / SIDE
    shown.eyes, points[1, 1] = (0, 1), points[1, 0]
    with pytest.raises(common.UserError, match="eyes of picture 1 are at one place"):
        regressions.per_cent(off, shown, points, visible, learned)


def test_a_long_fit_says_how_far_it_is():
    def said(stream, seconds):
        line = regressions.progress("points", seconds, stream)
        arrays = np.ones((4, 2, 2)), np.ones((4, 1, 2))
        fit_linear_points(*arrays, size=(4, 4), epochs=2, drops=(), callbacks=[line])
        return stream.getvalue()

    assert said(io.StringIO(), 0) == "points: epoch 1 of 2\npoints: epoch 2 of 2\n"
    assert said(io.StringIO(), 60) == ""
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    assert said(terminal, 60) == "\rpoints: epoch 1 of 2\rpoints: epoch 2 of 2\r\033[K"
