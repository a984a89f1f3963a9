"""Combining sources: names, order, pairs and cuts."""

import numpy as np
import pytest

from kcorr.datasets import Concat, Pairs, Source, Subset, find_cuts, natural_key


class _Numbers(Source):
    def __init__(self, prefix, count):
        self.names = [f"{prefix}{i}" for i in range(count)]

    def _read(self, index):
        return {"image1": np.full((2, 3, 3), index, np.uint8)}


class _Film:
    """Frames whose grey value is their number."""

    def __init__(self, count, cuts=()):
        self.names = [f"f{i}" for i in range(count)]
        self.cuts = list(cuts)

    def __len__(self):
        return len(self.names)

    def __getitem__(self, index):
        return np.full((2, 3, 3), index, np.uint8)


def _value(record, key="image1"):
    return int(record[key][0, 0, 0])


def test_iteration_ends_and_negative_indices_count_from_the_end():
    source = _Numbers("a", 3)
    assert [_value(record) for record in source] == [0, 1, 2]
    assert _value(source[-1]) == 2
    for outside in (3, -4):
        with pytest.raises(IndexError, match="has 3 records"):
            source[outside]


def test_subset_keeps_order_and_names():
    subset = Subset(_Numbers("a", 5), [4, -5, 2])
    assert subset.names == ["a4", "a0", "a2"]
    assert [_value(record) for record in subset] == [4, 0, 2]


@pytest.mark.parametrize("indices, error", [([5], IndexError), ([1, -4], ValueError)])
def test_subset_refuses_bad_indices(indices, error):
    with pytest.raises(error):
        Subset(_Numbers("a", 5), indices)


def test_concat_finds_the_right_source_past_empty_ones():
    parts = [_Numbers("a", 2), _Numbers("b", 0), _Numbers("c", 3), _Numbers("d", 0)]
    joined = Concat(parts)
    assert joined.names == ["a0", "a1", "c0", "c1", "c2"]
    assert [_value(record) for record in joined] == [0, 1, 0, 1, 2]


def test_concat_names_the_collision():
    with pytest.raises(ValueError, match="'a0'"):
        Concat([_Numbers("a", 1), _Numbers("a", 2)])


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("cuts", [(), (1,), (4, 5), (3, 9)])
def test_pairs_are_exactly_those_without_a_cut_in_between(stride, cuts):
    pairs = Pairs(_Film(10, cuts), stride)
    found = [(_value(r), _value(r, "image2")) for r in pairs]
    shot = [sum(cut <= i for cut in cuts) for i in range(10)]  # number of the shot of each frame
    assert found == [(i, i + stride) for i in range(10 - stride) if shot[i] == shot[i + stride]]
    assert pairs.names == [f"f{i}+{stride}" for i, _ in found]


def test_given_cuts_override_those_of_the_frames():
    assert len(Pairs(_Film(5, cuts=[2]), cuts=())) == 4
    assert len(Pairs(_Film(5), cuts=[2])) == 3


@pytest.mark.parametrize("stride", [0, -1, 1.5, "1"])
def test_stride_must_be_a_whole_number(stride):
    with pytest.raises(ValueError, match="stride"):
        Pairs(_Film(5), stride)


def test_stride_longer_than_the_film_gives_no_pair():
    assert len(Pairs(_Film(3), stride=7)) == 0


def test_cuts_are_jumps_of_grey_above_the_threshold_and_changes_of_size():
    levels = [100, 120, 140, 170, 175, 20]
    frames = [np.full((40, 60, 3), level, np.uint8) for level in levels]
    assert find_cuts(frames) == [3, 5]  # steps of 30 and 155, not of 20
    assert find_cuts(frames, threshold=200) == []
    frames[2] = np.full((40, 61, 3), 140, np.uint8)
    assert find_cuts(frames, threshold=None) == [2, 3]


def test_natural_order():
    shuffled = ["frame_10.png", "Frame_1.png", "frame_2.png", "frame_02.png", "b/9", "b/10", "7"]
    expected = ["7", "b/9", "b/10", "Frame_1.png", "frame_02.png", "frame_2.png", "frame_10.png"]
    assert sorted(shuffled, key=natural_key) == expected
    assert sorted(reversed(shuffled), key=natural_key) == expected
