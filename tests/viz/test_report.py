"""A report as a whole: what is in it, read without a browser, and what is refused."""

import json

import numpy as np
import pytest
from _strict_html import Page
from PIL import Image

from kcorr import viz
from kcorr.io import FormatError

RED, BLUE = (np.full((20, 30, 3), color, np.uint8) for color in ((200, 20, 20), (20, 20, 200)))
EVIL = "<script>document.title = 'owned'</script>\"'&\x00\ud800"


@pytest.fixture
def workdir(tmp_path):
    """Function of a name and a loss: a working directory as recipes leave it."""

    def make(name, loss):
        folder = tmp_path / name
        (folder / "pictures").mkdir(parents=True)
        metrics = {"scenes": {"net": {"epe_all": loss}, "DIS": {"epe_all": 2.5, "seconds": loss}}}
        (folder / "metrics.json").write_text(json.dumps(metrics))
        lines = [{"step": 10 * i, "loss": loss / (i + 1), "val_epe": None} for i in range(5)]
        (folder / "log.jsonl").write_text("\n".join(map(json.dumps, lines)) + '\n{"step": 5')
        (folder / "flags.txt").write_text(f"--seed={loss}\n--smoke\n--noprogress\n--nohelp\n")
        for step in (0, 10, 20):
            Image.fromarray(RED).save(folder / "pictures" / f"flow_{step:08d}.png")
        Image.fromarray(BLUE).save(folder / "pictures" / "scene_1.png")
        return folder

    return make


def test_a_run_is_read_from_its_working_directory(workdir):
    folder = workdir("one", 3)
    (folder / "pictures" / "notes.txt").write_text("no picture")
    (folder / "pictures" / ".half.png").write_bytes(b"")
    run = viz.read_run(folder)
    assert run.name == "one"
    assert run.results["scenes"] == {
        "net": {"epe_all": 3}, "DIS": {"epe_all": 2.5, "seconds": 3},
    }  # fmt: skip
    assert [entry["step"] for entry in run.log] == [0, 10, 20, 30, 40]
    assert run.flags["seed"] == "3" and run.flags["smoke"] == ""
    assert [(group, caption) for group, caption, _ in run.pictures] == [
        ("flow", "step 0"), ("flow", "step 10"), ("flow", "step 20"), ("scene_1", ""),
    ]  # fmt: skip
    assert run.notes == [], "a half-written last line is how a killed run ends"


def test_numbers_may_lie_at_any_depth(tmp_path):
    tree = {"loss": 1, "note": "text", "data": {"net": {"epe": "inf", "list": [1]}, "n": 3}}
    (tmp_path / "metrics.json").write_text(json.dumps(tree))
    results = viz.read_run(tmp_path, "name").results
    assert results == {"": {"": {"loss": 1}, "data": {"n": 3}}, "data": {"net": {"epe": "inf"}}}


def test_a_damaged_log_is_used_and_mentioned(workdir):
    folder = workdir("one", 3)
    log = (folder / "log.jsonl").read_bytes().splitlines()
    log[1:3] = [b'{"step": ', b"\xff\xfe"]
    (folder / "log.jsonl").write_bytes(b"\n".join(log))
    run = viz.read_run(folder)
    assert [entry["step"] for entry in run.log] == [0, 30, 40]
    assert run.notes == ["log.jsonl: 2 lines cannot be read and are left out"]
    assert "one: log.jsonl: 2 lines" in viz.report_html([run])


def test_one_run_shows_numbers_curves_pictures_and_settings(workdir):
    page = Page(viz.report_html([viz.read_run(workdir("one", 3))]))
    assert page.of("h1") == ["one"] and page.of("title")[0] == "one"
    assert page.of("h2") == ["Numbers", "Curves", "Pictures", "Settings"]
    assert {"2.50", "3.00"} <= set(page.of("td"))
    assert page.count("figure", **{"class": "chart"}) == 1, "val_epe has no value"
    assert page.count("img") == 4 and page.count("div", **{"class": "tiles pair"}) == 1
    assert [text for text in page.of("figcaption") if text.startswith("step")] == [
        "step 0", "step 20", "step 10",
    ]  # fmt: skip
    assert page.of("summary")[-1] == "3 settings", "absl's own flags are left out"


def test_a_comparison_puts_runs_beside_each_other(workdir):
    runs = [viz.read_run(workdir(name, loss)) for name, loss in (("a", 3), ("b", 1))]
    html = viz.report_html(runs, "two")
    page = Page(html)
    assert page.of("h1") == ["two"]
    rows = [text for stack, text in page.texts if stack[-2:] == ("tr", "th")]
    assert rows[:3] == ["net (a)", "DIS", "net (b)"], "what all have alike stands there once"
    assert html.count('class="best"') == 1 and 'class="best">1.00<' in html
    assert page.of("h3")[1:] == ["flow", "scene_1"]
    assert page.count("div", **{"class": "tiles pair"}) == 2
    captions = page.of("figcaption")
    assert captions == ["loss", "a, step 20", "b, step 20", "a", "b"]
    settings = html.partition('id="settings"')[2].partition("<details>")[0]
    assert ">seed<" in settings and ">smoke<" not in settings


def test_flags_that_are_off_in_one_run_only_are_the_same_flag():
    runs = [viz.Run(name, flags=flags) for name, flags in (
        ("a", {"noise": "", "smoke": ""}), ("b", {"noise": "", "nosmoke": ""}),
    )]  # fmt: skip
    cells = Page(viz.report_html(runs)).of("td")
    assert cells == ["on", "off", "set"]


def test_picture_by_picture_the_best_run_is_marked(tmp_path):
    for name, errors in (("a", (1.0, 2.0)), ("b", (0.5, "inf"))):
        rows = [{"name": f"p{i}", "epe_all": e, "fl_all": 9.0} for i, e in enumerate(errors)]
        result = {"epe_all": 7, "epe_all_per_image": 7, "epe_all_per_pixel": 8, "missing": 5}
        content = {"kind": "disparity", "result": result, "images": rows}
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    runs = [viz.read_run(tmp_path / f"{name}.json") for name in "ab"]
    assert runs[0].results == {
        "Mean of the pictures": {"": {"epe_all": 7}},
        "All pixels of all pictures": {"": {"epe_all": 8, "missing": 5}},
    }
    assert runs[0].images["p1"] == {"epe_all": 2.0, "d1_all": 9.0}
    html = viz.report_html(runs).partition("Each picture: EPE all")[2]
    assert html.count('class="best"') == 2
    assert 'class="best">0.50<' in html and 'class="best">2.00<' in html and "∞" in html


def test_nothing_that_is_put_in_becomes_markup():
    run = viz.Run(
        EVIL,
        results={EVIL: {EVIL: {EVIL: 1.0}}},
        images={EVIL: {"epe_all": 1.0}},
        log=[{"step": 0, EVIL: 1.0}, {"step": 1, EVIL: 2.0}],
        flags={EVIL: EVIL},
        pictures=[(EVIL, EVIL, RED)],
        notes=[EVIL],
    )
    for html in (viz.report_html([run], EVIL), viz.report_html([run, run, viz.Run("x")], EVIL)):
        page = Page(html)
        assert page.count("script") == 1
        seen = "<script>document.title = 'owned'</script>\"'&\ufffd\ufffd"
        assert page.of("h1") == [seen] and page.of("title")[0] == seen
        assert sum(seen in text for _, text in page.texts) >= 8
        html.encode("utf-8")


def test_reports_are_the_same_every_time_and_written_whole(workdir, tmp_path):
    folders = [workdir("a", 3), workdir("b", 1)]
    out = tmp_path / "out"
    out.mkdir()
    viz.write_report(out / "report.html", folders)
    first = (out / "report.html").read_bytes()
    viz.write_report(out / "report.html", [viz.read_run(one) for one in folders])
    assert (out / "report.html").read_bytes() == first
    (folders[1] / "metrics.json").write_text("{")
    with pytest.raises(FormatError, match=r"metrics\.json: is no JSON"):
        viz.write_report(out / "report.html", folders)
    assert (out / "report.html").read_bytes() == first
    assert [path.name for path in out.iterdir()] == ["report.html"]


def test_a_picture_that_cannot_be_read_is_mentioned(workdir):
    folder = workdir("one", 3)
    (folder / "pictures" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    page = Page(viz.report_html([viz.read_run(folder)]))
    assert page.count("img") == 4
    [note] = page.of("li")
    assert "broken.png: cannot be read as a picture" in note


def test_many_pictures_are_cut_short():
    run = viz.Run("r", pictures=[(f"p{i:03}", "", RED) for i in range(40)])
    html = viz.report_html([run])
    assert Page(html).count("img") == 24 and "16 more pictures are left out" in html


def test_what_is_refused(tmp_path):
    out = tmp_path / "report.html"
    with pytest.raises(ValueError, match="no runs"):
        viz.write_report(out, [])
    with pytest.raises(FileNotFoundError, match="nowhere: no such file or folder"):
        viz.write_report(out, [tmp_path / "nowhere"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(FormatError, match=r"empty: is no run; expected a folder with one of"):
        viz.write_report(out, [tmp_path / "empty"])
    (tmp_path / "list.json").write_text("[1]")
    with pytest.raises(FormatError, match="holds a list; expected a JSON object"):
        viz.read_run(tmp_path / "list.json")
    with pytest.raises(ValueError, match="shape"):
        viz.report_html([viz.Run("r", pictures=[("a", "", np.zeros((3, 3, 2)))])])
    with pytest.raises(FileNotFoundError, match="missing does not exist"):
        viz.write_report(tmp_path / "missing" / "a.html", [viz.Run("r")])
    assert "nothing to show yet" in viz.report_html([viz.Run("r")])
    assert not out.exists()
