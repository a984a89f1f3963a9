"""Which frames of a sequence stand together in one record: pure functions of counts.

A window of two frames is image1, image2, one of three image0, image1, image2, and so on to image4:
image1 is always the frame whose flow to image2 is asked for.
"""

from itertools import pairwise

from kcorr.schema import IMAGE0, IMAGE1, IMAGE2, IMAGE3, IMAGE4

ENDS = ("skip", "repeat")


def image_keys(frames):
    """Record keys of a window: 2 gives (image1, image2), 3 to 5 begin with image0.

    Raises:
        ValueError: `frames` is not 2, 3, 4 or 5.
    """
    if frames not in (2, 3, 4, 5):
        raise ValueError(f"frames is {frames!r}, expected 2, 3, 4 or 5")
    keys = (IMAGE0, IMAGE1, IMAGE2, IMAGE3, IMAGE4)
    return keys[1:3] if frames == 2 else keys[:frames]


def shots(count, cuts=(), excluded=()):
    """Runs of frames without a cut.

    Args:
        count: number of frames.
        cuts: indices of frames that start a new shot.
        excluded: indices of frames that are not used; they end a run, too.

    Returns:
        A list of (start, stop), in order, none empty.
    """
    borders = {0, count, *excluded, *(index + 1 for index in excluded), *cuts}
    ordered = sorted(border for border in borders if 0 <= border <= count)
    left_out = set(excluded)
    return [(start, stop) for start, stop in pairwise(ordered) if start not in left_out]


def windows(count, frames=2, stride=1, cuts=(), excluded=(), ends="skip"):
    """All windows of a sequence.

    Args:
        count: number of frames in the sequence.
        frames: frames of a window, 2 to 5.
        stride: distance of two frames of a window.
        cuts: indices of frames that start a new shot; no window spans one.
        excluded: indices of frames that no window may hold or span.
        ends: "skip" gives windows that are whole; "repeat" gives one for every pair image1, image2,
            and what lies before or after its shot is the nearest frame of the window again (so the
            first window of three frames is i, i, i + stride).

    Returns:
        A list of tuples of `frames` indices, in the order of image1.

    Raises:
        ValueError: `frames`, `stride` or `ends` is none of these.
    """
    before = len(image_keys(frames)) > 2  # frames that stand before image1
    checked_stride(stride)
    if ends not in ENDS:
        raise ValueError(f"ends is {ends!r}, expected 'skip' or 'repeat'")
    offsets = [stride * (k - before) for k in range(frames)]
    found = []
    for start, stop in shots(count, cuts, excluded):
        for first in range(start, stop - stride):
            inside = [start <= first + offset < stop for offset in offsets]
            if all(inside):
                found.append(tuple(first + offset for offset in offsets))
            elif ends == "repeat":
                here = [first + o for o, i in zip(offsets, inside, strict=True) if i]
                found.append(
                    tuple(min(max(first + offset, here[0]), here[-1]) for offset in offsets)
                )
    return found


def image1_of(window):
    """The index of a window's image1."""
    return window[0] if len(window) == 2 else window[1]


def checked_strides(stride):
    """Returns one stride or a list of them as a tuple.

    Raises:
        ValueError: none, the same twice, or see `checked_stride`.
    """
    strides = tuple(stride) if isinstance(stride, (list, tuple)) else (stride,)
    for one in strides:
        checked_stride(one)
    if not strides or len(set(strides)) < len(strides):
        raise ValueError(f"stride is {stride!r}, expected one, or several that differ")
    return strides


def checked_stride(stride):
    """Returns stride, or raises ValueError when it is not a whole number of at least 1."""
    if not isinstance(stride, int) or stride < 1:
        raise ValueError(f"stride is {stride!r}, expected a whole number of at least 1")
    return stride
