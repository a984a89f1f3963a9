"""Whether deep matching fits into memory: asked before, as a system that has none left kills."""

import os
from pathlib import Path

import keras

from kcorr.models.deep_matching import DeepMatching

_GIB = 2**30


def check_matching_memory(network, size):
    """Refuses pictures that cannot be matched in the memory that is available.

    Args:
        network: of matches; only of a `kcorr.models.DeepMatching` it is known what it needs.
        size: (height, width) at which it sees the pictures.

    Raises:
        MemoryError: it needs more than there is. Where that is unknown, and with a GPU, nothing is
            refused.
    """
    if not isinstance(network, DeepMatching):
        return
    if any(not device.startswith("cpu") for device in keras.distribution.list_devices()):
        return  # an accelerator has memory of its own, and only raises where it has none left
    needed, available = network.bytes_needed(size), available_bytes()
    if available is not None and needed > available:
        (height, width), radius = size, network.config["radius"]
        raise MemoryError(
            f"matching at {width}x{height} with radius {radius} needs {needed / _GIB:.1f} GiB of "
            f"memory or more, {available / _GIB:.1f} GiB are available; expected a smaller "
            "max_side or radius"
        )


def available_bytes(proc="/proc", cgroups="/sys/fs/cgroup"):
    """Bytes that a process can still get, swap included; None where the system does not say.

    What Linux says is available and what the control groups of this process (of a container) leave
    of it, whichever is less; on other systems all of the machine's memory.

    Args:
        proc, cgroups: where Linux says so.
    """
    found = [_of_machine(Path(proc, "meminfo")), *_of_groups(Path(proc, "self/cgroup"), cgroups)]
    return min((one for one in found if one is not None), default=None)


def _of_machine(meminfo):
    numbers = _numbers(meminfo)
    if "MemAvailable:" in numbers:
        return 1024 * (numbers["MemAvailable:"] + numbers.get("SwapFree:", 0))
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def _of_groups(memberships, cgroups):
    """What is left of the limit of each control group that this process is in, version 2 or 1."""
    for line in _lines(memberships):
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, limit, usage, prefix = Path(cgroups), "memory.max", "memory.current", ""
        elif "memory" in controllers.split(","):
            root, prefix = Path(cgroups, "memory"), "total_"
            limit, usage = "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        # The limits of all groups above hold, too. Inside a container the path may be that outside
        # of it, and the root its own group.
        group = root / path.lstrip("/")
        for folder in (group, *group.parents):
            allowed, used = (_whole(folder / name) for name in (limit, usage))
            if allowed is not None and used is not None:
                # Of what is used, the cache of files goes when memory is needed.
                stat = _numbers(folder / "memory.stat")
                cache = sum(stat.get(f"{prefix}{kind}_file", 0) for kind in ("active", "inactive"))
                yield max(0, allowed - used + cache)
            if folder == root:
                break


def _numbers(path):
    """{first word: number behind it} of the lines of a file; {} where there is none."""
    words = [line.split() for line in _lines(path)]
    return {one[0]: int(one[1]) for one in words if len(one) > 1 and one[1].isdecimal()}


def _whole(path):
    """The number that is all of a file, or None: "max" is no limit."""
    lines = _lines(path)
    return int(lines[0]) if lines and lines[0].isdecimal() else None


def _lines(path):
    try:
        return Path(path).read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return []
