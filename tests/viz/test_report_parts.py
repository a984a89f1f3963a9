"""Numbers, curves and embedded pictures of a report, each against what was put in."""

import base64
import io
import json
import math
import re

import numpy as np
import pytest
from _strict_html import Page
from PIL import Image

from kcorr.viz import _chart, _embed, _measures
from kcorr.viz._page import escape, page


def in_page(body):
    return Page(page("t", body))


# === Numbers ===


@pytest.mark.parametrize(
    ("key", "sign"),
    [
        ("epe_all", -1), ("fl_occ_per_pixel", -1), ("val_epe", -1), ("d1_all", -1), ("loss", -1),
        ("occlusion_f", 1), ("psnr", 1), ("pixels_all", 0), ("images", 0), ("seconds", 0),
        ("val_epe_zero", 0), ("epoch", 0), ("flow_size", 0), ("missing", -1),
        ("Fl-fg noc", -1), ("Out-Noc", -1), ("Avg-All", -1), ("EPE matched", -1), ("s40+", -1),
        ("d0-10", -1), ("s10-40", -1), ("steps", 0),
    ],
)  # fmt: skip
def test_which_way_is_better(key, sign):
    assert _measures.better(key) == sign


def marked(html):
    """{heading: names of the rows marked best} of the first table of the page."""
    table = html.partition("</table>")[0]
    heads = re.findall(r"<button[^>]*>([^<]*)</button>", table)
    found = {}
    for row in re.findall(r"<tr><th scope=\"row\".*?</tr>", table):
        name = re.search(r">([^<]*)</th>", row)[1]
        for head, cell in zip(heads[1:], re.findall(r"<td[^>]*>", row), strict=True):
            found.setdefault(head, [])
            if 'class="best"' in cell:
                found[head].append(name)
    return found


def test_the_best_of_each_measure_is_marked():
    rows = [
        ("a", {"epe_all": 1.5, "occlusion_f": 0.4, "loss": 3.0, "images": 2, "epe_occ": "inf"}),
        ("b", {"epe_all": 1.2, "occlusion_f": None, "loss": 9.0, "images": 1, "epe_occ": 7.0}),
        ("c", {"epe_all": 1.2, "occlusion_f": 0.6, "loss": 2.0, "images": 3, "epe_occ": None}),
    ]
    html = _measures.tables(rows)
    in_page(html)
    assert marked(html) == {
        "EPE all": ["b", "c"], "occlusion_f": ["c"], "loss": ["c"], "EPE occ": ["b"],
    }  # fmt: skip
    assert "∞" in html and ">images<" in html.partition("all numbers")[2]
    del rows[0][1]["occlusion_f"]  # another method: its loss is another quantity
    assert marked(_measures.tables(rows))["loss"] == []
    assert marked(_measures.tables(rows[:1]))["EPE all"] == []
    equal = [("a", {"epe_all": 1.0}), ("b", {"epe_all": 1.0})]
    assert marked(_measures.tables(equal))["EPE all"] == []


def test_numbers_have_about_three_figures_and_one_number_of_decimals():
    assert _measures.formatted([34.341, 2.6299, 2.8151]) == ["34.34", "2.63", "2.82"]
    assert _measures.formatted([3.0, 12.0, None]) == ["3", "12", "-"]
    assert _measures.formatted([10.5, 9.25]) == ["10.50", "9.25"]
    assert _measures.formatted([0.000123, 0.0]) == ["0.000123", "0.000000"]
    assert _measures.formatted([math.inf, 1.0]) == ["∞", "1"]
    assert _measures.formatted([1e30, 1.5]) == ["1.000e+30", "1.50"]
    assert _measures.heading("epe_s0_10") == "EPE s0-10"
    assert _measures.heading("epe_out_per_image") == "EPE out of frame per image"
    assert _measures.heading("fl_noc_per_pixel") == "Fl noc per pixel %"
    assert _measures.heading("val_epe") == "val_epe"


# === Curves ===


def paths(html):
    """[[(x, y), ...], ...] of the drawn lines."""
    found = re.findall(r'<path class="s\d d\d" d="([^"]+)"><title>', html)
    return [
        [
            tuple(map(float, point.split(",")))
            for point in re.split(r" ?[ML] ?|(?<=\d) L", one)
            if point
        ]
        for one in found
    ]


def test_a_curve_is_drawn_to_scale():
    points = [(0, 4.0), (10, 2.0), (40, 3.0)]
    html = _chart.chart("loss", [("run", 0, points)])
    drawn = in_page(html)
    [[(x0, y0), (x1, y1), (x2, y2)]] = paths(html)
    assert (x1 - x0) / (x2 - x0) == pytest.approx(0.25, abs=1e-3)
    assert (y2 - y1) / (y0 - y1) == pytest.approx(0.5, abs=2e-3)
    assert y0 < y2 < y1, "up is more"
    [data] = [json.loads(found["data-chart"]) for tag, found in drawn.tags if tag == "figure"]
    assert data["lines"] == [{"name": "run", "points": [[0, 4.0], [10, 2.0], [40, 3.0]]}]
    assert (data["left"], data["right"]) == (x0, x2)
    # The tick at 3 stands where the value 3 is drawn.
    ticks = dict(re.findall(r'y="([\d.]+)" dy=".35em" text-anchor="end">([^<]+)<', html))
    at = {label: float(y) for y, label in ticks.items()}
    assert at["3"] == pytest.approx(y2, abs=0.1) and at["2"] == pytest.approx(y1, abs=0.1)


def test_values_over_decades_stand_on_a_logarithmic_axis():
    html = _chart.chart("lr", [("run", 0, [(0, 1.0), (1, 10.0), (2, 1000.0)])])
    [[(_, y0), (_, y1), (_, y2)]] = paths(html)
    assert (y1 - y0) / (y2 - y0) == pytest.approx(1 / 3, abs=1e-3)
    assert "lr (logarithmic)" in html
    assert "logarithmic" not in _chart.chart("lr", [("run", 0, [(0, 0.0), (1, 10.0), (2, 1e3)])])


def test_gaps_interrupt_a_line_and_lone_values_are_dots():
    points = [(0, 1.0), (1, 2.0), (2, None), (3, 5.0), (4, math.nan), (5, 1.0), (6, 3.0)]
    html = _chart.chart("loss", [("run", 9, points)])
    in_page(html)
    assert re.search(r'<path class="s1 d1" d="M[^M]*M[^M]*"', html), (
        "two stretches, colour 1 dashed"
    )
    assert html.count("<circle") == 1
    assert _chart.chart("loss", [("run", 0, [(0, None), (1, math.inf)])]) == ""
    assert _chart.chart("loss", []) == ""
    assert "<circle" in _chart.chart("loss", [("run", 0, [(7, 0.0)])])


@pytest.mark.parametrize("value", [0.0, -3.0, 1e299, -1e299, 5e-324, 1e-300])
def test_any_values_can_be_drawn(value):
    for other in (value, 0.0, 1.0, -1e299, 1e299, 2e-300):
        html = _chart.chart("x", [("run", 0, [(0, value), (2**40, other)])])
        in_page(html)
        assert "nan" not in html and "inf" not in html.lower().replace("info", "")


def test_a_long_log_keeps_its_extremes():
    values = np.random.default_rng(0).normal(1, 0.01, 30_000)
    values[12_345], values[23_456] = 9.0, -9.0
    html = _chart.chart("loss", [("run", 0, list(enumerate(values.tolist())))])
    [line] = paths(html)
    assert len(line) <= 402 and len(html) < 40_000
    xs, ys = np.array(line).T
    assert (np.diff(xs) >= 0).all()
    left, right = xs[0], xs[-1]
    assert (xs[ys.argmin()] - left) / (right - left) == pytest.approx(12_345 / 30_000, abs=1e-3)
    assert (xs[ys.argmax()] - left) / (right - left) == pytest.approx(23_456 / 30_000, abs=1e-3)


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(0, 10, [0, 2, 4, 6, 8, 10]), (0.13, 0.31, [0.15, 0.2, 0.25, 0.3]), (5, 5, [5])],
)
def test_ticks_are_round(low, high, ticks):
    assert _chart.even_ticks(low, high, 5) == pytest.approx(ticks)


# === Pictures and text ===


def opened(url):
    kind, _, data = url.partition(";base64,")
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    assert kind == f"data:{Image.MIME[image.format]}"
    return image


def test_small_files_and_animations_are_taken_as_they_are(tmp_path):
    red, blue = (np.full((20, 30, 3), color, np.uint8) for color in ((200, 0, 0), (0, 0, 200)))
    first, second = (Image.fromarray(one) for one in (red, blue))
    first.save(tmp_path / "a.gif", save_all=True, append_images=[second])
    first.save(tmp_path / "b.jpg")
    first.save(tmp_path / "c.png")
    (tmp_path / "wrong_suffix.png").write_bytes((tmp_path / "b.jpg").read_bytes())
    for path in tmp_path.iterdir():
        url, width, height = _embed.embedded(path)
        assert (width, height) == (30, 20)
        assert base64.b64decode(url.partition(",")[2]) == path.read_bytes()
        assert opened(url).size == (30, 20)


def test_large_pictures_become_smaller_and_stay_what_they_are(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (90, 200, 3), dtype=np.uint8)
    large = np.asarray(Image.fromarray(noise).resize((4000, 1800)))
    Image.fromarray(large).save(tmp_path / "large.png", compress_level=1)
    for picture in (large, tmp_path / "large.png"):
        url, width, height = _embed.embedded(picture, largest=400)
        assert (width, height) == (400, 180) and len(url) < 300_000
        truth = np.asarray(Image.fromarray(large).resize((400, 180), Image.Resampling.BOX))
        got = np.asarray(opened(url).convert("RGB"))
        assert np.abs(got.astype(int) - truth).mean() < 12
    flat = np.zeros((300, 400, 3), np.uint8)
    flat[:, 200:] = (49, 54, 149)
    assert (np.asarray(opened(_embed.embedded(flat)[0]).convert("RGB")) == flat).all()


def test_what_is_no_picture_is_one_line(tmp_path):
    for name, data in (("a.png", b"no picture"), ("b.png", b""), ("c.png", b"\x89PNG\r\n\x1a\n")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ValueError, match=r"^[^\n]+$"):
            _embed.embedded(tmp_path / name)
    with pytest.raises(ValueError, match="shape"):
        _embed.embedded(np.zeros((3, 3, 2)))


def test_text_stays_text():
    assert escape("<b> & \"q\" 'p'") == "&lt;b&gt; &amp; &quot;q&quot; &#x27;p&#x27;"
    odd = "a\x00b\x1bc\ud800d\tü"
    assert escape(odd) == "a\ufffdb\ufffdc\ufffdd\tü"
    escape(odd).encode("utf-8")
