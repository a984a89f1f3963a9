"""`kcorr evaluate --html`: the page of an evaluation."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from kcorr import viz
from kcorr.io import write_disparity, write_flow


@pytest.fixture
def three(tmp_path):
    """Folders truth and result with pictures a, b, c of EPE 1, 9 and 4."""
    for name, error in (("a", 1.0), ("b", 9.0), ("c", 4.0)):
        for folder, flow in (("truth", 5.0), ("result", 5.0 + error)):
            (tmp_path / folder).mkdir(exist_ok=True)
            write_flow(tmp_path / folder / f"{name}.flo", np.full((6, 8, 2), [flow, 0.0]))
    return tmp_path


def shown(path):
    """[(heading, [(caption, picture), ...]), ...] of the page's pictures."""
    html = path.read_text(encoding="utf-8").partition('id="pictures"')[2]
    found = []
    for part in html.split("<h3>")[1:]:
        pictures = re.findall(r'base64,([^"]+)".*?<figcaption>([^<]*)<', part)
        decoded = [
            (caption, np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")))
            for data, caption in pictures
        ]
        found.append((part.partition("<")[0], decoded))
    return found


def test_the_page_shows_the_worst_pictures_first(kcorr, three):
    page = three / "page.html"
    result = kcorr("evaluate", three / "result", three / "truth", "--html", page, "--pictures", 2)
    assert (result.status, result.err) == (0, "")
    text = page.read_text(encoding="utf-8")
    assert "<h1>result against truth</h1>" in text and ">4.67<" in text
    assert text.index("Mean of the pictures") < text.index("All pixels of all pictures")
    pictures = shown(page)
    assert [name for name, _ in pictures] == ["b", "c"]
    (truth_caption, truth), (_, said), (_, error) = pictures[0][1]
    assert truth_caption == "truth, full colour at 5 px"
    assert (truth == viz.flow_to_color(np.full((6, 8, 2), [5.0, 0.0]), 5)).all()
    assert (said == truth).all(), "longer vectors keep the full colour of their direction"
    assert (error == (253, 174, 97)).all(), "9 px: the bin of 2 to 4 times 3 px"


def test_no_pictures_when_none_are_wanted(kcorr, three):
    page = three / "page.html"
    done = kcorr("evaluate", three / "result", three / "truth", "--html", page, "--pictures", 0)
    assert done.status == 0
    assert shown(page) == [] and "Each picture" in page.read_text(encoding="utf-8")


def test_disparity_and_hidden_pixels(kcorr, tmp_path):
    truth, wrong = np.full((4, 6), 20.0), np.full((4, 6), 20.0)
    truth[0] = np.nan  # unknown
    wrong[1] = 40.0
    write_disparity(tmp_path / "truth.pfm", truth)
    write_disparity(tmp_path / "said.pfm", wrong)
    write_disparity(tmp_path / "noc.pfm", np.where(np.arange(6) < 3, truth, np.nan))
    files = [tmp_path / "said.pfm", tmp_path / "truth.pfm"]
    options = ["--disparity", "--noc", tmp_path / "noc.pfm", "--html", tmp_path / "p.html"]
    assert kcorr("evaluate", *files, *options).status == 0
    text = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert "D1 all %" in text and "Fl all" not in text
    [(_, [(caption, _), _, (_, error)])] = shown(tmp_path / "p.html")
    assert caption == "truth, up to 20 px"
    assert (error[0] == 0).all(), "unknown"
    assert (error[2:, :3] == (49, 54, 149)).all() and (error[2:, 3:] == (24, 27, 74)).all()
    assert (error[1, :3] == (244, 109, 67)).all(), "20 px: 6.7 times 3 px"


def test_large_pictures_are_made_smaller_without_mixing_colours(kcorr, tmp_path):
    truth = np.zeros((4, 2000, 2))
    said = truth.copy()
    said[:, ::2] = 2.0
    write_flow(tmp_path / "truth.flo", truth)
    write_flow(tmp_path / "said.flo", said)
    files = [tmp_path / "said.flo", tmp_path / "truth.flo"]
    assert kcorr("evaluate", *files, "--html", tmp_path / "p.html").status == 0
    [(_, pictures)] = shown(tmp_path / "p.html")
    error = pictures[2][1]
    assert error.shape == (2, 667, 3)
    colors = {tuple(one) for one in error.reshape(-1, 3).tolist()}
    assert colors == {(49, 54, 149), (224, 243, 248)}


def test_a_hole_in_the_prediction_can_be_drawn(kcorr, tmp_path):
    valid = np.ones((6, 8, 1))
    valid[0] = 0
    write_flow(tmp_path / "truth.flo", np.zeros((6, 8, 2)))
    write_flow(tmp_path / "said.png", np.zeros((6, 8, 2)), valid)
    files = [tmp_path / "said.png", tmp_path / "truth.flo"]
    assert kcorr("evaluate", *files, "--html", tmp_path / "p.html").status == 0
    [(_, [_, (_, said), (_, error)])] = shown(tmp_path / "p.html")
    assert (said[0] == 0).all() and (said[1:] == 255).all()
    assert (error[0] == (165, 0, 38)).all() and (error[1:] == (49, 54, 149)).all()
    assert "∞" in (tmp_path / "p.html").read_text(encoding="utf-8")


def test_what_is_refused(refused, three):
    pair = [three / "result", three / "truth"]
    line = refused("evaluate", *pair, "--html", three / "none" / "p.html")
    assert "none/p.html: the folder" in line
    line = refused("evaluate", *pair, "--html", three / "truth")
    assert line.endswith("truth: is a folder; expected a file for the output")
    for count in ("-1", "x", "1.5"):
        assert "whole number from 0" in refused("evaluate", *pair, f"--pictures={count}")
    assert not list(three.glob("*.html"))
