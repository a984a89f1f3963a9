"""What deep matching needs of memory: counted against what it holds, refused if there is less."""

import os

import keras
import numpy as np
import pytest

from kcorr.models import DeepMatching, SmallDescriptor, match_memory, predict_matches
from kcorr.models import deep_matching as module
from kcorr.models.match_memory import available_bytes, check_matching_memory


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch):
    monkeypatch.setattr(keras.distribution, "list_devices", lambda: ["cpu:0"])


def network(descriptor="hog", radius=8, **options):
    made = DeepMatching(descriptor, radius, **options)
    made.build()
    return made


def pictures(height=48, width=64):
    return np.random.default_rng(0).uniform(0, 1, (2, height, width, 3)).astype("float32")


@pytest.mark.parametrize("strips", [False, True])
@pytest.mark.parametrize(
    ("descriptor", "options"),
    [("hog", {}), (SmallDescriptor((4, 5)), {"radius": 5, "rounding": "floor"})],
    ids=["hog", "small"],
)
def test_what_is_counted_is_what_is_held(monkeypatch, descriptor, options, strips):
    if strips:
        monkeypatch.setattr(module, "_HELD", 1)
        monkeypatch.setattr(module, "_FEWEST", 2)
    net, sizes = network(descriptor, **options), {"descriptors": [], "pooled": [], "strip": []}

    def noting(function, *what):
        def run(first, *others, **more):
            found = function(first, *others, **more)
            tensors = {"descriptors": others[0] if others else None, "strip": found}
            tensors["pooled"] = found[0] if isinstance(found, tuple) else None
            for name in what:
                sizes[name].append(int(np.prod(tensors[name].shape)))
            return found

        return run

    correlate, pool = module.restricted_correlation, module.pool_displacements
    monkeypatch.setattr(module, "restricted_correlation", noting(correlate, "descriptors", "strip"))
    monkeypatch.setattr(module, "pool_displacements", noting(pool, "pooled"))
    predict_matches(net, *pictures())
    # Level 0 is pooled strip by strip; those of higher levels come after.
    count = 3 if strips else 1
    held = {
        "descriptors": max(sizes["descriptors"]),
        "strip": max(sizes["strip"]),
        "pooled": sum(sizes["pooled"][:count]),
    }
    expected = 4 * sum(module._COPIES[what] * held[what] for what in held)
    least = 0.93 if descriptor == "hog" else 1  # its map has a row and a column more
    assert least * expected <= net.bytes_needed((48, 64)) <= expected
    assert len(sizes["strip"]) == (2 * count if strips else 1)


@pytest.mark.parametrize(
    ("descriptor", "radius", "measured"),
    [("hog", 80, 0.72), ("hog", 160, 2.21), ("small", 80, 2.25)],
)
def test_the_estimate_is_a_little_below_what_was_measured(descriptor, radius, measured):
    """GB that processes of 1024 x 436 pictures had at most, less those that they began with."""
    needed = network(descriptor, radius).bytes_needed((436, 1024)) / 1e9
    assert 0.8 * measured < needed < measured


def test_more_than_there_is_is_refused_before_anything_is_computed(monkeypatch):
    net, images = network(), pictures()
    needed = net.bytes_needed((48, 64))
    monkeypatch.setattr(match_memory, "available_bytes", lambda: needed)
    expected = predict_matches(net, *images)
    monkeypatch.setattr(match_memory, "available_bytes", lambda: None)
    np.testing.assert_array_equal(predict_matches(net, *images), expected)
    monkeypatch.setattr(match_memory, "available_bytes", lambda: needed - 1)
    monkeypatch.setattr(DeepMatching, "call", lambda *args, **options: pytest.fail("computed"))
    with pytest.raises(MemoryError) as caught:
        predict_matches(net, *images)
    assert str(caught.value) == (
        "matching at 64x48 with radius 8 needs 0.0 GiB of memory or more, 0.0 GiB are available; "
        "expected a smaller max_side or radius"
    )
    monkeypatch.setattr(match_memory, "available_bytes", lambda: 2**33)
    with pytest.raises(
        MemoryError, match=r"at 3840x2160 with radius 80 needs 8\.5 GiB .* 8\.0 GiB"
    ):
        check_matching_memory(network(radius=80), (2160, 3840))
    check_matching_memory(network(radius=80), (436, 1024))
    check_matching_memory(object(), (10**6, 10**6))  # a SavedModel, of which nothing is known
    monkeypatch.setattr(keras.distribution, "list_devices", lambda: ["gpu:0", "gpu:1"])
    check_matching_memory(network(radius=80), (2160, 3840))


MEMINFO = "MemTotal:  9000 kB\nMemFree: 10 kB\nMemAvailable:   4000 kB\nSwapFree:  1000 kB\n"


def written(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@pytest.mark.parametrize(
    ("groups", "files", "kilobytes"),
    [
        (None, {}, 5000),
        ("0::/\n", {}, 5000),
        ("0::/a/b\n", {"a/b/memory.max": "max\n", "a/b/memory.current": "7\n"}, 5000),
        ("0::/a/b\n", {"a/memory.max": "3072000", "a/memory.current": "1024000"}, 2000),
        (  # what lies in the cache of files can go
            "0::/\n",
            {
                "memory.max": "3072000",
                "memory.current": "2048000",
                "memory.stat": "anon 3\nactive_file 204800\ninactive_file 307200\n",
            },
            1500,
        ),
        ("0::/\n", {"memory.max": "1024", "memory.current": "2048"}, 0),
        (  # version 1, in a container whose own group is the root
            "5:cpu:/x\n4:memory,hugetlb:/docker/7\n",
            {
                "memory/memory.limit_in_bytes": "3072000",
                "memory/memory.usage_in_bytes": "1024000",
                "memory/memory.stat": "inactive_file 9\ntotal_inactive_file 102400\n",
            },
            2100,
        ),
    ],
)
def test_what_is_available(tmp_path, groups, files, kilobytes):
    written(tmp_path / "proc", {"meminfo": MEMINFO})
    if groups is not None:
        written(tmp_path / "proc", {"self/cgroup": groups})
    written(tmp_path / "groups", files)
    assert available_bytes(tmp_path / "proc", tmp_path / "groups") == 1024 * kilobytes


def test_systems_that_do_not_say(tmp_path, monkeypatch):
    pages = {"SC_PHYS_PAGES": 100, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(os, "sysconf", pages.__getitem__, raising=False)
    assert available_bytes(tmp_path, tmp_path) == 409600
    for error in (ValueError, OSError):

        def fail(name, error=error):
            raise error

        monkeypatch.setattr(os, "sysconf", fail)
        assert available_bytes(tmp_path, tmp_path) is None
    monkeypatch.delattr(os, "sysconf")
    assert available_bytes(tmp_path, tmp_path) is None
    assert available_bytes() is None or available_bytes() > 2**20
