"""The report in a real browser: it opens, shows everything, asks for nothing, and can be used."""

import numpy as np
import pytest
from _browser import look, missing

from kcorr import viz

# The strict reader of test_report.py runs everywhere; a browser is 670 MB and needs a desktop's
# libraries, so `make test` installs it where it can.
ABSENT = missing()
pytestmark = pytest.mark.skipif(bool(ABSENT), reason=f"no browser: {ABSENT}")

EVIL = "<script>document.title = 'owned'</script><img src=x onerror=\"document.title='owned'\">"
RANDOM = np.random.default_rng(0)
PICTURES = [RANDOM.integers(0, 256, (60, 90, 3), dtype=np.uint8) for _ in range(2)]

SEEN = """{
  title: document.title, heading: document.querySelector("h1").textContent,
  width: innerWidth, needed: document.documentElement.scrollWidth,
  paper: getComputedStyle(document.body).backgroundColor,
  ink: getComputedStyle(document.body).color,
  images: [...document.images].map(one => [one.complete, one.naturalWidth, one.clientWidth]),
  curves: [...document.querySelectorAll("svg.plot path")].map(one => one.getTotalLength()),
  curve: getComputedStyle(document.querySelector("svg.plot path")).stroke,
  scripts: document.scripts.length,
}"""

# Clicks, as a person would, and says what was there before and after.
USED = """(() => {
  const rows = () => [...document.querySelector("table").tBodies[0].rows].map(
    row => [...row.cells].map(cell => cell.textContent));
  const heads = document.querySelectorAll("table")[0].querySelectorAll("button");
  const said = { start: rows() };
  heads[1].click(); said.up = rows(); said.sort = heads[1].closest("th").ariaSort;
  heads[1].click(); said.down = rows();
  heads[0].click(); said.names = rows(); said.left = heads[1].closest("th").ariaSort;
  const svg = document.querySelector("svg.plot"), box = svg.getBoundingClientRect();
  const output = svg.closest("figure").querySelector("output");
  const at = share => svg.dispatchEvent(new PointerEvent("pointermove",
    { clientX: box.left + share * box.width, clientY: box.top + 20, bubbles: true }));
  at(0); said.first = output.textContent;
  at(1); said.last = output.textContent;
  svg.dispatchEvent(new PointerEvent("pointerleave")); said.none = output.textContent;
  const pair = document.querySelector(".pair"), [one, two] = pair.querySelectorAll("figure");
  const button = pair.previousElementSibling.querySelector("button");
  const place = figure => Math.round(figure.getBoundingClientRect().left);
  said.beside = [place(one), place(two)];
  button.click(); said.over = [place(one), place(two)];
  const range = pair.previousElementSibling.querySelector("input");
  range.value = 20; range.dispatchEvent(new Event("input"));
  said.cut = getComputedStyle(two).clipPath;
  button.click(); said.again = [place(one), place(two)];
  document.querySelector("figure img").click();
  said.large = document.querySelector("dialog").open;
  document.querySelector("dialog").click();
  said.closed = document.querySelector("dialog").open;
  return said;
})()"""


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A comparison of two runs with hostile names and texts."""
    runs = [
        viz.Run(
            f"{name} {EVIL}",
            results={EVIL: {"net": {"epe_all": epe, "fl_all": fl, EVIL: 1.0}}},
            log=[{"step": 10 * i, "loss": epe / (i + 1)} for i in range(9)],
            flags={"seed": name, EVIL: EVIL},
            pictures=[("flow", EVIL, picture)],
        )
        for name, epe, fl, picture in zip("ab", (10.5, 9.25), ("inf", None), PICTURES, strict=True)
    ]
    runs.append(viz.Run("c", results={EVIL: {"net": {"epe_all": None, "fl_all": 3.0}}}))
    path = tmp_path_factory.mktemp("report") / "report.html"
    viz.write_report(path, runs, EVIL)
    return path


@pytest.fixture(scope="module")
def seen(report):
    """What a browser says of it: on a desk, on a phone, and in use."""
    desk, phone = {"width": 1200, "height": 900}, {"width": 360, "height": 700}
    return look(report, desk | {"script": SEEN}, phone | {"script": SEEN}, desk | {"script": USED})


def test_it_opens_and_asks_for_nothing_else(report, seen):
    assert seen["requests"] == [report.as_uri()] * 3
    assert seen["console"] == []


def test_texts_are_texts(seen):
    for view in seen["values"][:2]:
        assert view["title"] == EVIL and view["heading"] == EVIL
        assert view["scripts"] == 1 and len(view["images"]) == 2


def test_pictures_and_curves_are_drawn(seen):
    for view in seen["values"][:2]:
        for complete, natural, shown in view["images"]:
            assert complete and natural == 90 and shown > 200, "small pictures are enlarged"
        assert len(view["curves"]) == 2 and min(view["curves"]) > 300


def test_a_phone_scrolls_down_only(seen):
    desk, phone = seen["values"][:2]
    assert (desk["width"], phone["width"]) == (1200, 360)
    assert desk["needed"] <= 1200 and phone["needed"] <= 360


def test_tables_sort_with_the_unknown_last(seen):
    used = seen["values"][2]
    order = {key: [row[0][-1] for row in used[key]] for key in ("start", "up", "down", "names")}
    label = [row[0] for row in used["start"]]
    assert [name.partition(" ")[0] for name in label] == ["net"] * 3
    first = {key: [row[1] for row in used[key]] for key in order}
    assert first["start"] == ["10.50", "9.25", "-"]
    assert first["up"] == ["9.25", "10.50", "-"], "numbers, not texts"
    assert first["down"] == ["10.50", "9.25", "-"]
    assert used["sort"] == "ascending" and used["left"] is None
    assert [row[0] for row in used["names"]] == sorted(label)


def test_the_pointer_reads_the_curves(seen):
    used = seen["values"][2]
    assert used["first"].startswith("step 0: a <script>") and "> 10.5, b <" in used["first"]
    assert used["last"].startswith("step 80: ") and used["last"].endswith("> 1.028")
    assert used["none"] == ""


def test_two_pictures_can_be_laid_over_each_other(seen):
    used = seen["values"][2]
    assert used["beside"][0] < used["beside"][1] and used["again"] == used["beside"]
    assert used["over"][0] == used["over"][1]
    assert used["cut"] == "inset(0px 0px 0px 20%)"
    assert used["large"] is True and used["closed"] is False


def brightness(color):
    return sum(map(int, color.removeprefix("rgb(").removesuffix(")").split(",")))


def test_it_is_dark_for_who_prefers_that(report, seen):
    dark = look(report, {"width": 800, "height": 900, "script": SEEN}, dark=True)["values"][0]
    light = seen["values"][0]
    assert brightness(light["paper"]) > 700 > 200 > brightness(light["ink"])
    assert brightness(dark["paper"]) < 100 < 600 < brightness(dark["ink"])
    assert light["curve"] != dark["curve"]
