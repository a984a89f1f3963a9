"""Curves as inline SVG."""

import json
import math

from kcorr.viz._page import escape

_WIDTH, _HEIGHT = 480, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 18, 10, 34
_MOST = 400  # points a line; beyond, each stretch shows its lowest and its highest


def chart(title, lines, axis="step"):
    """Lines over a common axis, with ticks, a key, and the values under the pointer.

    The upright axis is logarithmic where all values are above zero and differ by a factor of 30.
    A value that is not finite interrupts its line; a lone value is a dot.

    Args:
        title: plain text.
        lines: list of (name, slot, points): slot is the number of the line's colour, the same for
            a run in every chart; points is a list of (x, y), x rising and finite, y a number or
            None.
        axis: what x is.

    Returns:
        HTML, a figure; "" where no line has a finite value.
    """
    lines = [(name, slot, _thinned(points)) for name, slot, points in lines]
    lines = [one for one in lines if any(_finite(y) for _, y in one[2])]
    if not lines:
        return ""
    known = [(x, y) for _, _, points in lines for x, y in points if _finite(y)]
    low_x, high_x = min(x for x, _ in known), max(x for x, _ in known)
    values = [y for _, y in known]
    scale = _Log(values) if min(values) > 0 and max(values) / min(values) >= 30 else _Even(values)

    def across(x):
        share = (x - low_x) / (high_x - low_x) if high_x > low_x else 0.5
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def down(y):
        return _HEIGHT - _BOTTOM - scale.share(y) * (_HEIGHT - _TOP - _BOTTOM)

    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    parts = []
    for tick in scale.ticks():
        y = f"{down(tick):.1f}"
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{y}" y2="{y}"/>')
        parts.append(
            f'<text x="{_LEFT - 6}" y="{y}" dy=".35em" text-anchor="end">{_label(tick)}</text>'
        )
    for tick in even_ticks(low_x, high_x, 5):
        # A wide number at the right edge would be cut off.
        anchor = "end" if across(tick) > right - 16 else "middle"
        x = right + _RIGHT - 2 if anchor == "end" else across(tick)
        parts.append(
            f'<text x="{x:.1f}" y="{_HEIGHT - 10}" text-anchor="{anchor}">{_label(tick)}</text>'
        )
    parts.append(f'<line class="cursor" x1="0" x2="0" y1="{_TOP}" y2="{bottom}"/>')
    for name, slot, points in lines:
        parts.append(_path(name, slot, [(x, y, across, down) for x, y in points]))
    keys = ""
    if len(lines) > 1:
        keys = '<div class="keys">' + "".join(map(_key, lines)) + "</div>"
    data = {
        "axis": axis, "width": _WIDTH, "left": _LEFT, "right": right, "low": low_x, "high": high_x,
        "lines": [
            {"name": name, "points": [[x, y] for x, y in points if _finite(y)]}
            for name, _, points in lines
        ],
    }  # fmt: skip
    note = " (logarithmic)" if isinstance(scale, _Log) else ""
    return (
        f'<figure class="chart" data-chart="{escape(json.dumps(data))}">'
        f"<figcaption>{escape(title)}{note}</figcaption>"
        f'<svg class="plot" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(title)} by {escape(axis)}">{"".join(parts)}</svg>{keys}'
        f"<output></output></figure>"
    )


def even_ticks(low, high, count):
    """About `count` round numbers (1, 2 or 5 times a power of ten apart) from low to high."""
    rough = (high - low) / count
    if not rough > 0:
        return [low]
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(n for n in (1, 2, 5, 10) if n * power >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [n * step for n in range(first, last + 1)]


class _Even:
    """Values from the lowest to the highest with a little room."""

    def __init__(self, values):
        low, high = min(values), max(values)
        room = 0.05 * (high - low) or 0.05 * abs(high) or 0.5
        self.low, self.high = low - room, high + room

    def share(self, y):
        return (y - self.low) / (self.high - self.low)

    def ticks(self):
        return even_ticks(self.low, self.high, 5)


class _Log:
    """Logarithms of values, with ticks at the powers of ten and, over few decades, 2 and 5."""

    def __init__(self, values):
        low, high = math.log10(min(values)), math.log10(max(values))
        room = 0.05 * (high - low)
        self.low, self.high = low - room, high + room

    def share(self, y):
        return (math.log10(y) - self.low) / (self.high - self.low)

    def ticks(self):
        every = max(1, math.ceil((self.high - self.low) / 6))
        factors = (1, 2, 5) if self.high - self.low < 2.5 else (1,)
        decades = range(math.floor(self.low), math.ceil(self.high) + 1, every)
        ticks = [n * 10.0**decade for decade in decades for n in factors]
        # Below 1e-323 a power of ten is 0.
        return [tick for tick in ticks if tick and self.low <= math.log10(tick) <= self.high]


def _path(name, slot, points):
    """A line in stretches of finite values; a stretch of one value is a dot."""
    stretches = [[]]
    for x, y, across, down in points:
        if _finite(y):
            stretches[-1].append((across(x), down(y)))
        elif stretches[-1]:
            stretches.append([])
    title = f"<title>{escape(name)}</title>"
    dots = "".join(
        f'<circle class="f{slot % 8}" cx="{one[0][0]:.1f}" cy="{one[0][1]:.1f}" r="3">{title}'
        "</circle>"
        for one in stretches
        if len(one) == 1
    )
    drawn = " ".join(
        "M" + " L".join(f"{x:.1f},{y:.1f}" for x, y in one) for one in stretches if len(one) > 1
    )
    if drawn:
        dots = f'<path class="s{slot % 8} d{slot // 8 % 3}" d="{drawn}">{title}</path>' + dots
    return dots


def _key(line):
    name, slot, _ = line
    stroke = f'<path class="s{slot % 8} d{slot // 8 % 3}" d="M0,5 L24,5"/>'
    return f'<span><svg viewBox="0 0 24 10" aria-hidden="true">{stroke}</svg> {escape(name)}</span>'


def _thinned(points):
    """About `_MOST` points: the first, the last, and the extremes of every stretch."""
    points = [(x, y if _finite(y) else None) for x, y in points]
    if len(points) <= _MOST:
        return points
    size = -(-2 * len(points) // _MOST)
    kept = []
    for start in range(0, len(points), size):
        stretch = [one for one in points[start : start + size] if one[1] is not None]
        if not stretch:
            kept.append((points[start][0], None))
            continue
        extremes = {min(stretch, key=lambda one: one[1]), max(stretch, key=lambda one: one[1])}
        kept += sorted(extremes)
    return points[: kept[0] != points[0]] + kept + points[len(points) - (kept[-1] != points[-1]) :]


def _finite(y):
    """Whether y can be drawn; near the end of floating point the arithmetic would overflow."""
    return isinstance(y, int | float) and abs(y) < 1e300


def _label(tick):
    if abs(tick) >= 1e6 or 0 < abs(tick) < 1e-3:
        return f"{tick:.3g}".replace("e+0", "e").replace("e-0", "e-").replace("e+", "e")
    if abs(tick) >= 1e4:
        return f"{tick / 1000:.6g}k"
    return f"{tick:.6g}"
