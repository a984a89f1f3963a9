"""Generated objects: exact flow, visibility and symmetry; pure functions of (seed, index)."""

import pickle

import numpy as np
import pytest

from kcorr.datasets import (
    ArticulatedArm,
    DeformableFaces,
    NFoldObject,
    RotatingSphere,
    TwoArms,
    generated_objects,
)
from kcorr.datasets._placed import pixel_points, seen

MAKE = {
    "arm": lambda **o: ArticulatedArm(texture=40, **o),
    "two_arms": lambda **o: TwoArms(texture=40, **o),
    "three_fold": lambda **o: NFoldObject(texture=40, **o),
    "five_fold": lambda **o: NFoldObject(folds=5, texture=40, **o),
    "sphere": RotatingSphere,
    "upright_sphere": lambda **o: RotatingSphere(tilt=25.0, palette=2, **o),
    "faces": DeformableFaces,
}
MIRRORED = ("two_arms", "faces")


def make(name, **options):
    return MAKE[name](**{"sequences": 3, "frames": 6, "seed": 5, **options})


every = pytest.mark.parametrize("name", MAKE)


def bilinear(image, points):
    """Values of a picture at points, which must lie in it."""
    height, width = image.shape[:2]
    left = np.clip(np.floor(points[:, 0]).astype(int), 0, width - 2)
    top = np.clip(np.floor(points[:, 1]).astype(int), 0, height - 2)
    fx, fy = (points - np.stack([left, top], axis=-1)).T[..., None]
    image = image.astype(float)
    upper = image[top, left] * (1 - fx) + image[top, left + 1] * fx
    lower = image[top + 1, left] * (1 - fx) + image[top + 1, left + 1] * fx
    return upper * (1 - fy) + lower * fy


def interior(parts):
    """Pixels whose neighbours up to two away show the same part."""
    inner = np.ones(parts.shape, bool)
    for dy in range(-2, 3):
        for dx in range(-2, 3):
            inner &= np.roll(parts, (dy, dx), (0, 1)) == parts
    inner[:2], inner[-2:], inner[:, :2], inner[:, -2:] = False, False, False, False
    return inner


@every
def test_a_record_has_the_shapes_of_the_schema_and_is_finite(name):
    source = make(name, size=(64, 80))
    record, count = source[7], len(source.point_names)
    for key in ("image1", "image2"):
        assert record[key].shape == (64, 80, 3) and record[key].dtype == np.uint8
    shapes = {"flow": 2, "valid": 1, "occlusion": 1, "objects": 1}
    assert {key: record[key].shape for key in shapes} == {
        key: (64, 80, channels) for key, channels in shapes.items()
    }
    assert record["points1"].shape == record["points2"].shape == (count, 2)
    assert record["visible"].shape == (count, 1) and record["identity"] == [1]
    for key, value in record.items():
        assert value.dtype == (np.uint8 if key.startswith("image") else np.float32), key
        assert np.isfinite(value).all(), key
    assert 0.02 < (record["objects"] > 0).mean() < 0.8
    assert len(source) == 15 == len(set(source.names)) and len(source.pictures) == 18
    assert source.names[7] == f"{source.kind}_5_00001_0002+1"


@every
def test_records_are_pure_functions_of_seed_and_index(name):
    there, back = make(name), make(name)
    forward = [there[i] for i in (2, 9)]
    for index, record in reversed(list(zip((2, 9), forward, strict=True))):
        again = back[index]
        assert set(again) == set(record)
        for key in record:
            np.testing.assert_array_equal(record[key], again[key])
    other = make(name, seed=6)[2]
    assert (other["points1"] != forward[0]["points1"]).any()
    # image2 of a pair is the picture of its frame, with the same truth.
    picture = there.pictures[3]
    np.testing.assert_array_equal(picture["image1"], forward[0]["image2"])
    np.testing.assert_array_equal(picture["points1"], forward[0]["points2"])


@every
def test_a_source_can_be_sent_to_another_process_and_forgets_without_harm(name, monkeypatch):
    monkeypatch.setattr(generated_objects, "_KEPT", 1)
    source = make(name, size=(32, 32))
    first = source[0]["points2"]
    sent = pickle.loads(pickle.dumps(source))
    for index in (6, 0):
        np.testing.assert_array_equal(sent[index]["points2"], source[index]["points2"])
    np.testing.assert_array_equal(source[0]["points2"], first)
    assert len(source._drawn) == 1


@every
def test_the_flow_leads_each_visible_place_to_itself(name):
    """locate in frame 2 at the end of the flow finds the part and place that frame 1 shows."""
    source = make(name)
    for first, second in (((0, 0), (0, 1)), ((2, 1), (2, 5))):
        record = source.pair(first, second)
        parts, places = source.frame(*first).locate(pixel_points(source.size))
        np.testing.assert_array_equal(record["objects"].ravel(), parts)
        visible = record["occlusion"].ravel() == 0
        ends, ok = seen(source.frame(*second), source.size, parts, places)
        np.testing.assert_array_equal(ok, visible)
        np.testing.assert_allclose(
            ends, pixel_points(source.size) + record["flow"].reshape(-1, 2), atol=2e-5
        )
        found, where = source.frame(*second).locate(ends[visible])
        np.testing.assert_array_equal(found, parts[visible])
        np.testing.assert_allclose(where, places[visible], atol=1e-6)
        assert (record["flow"][record["objects"][..., 0] == 0] == 0).all()
        assert 0.5 < np.abs(record["flow"]).max() < 150


@pytest.mark.parametrize("name", ["arm", "two_arms", "five_fold"])
def test_hidden_is_where_the_next_pixel_of_frame_two_shows_another_part(name):
    """The spec's rule, owner'(round(u')) is another, wherever rounding cannot matter."""
    source = make(name)
    hidden_ones = 0
    for index in range(len(source)):
        record = source[index]
        sequence, time = divmod(index, 5)
        second = source.pictures[6 * sequence + time + 1]["objects"][..., 0]
        ends = pixel_points(source.size) + record["flow"].reshape(-1, 2)
        inside = ((ends >= 0) & (ends <= 89)).all(axis=-1)
        x, y = np.clip(np.rint(ends), 0, 89).astype(int).T
        hidden = record["occlusion"].ravel() > 0
        assert hidden[~inside].all()
        sure = inside & interior(second)[y, x]
        other = second[y, x] != record["objects"].ravel()
        np.testing.assert_array_equal(hidden[sure], other[sure])
        hidden_ones += hidden[sure].sum()
    assert hidden_ones > 50


@every
def test_frame_two_pulled_back_is_frame_one_where_visible(name):
    """Bilinear look-ups in frame 2 err as much as in frame 1 itself, and no more."""
    source = make(name)
    for index in (0, 6, 11):
        record = source[index]
        ends = pixel_points(source.size) + record["flow"].reshape(-1, 2)
        parts = record["objects"][..., 0]
        picture = source.pictures.names.index(f"{source.names[index][:-7]}_{index % 5 + 1:04d}")
        second = interior(source.pictures[picture]["objects"][..., 0])
        use = (record["occlusion"][..., 0] == 0) & interior(parts)
        use.ravel()[use.ravel()] &= bilinear(second[..., None], ends[use.ravel()])[:, 0] == 1
        use = use.ravel()
        error = bilinear(record["image2"], ends[use]) - record["image1"].reshape(-1, 3)[use]
        assert use.sum() > 900 and np.abs(error).mean() < 1.5
        plain = parts.ravel()[use] == 0
        if name in ("arm", "two_arms", "sphere"):
            assert plain.any() and (error[plain] == 0).all()  # one colour everywhere


@pytest.mark.parametrize("make_plain", [ArticulatedArm, TwoArms, NFoldObject])
def test_plain_capsules_keep_their_colour_exactly(make_plain):
    source = make_plain(sequences=1, frames=4, seed=1)
    record = source[0]
    ends = np.rint(pixel_points(source.size) + record["flow"].reshape(-1, 2)).astype(int)
    moved = interior(source.pictures[1]["objects"][..., 0])
    x, y = np.clip(ends, 0, 89).T
    use = (record["occlusion"].ravel() == 0) & interior(record["objects"][..., 0]).ravel()
    use &= moved[y, x] & (record["objects"].ravel() > 0)
    assert use.sum() > 100
    colours = record["image1"].reshape(-1, 3)[use]
    np.testing.assert_array_equal(record["image2"][y, x][use], colours)


@every
def test_key_points_follow_the_flow_and_hide_behind_what_is_nearer(name):
    source = make(name)
    for index in range(0, len(source), 4):
        record = source[index]
        first = source.frame(*divmod(index, 5))
        second = source.frame(index // 5, index % 5 + 1)
        parts, places = first.points
        for frame, points in ((first, record["points1"]), (second, record["points2"])):
            np.testing.assert_allclose(frame.project(parts, places)[0], points, atol=1e-5)
        visible = record["visible"][:, 0] > 0
        found, where = second.locate(record["points2"][visible].astype(float))
        np.testing.assert_array_equal(found, parts[visible])
        # Far less than a pixel, but float32 points near a ball's limb are blurred places.
        np.testing.assert_allclose(where, places[visible], atol=2e-3)
        assert visible.any()


@pytest.mark.parametrize("name", ["two_arms", "three_fold", "five_fold", "faces"])
def test_the_symmetric_counterpart(name):
    """Twice there is home again (n times for n-fold); key points go where their partners are."""
    source = make(name)
    folds = {"three_fold": 3, "five_fold": 5}.get(name, 2)
    partner = np.array(source.symmetric_points)
    order = np.arange(len(partner))
    for _ in range(folds):
        order = partner[order]
    np.testing.assert_array_equal(order, np.arange(len(partner)))
    frame = source.frame(1, 3)
    parts, places = frame.points
    ends = frame.project(*frame.counterpart(parts, places))[0]
    np.testing.assert_allclose(ends, frame.project(parts, places)[0][partner], atol=1e-9)
    around = parts, places
    for _ in range(folds):
        around = frame.counterpart(*around)
    np.testing.assert_array_equal(around[0], parts)
    np.testing.assert_allclose(around[1], places)

    record = source.pictures[source.frames + 3]
    valid = record["counterpart_valid"][..., 0] > 0
    assert valid.sum() > 300 and (record["objects"][..., 0][valid] > 0).all()
    assert (record["counterpart"][~valid] == 0).all()
    # Colours: what is drawn at the counterpart is what is drawn here (people have freckles).
    if name != "faces":
        here = record["image1"][valid & interior(record["objects"][..., 0])].astype(float)
        ends = record["counterpart"][valid & interior(record["objects"][..., 0])]
        assert np.median(np.abs(bilinear(record["image1"], ends) - here)) < 3


def test_two_arms_are_mirror_images_when_their_joints_agree():
    source = TwoArms(sequences=1, frames=3, seed=2, texture=40)
    chains, _ = source._object(0)
    joints = np.tile([0.3, -0.5, 0.2, 0.1, -0.4], 2)
    from kcorr.datasets._chains import ChainsFrame

    frame = ChainsFrame(chains, chains.angles(joints))
    left, right = np.split(frame.project(*frame.points)[0], 2)
    np.testing.assert_allclose(left * [-1, 1] + [89, 0], right, atol=1e-9)
    points = pixel_points((90, 90))
    here, there = frame.locate(points), frame.locate(points * [-1, 1] + [89, 0])
    alone = (here[0] > 0) & (here[0] <= 5) & (there[0] > 5)  # not where one covers the other
    assert alone.sum() > 400
    partner = frame.counterpart(*here)
    np.testing.assert_array_equal(partner[0][alone], there[0][alone])
    np.testing.assert_allclose(partner[1][alone], there[1][alone], atol=1e-9)
    np.testing.assert_allclose(frame.colours(*here)[alone], frame.colours(*there)[alone])


def test_different_identities_share_places_but_not_looks():
    source = DeformableFaces(sequences=6, frames=4, across=True, seed=1)
    assert len(source) == 24 and source.names[3] == "faces_1_00000_0003+across"
    for index in (0, 9, 22):
        record = source[index]
        face = record["objects"][..., 0] > 0
        assert (record["valid"][..., 0] == face).all() and record["identity"] == index // 4
        assert (record["flow"][~face] == 0).all()
        use = face & (record["occlusion"][..., 0] == 0)
        ends = (pixel_points((90, 90)).reshape(90, 90, 2) + record["flow"])[use]
        # Template coordinates are nearly linear, so bilinear look-ups in them are good.
        inside = bilinear(interior(record["coordinates2"].any(-1))[..., None], ends)[:, 0] == 1
        there = bilinear(record["coordinates2"], ends)[inside]
        np.testing.assert_allclose(there, record["coordinates1"][use][inside], atol=0.03)
        assert inside.sum() > 1000
        change = bilinear(record["image2"], ends) - record["image1"][use]
        assert np.abs(change).mean() > 15


@pytest.mark.parametrize("name", ["arm", "two_arms", "three_fold", "sphere"])
def test_films_of_another_seed_can_show_the_same_object(name):
    films = make(name, seed=1)
    same, other = make(name, seed=2, object_seed=1), make(name, seed=2)
    places = films.frame(0, 0).locate(pixel_points((90, 90)))
    looks = [source.frame(0, 0).colours(*places) for source in (films, same, other)]
    np.testing.assert_array_equal(looks[1], looks[0])
    assert np.abs(looks[2] - looks[0]).max() > 20
    assert (same[0]["image1"] != films[0]["image1"]).any()


def test_a_bad_object_seed_is_named():
    with pytest.raises(ValueError, match="object_seed must be within 0"):
        RotatingSphere(object_seed=-1)
