"""The U of deep matching as differentiable steps: up a pyramid of scores, and down again.

Scores are [b, 2R + 1, 2R + 1, i, j]: how well the patch around point (i, j) of image 1 fits where
the displacement (kx - R, ky - R), in steps of that level, puts it in image 2. Displacements lead
and points come last, so that pooling over displacements and shifts over points are plain runs of
memory.

Level l + 1 says of patches twice as large, whose displacements are known half as finely: level l is
pooled over displacements (`pool_displacements`, which remembers where each maximum was), and each
larger patch takes the mean of its four quarters (`aggregate_patches`). On the way down a quarter
takes the best of the patches that it belongs to (`disaggregate_patches`), what was a maximum gets
that score (`unpool_displacements`; everything else -inf), and the level's own scores are added.
What arrives is, for each point and displacement, the best sum of scores along any path through the
pyramid: dynamic programming in place of the original's recursion, and exactly equal to it.

Two conventions each, because the papers' formulas and their text disagree: `rounding` of the halved
radius ("ceil" as the formula prints it; "floor" as "a padding of zero or one" implies), and the
first larger patches: `border` "full" (one more than there are points, those outside included, as
the released programs have it) or "valid" (one fewer).

Source: Revaud et al., DeepMatching, IJCV 2016; Thewlis et al., Fully-Trainable Deep Matching, BMVC
2016.
"""

from keras import ops

from kcorr.ops._arguments import check_shapes, sizes

ROUNDINGS = ("ceil", "floor")
BORDERS = ("full", "valid")
# x^nu has no finite slope at 0, and none at all below.
_LEAST = 1e-6


def half_radius(radius, rounding="ceil"):
    """The radius of the next level, in its own steps, which are twice as long."""
    _check("rounding", rounding, ROUNDINGS)
    return -(-radius // 2) if rounding == "ceil" else radius // 2


def pool_displacements(scores, rounding="ceil"):
    """The best of each 3 x 3 displacements, every second one (MP).

    Args:
        scores: [b, 2R + 1, 2R + 1, i, j], R at least 1.
        rounding: see `half_radius`.

    Returns:
        pooled: [b, 2S + 1, 2S + 1, i, j] with S = half_radius(R); its displacement s is the best of
            2s - 1, 2s and 2s + 1.
        switches: int8 of that shape, 3 (dy + 1) + (dx + 1) of the best: the first of equals.

    Raises:
        ValueError: shapes that do not fit, or R = 0.
    """
    scores = ops.convert_to_tensor(scores)
    radius = _radius("pool_displacements", scores)
    half = half_radius(radius, rounding)
    if half < 1:
        raise ValueError(f"pool_displacements: {rounding} of half a radius of {radius} is 0")
    columns, along_x = _best_of_three(scores, 2, radius, half)
    pooled, along_y = _best_of_three(columns, 1, radius, half)
    codes = _threes(along_x, 1, radius, half, 0)
    along_x = ops.where(along_y == 0, codes[0], ops.where(along_y == 1, codes[1], codes[2]))
    return pooled, 3 * along_y + along_x


def unpool_displacements(pooled, switches, radius, rounding="ceil"):
    """Puts scores back where the maxima were (UP): -inf elsewhere, the best where several meet.

    Args:
        pooled: [b, 2S + 1, 2S + 1, i, j].
        switches: int8 of that shape, from `pool_displacements`.
        radius: R of the result.
        rounding: see `half_radius`.

    Returns:
        [b, 2R + 1, 2R + 1, i, j].

    Raises:
        ValueError: shapes that do not fit, or a radius that is not pooled to this one.
    """
    pooled = ops.convert_to_tensor(pooled)
    half = _radius("unpool_displacements", pooled)
    if half_radius(radius, rounding) != half:
        raise ValueError(
            f"unpool_displacements: a radius of {radius} becomes {half_radius(radius, rounding)}, "
            f"got {half}"
        )
    check_shapes(
        "unpool_displacements", pooled=(pooled, "b k k i j"), switches=(switches, "b k k i j")
    )
    columns = []
    for dx in range(3):
        parts = [ops.where(switches == 3 * dy + dx, pooled, -float("inf")) for dy in range(3)]
        columns.append(_interleaved(parts, 1, radius, half))
    return _interleaved(columns, 2, radius, half)


def aggregate_patches(scores, level, exponent=None, border="full"):
    """The scores of patches twice as large: the mean of their quarters (AG), to a power.

    Args:
        scores: [b, k, k, i, j], pooled scores of level `level`.
        level: 0 for the points themselves. The points of levels from 1 lie on the corners between
            those of level 0, as far apart as them.
        exponent: nu, a number or scalar tensor; scores below 1e-6 count as that. None: no power.
        border: see the module.

    Returns:
        [b, k, k, i + 1, j + 1] from level 0 ([.., i - 1, j - 1] if "valid"), else of the same
        shape. A patch of which quarters lie outside takes the mean of the others; one of which all
        do, 0.

    Raises:
        ValueError: shapes that do not fit, a negative level, or an unknown border.
    """
    scores = ops.convert_to_tensor(scores)
    _radius("aggregate_patches", scores)
    near, far, more = _children(level, border)
    ones = ops.ones_like(scores[:1, :1, :1])
    for axis in (3, 4):
        count = sizes(scores)[axis] + more
        scores = _shifted(scores, axis, near, count, 0.0) + _shifted(scores, axis, far, count, 0.0)
        ones = _shifted(ones, axis, near, count, 0.0) + _shifted(ones, axis, far, count, 0.0)
    mean = scores / ops.maximum(ones, 1.0)
    return mean if exponent is None else raised(mean, exponent)


def disaggregate_patches(scores, level, border="full"):
    """What each quarter gets: the best of the patches that it belongs to (DA).

    Args:
        scores: [b, k, k, i, j], of level `level` + 1.
        level: of the result.
        border: see the module.

    Returns:
        [b, k, k, i - 1, j - 1] for level 0 ([.., i + 1, j + 1] if "valid"), else of the same shape;
        0 for a quarter of no patch: where patches outgrow the picture, they say nothing.

    Raises:
        ValueError: shapes that do not fit, a negative level, or an unknown border.
    """
    scores = ops.convert_to_tensor(scores)
    _radius("disaggregate_patches", scores)
    near, far, more = _children(level, border)
    known = ops.zeros_like(scores[:1, :1, :1])
    for axis in (3, 4):
        count = sizes(scores)[axis] - more
        # A parent's child lies at + offset, so a child's parent lies at - offset.
        scores, known = (
            ops.maximum(*(_shifted(x, axis, -at, count, -float("inf")) for at in (near, far)))
            for x in (scores, known)
        )
    return ops.where(known < 0, 0.0, scores)


def raised(scores, exponent):
    """`scores` to the power of `exponent`, of at least 1e-6: its slopes stay finite."""
    return ops.maximum(scores, _LEAST) ** exponent


def levels_of(radius, levels=6, rounding="ceil"):
    """How many levels above level 0 a radius allows, at most `levels`: none below 1 is halved."""
    found = 0
    while found < levels and half_radius(radius, rounding) >= 1:
        radius, found = half_radius(radius, rounding), found + 1
    return found


def match_pyramid(scores, exponents, rounding="ceil", border="full", level=0):
    """Up: the scores of all levels and the switches between them.

    Args:
        scores: [b, 2R + 1, 2R + 1, i, j], of the lowest level.
        exponents: nu of the L levels above it, numbers or scalar tensors.
        rounding, border: see the module.
        level: the number of the lowest level.

    Returns:
        A list of L + 1 scores and one of L switches.

    Raises:
        ValueError: as `pool_displacements` and `aggregate_patches`.
    """
    levels, switches = [scores], []
    for number, exponent in enumerate(exponents, start=level):
        pooled, switch = pool_displacements(levels[-1], rounding)
        switches.append(switch)
        levels.append(aggregate_patches(pooled, number, exponent, border))
    return levels, switches


def decode_pyramid(levels, switches, rounding="ceil", border="full", level=0):
    """Down: the best sum of scores along any path to each point and displacement (Q_0).

    Args:
        levels, switches: of `match_pyramid`.
        rounding, border: see the module.
        level: the number of the lowest level.

    Returns:
        [b, 2R + 1, 2R + 1, i, j], -inf where no maximum led.
    """
    best = levels[-1]
    for number, (scores, switch) in reversed(
        list(enumerate(zip(levels, switches, strict=False), start=level))
    ):
        best = disaggregate_patches(best, number, border)
        radius = scores.shape[1] // 2
        best = scores + unpool_displacements(best, switch, radius, rounding)
    return best


def _check(name, value, allowed):
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")


def _radius(function, scores):
    check_shapes(function, scores=(scores, "b k k i j"))
    count = scores.shape[1]
    if count is None or count % 2 == 0:
        raise ValueError(f"{function} expects an odd number of displacements, got {count}")
    return count // 2


def _children(level, border):
    """Offsets of a patch's quarters on one axis, and how many more patches than quarters."""
    _check("border", border, BORDERS)
    if level < 0:
        raise ValueError(f"level must be at least 0, got {level}")
    if level:
        return -(2 ** (level - 1)), 2 ** (level - 1), 0
    return (-1, 0, 1) if border == "full" else (0, 1, -1)


def _shifted(scores, axis, offset, count, fill):
    """`count` entries of an axis, the first from `offset`; `fill` where there is none."""
    size = sizes(scores)[axis]
    most = max if isinstance(size, int) and isinstance(count, int) else ops.maximum
    # Far outside, the padding takes in all that is wanted.
    before, after = max(0, -offset), most(0, offset + count - size)
    padding = [[0, 0]] * axis + [[before, after]] + [[0, 0]] * (4 - axis)
    padded = ops.pad(scores, padding, constant_values=fill)
    start = offset + before
    return padded[(slice(None),) * axis + (slice(start, start + count),)]


def _threes(scores, axis, radius, half, fill):
    """The entries at 2s - 1, 2s and 2s + 1 for the displacements s of the halved radius."""
    before = 2 * half - radius + 1
    padding = [[before, before] if at == axis else [0, 0] for at in range(5)]
    padded = ops.pad(scores, padding, constant_values=fill) if before else scores
    lead = (slice(None),) * axis
    return [padded[(*lead, slice(first, first + 4 * half + 1, 2))] for first in range(3)]


def _best_of_three(scores, axis, radius, half):
    """Maximum over `_threes`, and which one it is, the first of equals."""
    first, second, third = _threes(scores, axis, radius, half, -float("inf"))
    best = ops.maximum(ops.maximum(first, second), third)
    one, two = ops.cast(1, "int8"), ops.cast(2, "int8")
    which = ops.where(second == best, one, two)
    return best, ops.where(first == best, ops.cast(0, "int8"), which)


def _interleaved(parts, axis, radius, half):
    """The adjoint of `_threes` with a maximum in place of the sum.

    Args:
        parts: what comes from below, the same and above each second entry.
    """
    below, own, above = parts
    lead = (slice(None),) * axis
    whole, rest = radius // 2, (radius + 1) // 2
    # Entries R + 2m take from coarse entry m alone, R + 2m + 1 from m and m + 1.
    even = own[(*lead, slice(half - whole, half + whole + 1))]
    padding = [[1, 1] if at == axis else [0, 0] for at in range(5)]
    above, below = (
        ops.pad(part, padding, constant_values=-float("inf")) for part in (above, below)
    )
    start, count = half - rest + 1, rest + (radius - 1) // 2 + 1
    odd = ops.maximum(
        above[(*lead, slice(start, start + count))],
        below[(*lead, slice(start + 1, start + 1 + count))],
    )
    first, second = (odd, even) if radius % 2 else (even, odd)
    padding = [[0, 1] if at == axis else [0, 0] for at in range(5)]
    both = ops.stack([first, ops.pad(second, padding)], axis=axis + 1)
    shape = sizes(first)
    shape[axis] = 2 * radius + 2
    return ops.reshape(both, shape)[(*lead, slice(0, 2 * radius + 1))]
