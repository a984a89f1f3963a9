"""Superpixels, rectangles and noise: computed once a frame, in step, chosen fairly."""

import builtins
import threading
import zipfile

import numpy as np
import pytest
import tensorflow as tf
from _sources import Listed, changed, textured

from kcorr import pipelines
from kcorr.pipelines import hallucination
from kcorr.pipelines._seeds import SEED, first_seed, folded


def seeded(number=0):
    return {SEED: folded(first_seed(7), number)}


def checkers(rows=6, columns=5, side=8):
    """A label map of rows x columns patches [h, w, 1]."""
    numbers = np.arange(rows * columns).reshape(rows, columns) * 7 + 3
    return np.kron(numbers, np.ones((side, side)))[..., None].astype("float32")


# === Superpixels ===


def test_superpixels_follow_the_edges_of_the_picture():
    image = np.zeros((40, 60, 3), np.uint8)
    image[:, 23:] = 255
    image[17:, 23:] = [255, 0, 0]
    labels = pipelines.superpixels(image, segments=40)
    assert labels.dtype == np.uint16 and labels.shape == (40, 60)
    assert set(np.unique(labels)) == set(range(labels.max() + 1)) and 20 < labels.max() < 60
    for label in np.unique(labels):
        assert len(np.unique(image[labels == label], axis=0)) == 1  # none crosses an edge


def test_more_superpixels_than_eight_bits_can_number():
    labels = pipelines.superpixels(textured((80, 112)), segments=600)
    assert 300 < labels.max() + 1 == len(np.unique(labels))


def test_without_scikit_image_the_error_says_what_to_do(monkeypatch):
    real = builtins.__import__

    def importing(name, *args, **kwargs):
        if name.startswith("skimage"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", importing)
    with pytest.raises(ImportError, match="pip install scikit-image"):
        pipelines.superpixels(textured())


@pytest.fixture
def counted(monkeypatch):
    """Cheap superpixels, and the list of those that were computed."""
    made = []

    def cheap(image, segments, compactness):
        made.append(int(image[0, 0, 0]))
        return (image[..., 0] // 64).astype(np.uint16)

    monkeypatch.setattr(hallucination, "superpixels", cheap)
    return made


def frames(count, size=(20, 32)):
    """Pairs of consecutive frames, and the same second frames at stride two."""
    images = [np.full((*size, 3), 10 * i, np.uint8) for i in range(count)]
    pairs = [(i, i + 1) for i in range(count - 1)] + [(i, i + 2) for i in range(count - 2)]
    return Listed([{"image1": images[i], "image2": images[j]} for i, j in pairs])


def test_each_frame_is_divided_once_whatever_record_it_is_in(counted):
    source = pipelines.with_superpixels(frames(5))
    for _ in range(2):
        records = [source[i] for i in range(len(source))]
    assert sorted(counted) == [10, 20, 30, 40]
    for record in records:
        expected = (record["image2"][..., :1] // 64).astype("float32")
        np.testing.assert_array_equal(record["superpixels"], expected)
        assert record["superpixels"].dtype == np.float32
    assert source.names == source.source.names


def test_a_full_cache_lets_the_oldest_go(counted):
    source = pipelines.with_superpixels(frames(5), cache_bytes=2 * 20 * 32 * 2)  # two maps
    for index in (0, 1, 0, 2, 0, 1):  # frames 1, 2, 1, 3, 1, 2
        source[index]
    assert counted == [10, 20, 30, 20]
    assert pipelines.with_superpixels(frames(3), cache_bytes=0)[0]["superpixels"].shape[-1] == 1


def test_a_folder_keeps_them_for_the_next_run(counted, tmp_path):
    first = pipelines.with_superpixels(frames(4), folder=tmp_path / "maps")
    known = [first[i]["superpixels"] for i in range(3)]
    again = pipelines.with_superpixels(frames(4), folder=tmp_path / "maps")
    for index, expected in enumerate(known):
        np.testing.assert_array_equal(again[index]["superpixels"], expected)
    assert sorted(counted) == [10, 20, 30]
    other = pipelines.with_superpixels(frames(4), segments=9, folder=tmp_path / "maps")
    other[0]
    assert len(counted) == 4  # other options are other maps


def _cut(path):
    path.write_bytes(path.read_bytes()[:-30])


def _emptied(path):
    path.write_bytes(b"")


def _flipped(path):
    """One byte of the compressed map, behind the headers of zip and of npy."""
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as file:
        (entry,) = file.infolist()
    content[entry.header_offset + 60 + entry.compress_size // 2] ^= 255
    path.write_bytes(content)


def _of_another_size(path):
    np.savez_compressed(path, superpixels=np.zeros((3, 4), np.uint16))


def _of_another_name(path):
    np.savez_compressed(path, labels=np.zeros((20, 32), np.uint16))


@pytest.mark.parametrize("damage", [_cut, _emptied, _flipped, _of_another_size, _of_another_name])
def test_a_damaged_file_is_made_anew(counted, tmp_path, damage):
    known = pipelines.with_superpixels(frames(3), folder=tmp_path)[0]["superpixels"]
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    damage(path)
    again = pipelines.with_superpixels(frames(3), folder=tmp_path)[0]["superpixels"]
    np.testing.assert_array_equal(again, known)
    assert counted == [10, 10] and path.read_bytes() == whole


def test_threads_share_the_cache(counted):
    source = pipelines.with_superpixels(frames(9), cache_bytes=5 * 20 * 32 * 2)
    wrong = []

    def read():
        for index in range(8):
            record = source[index]
            wrong.extend(record["superpixels"][0, 0] != record["image2"][0, 0, 0] // 64)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(wrong) == 32 and not any(wrong)


def test_the_map_moves_with_the_pictures_and_stays_whole_numbers():
    """Each patch has a colour of its own, which tells its number wherever it goes."""
    labels = checkers()
    image = np.repeat(labels, 3, -1).astype(np.uint8)
    record = {"image1": image, "image2": image, "superpixels": labels}

    def change(example):
        return pipelines.random_flips(pipelines.random_crop(example, (24, 30)))

    for out in changed(record, change, 6):
        np.testing.assert_array_equal(out["superpixels"], out["image2"][..., :1])
    (out,) = changed(record, lambda each: pipelines.resize_example(each, (33, 71)), 1)
    assert set(np.unique(out["superpixels"])) == set(np.unique(labels))


# === Which ones ===


def test_whole_superpixels_are_chosen_as_many_as_asked():
    labels = checkers()
    known = np.ones_like(labels)
    known[:8] = 0  # the first row of patches is unknown
    counts, hits = [], np.zeros(30)
    for number in range(150):
        mask = pipelines.superpixel_mask(seeded(number), labels, known, 2, 5).numpy()
        assert mask.shape == labels.shape
        chosen = np.unique(labels[mask > 0])
        counts.append(len(chosen))
        hits[(chosen.astype(int) - 3) // 7] += 1
        for label in chosen:
            assert mask[labels == label].all()
    assert set(counts) == {2, 3, 4, 5}
    assert (hits[:5] == 0).all() and (hits[5:] > 5).all() and (hits[5:] < 45).all()


def test_fewer_superpixels_than_asked_are_all_chosen():
    labels = checkers(1, 2)
    mask = pipelines.superpixel_mask(seeded(), labels, np.ones_like(labels), 8, 15)
    assert np.all(mask == 1)
    mask = pipelines.superpixel_mask(seeded(), labels, np.zeros_like(labels), 8, 15)
    assert np.all(mask == 0)


def test_one_rectangle_has_the_sides_that_were_drawn():
    sides = []
    for number in range(60):
        mask = pipelines.rectangle_mask(seeded(number), (100, 200), 1, 1, (0.1, 0.3))
        rows, columns = np.nonzero(mask.numpy()[..., 0])
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert len(rows) == height * width  # a full rectangle
        clipped = rows.min() == 0 or rows.max() == 99 or columns.min() == 0 or columns.max() == 199
        if not clipped:
            sides.append((height / 100, width / 200))
    sides = np.array(sides)
    assert len(sides) > 30 and sides.min() >= 0.09 and sides.max() <= 0.31
    assert (sides.max(0) > 0.25).all() and (sides.min(0) < 0.15).all()


def test_rectangles_are_as_many_as_asked():
    counts = set()
    for number in range(40):
        mask = pipelines.rectangle_mask(seeded(number), (400, 400), 1, 3, (0.01, 0.02))
        image = tf.cast(mask, tf.int32).numpy()[..., 0]
        starts = (np.diff(np.pad(image, 1), axis=0)[:, 1:-1] == 1) * 1
        corners = (np.diff(np.pad(starts, ((0, 0), (1, 0))), axis=1) == 1).sum()
        counts.add(int(corners))
    assert counts >= {1, 2, 3} and max(counts) == 3


def test_noise_is_uniform_and_stays_inside_the_mask():
    image = tf.fill([40, 50, 3], 0.25)
    mask = np.zeros((40, 50, 1), "float32")
    mask[5:30, 10:40] = 1
    noisy = pipelines.noise_at(seeded(), image, mask).numpy()
    inside = noisy[mask[..., 0] > 0]
    assert (noisy[mask[..., 0] == 0] == 0.25).all()
    assert 0 <= inside.min() < 0.01 and 0.99 < inside.max() <= 1
    assert abs(inside.mean() - 0.5) < 0.03 and abs(inside.var() - 1 / 12) < 0.01
    assert abs(np.corrcoef(inside.T)[0, 1]) < 0.1  # each channel on its own
    again = pipelines.noise_at(seeded(), image, mask).numpy()
    np.testing.assert_array_equal(again, noisy)


def test_numbers_that_make_no_choice_are_refused():
    labels = checkers()
    with pytest.raises(ValueError, match="0 <= fewest <= most, got 3 and 2"):
        pipelines.superpixel_mask(seeded(), labels, labels, 3, 2)
    with pytest.raises(ValueError, match="segments is 70000"):
        pipelines.superpixels(textured(), 70000)
