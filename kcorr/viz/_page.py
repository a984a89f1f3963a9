"""One self-contained HTML page: the frame that `report` fills, with its style and its script."""

import base64
import hashlib
import html
import re

_STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1c2126; --soft: #56606b; --line: #d5dbe1;
  --well: #f3f5f7; --best: #0a6245; --best-well: #dff2e9; --s0: #0068b5; --s1: #c2410c;
  --s2: #157f3c; --s3: #a21caf; --s4: #8a6a00; --s5: #0e7490; --s6: #b91c1c; --s7: #4c5a8a; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171a; --ink: #e6e9ec; --soft: #9aa5b0;
  --line: #343b42; --well: #1e2327; --best: #7fe0b5; --best-well: #133527; --s0: #5db3ff;
  --s1: #ff9a5c; --s2: #5fd38a; --s3: #e58cf0; --s4: #e0c04a; --s5: #52d1e6; --s6: #ff8a8a;
  --s7: #a9b5ea; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 80rem; margin: 0 auto; padding: 1rem clamp(.75rem, 3vw, 2rem) 4rem; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 1rem 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; padding-top: .5rem;
  border-top: 1px solid var(--line); overflow-wrap: anywhere; }
h3 { font-size: 1rem; margin: 1.5rem 0 .5rem; overflow-wrap: anywhere; }
p { margin: .5rem 0; overflow-wrap: anywhere; }
.soft, figcaption, summary { color: var(--soft); }
nav a { margin-right: 1rem; }
a { color: var(--s0); }
.wide { overflow-x: auto; max-width: 100%; margin: .75rem 0; border: 1px solid var(--line);
  border-radius: .4rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem; text-align: right; white-space: nowrap;
  border-top: 1px solid var(--line); }
thead th { border-top: 0; background: var(--well); font-weight: 600; }
th:first-child, td.words { text-align: left; }
tbody th { position: sticky; left: 0; background: var(--paper); font-weight: 400;
  min-width: min(14rem, 30vw); max-width: min(24rem, 45vw); white-space: normal;
  overflow-wrap: anywhere; }
th button { font: inherit; color: inherit; background: none; border: 0; padding: 0;
  cursor: pointer; }
th[aria-sort=ascending] button::after { content: " \\2191"; }
th[aria-sort=descending] button::after { content: " \\2193"; }
.best { color: var(--best); background: var(--best-well); font-weight: 700; }
details { margin: .75rem 0; }
summary { cursor: pointer; }
.tiles { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); }
.tiles.charts { grid-template-columns: repeat(auto-fill, minmax(min(100%, 22rem), 1fr)); }
figure { margin: 0; min-width: 0; }
figcaption { font-size: .9rem; overflow-wrap: anywhere; }
figure img { display: block; max-width: 100%; height: auto; border-radius: .25rem;
  cursor: zoom-in; }
figure img.small { width: 100%; image-rendering: pixelated; }
.over { grid-template-columns: minmax(0, 1fr); }
.over figure { grid-area: 1 / 1; }
.over figure + figure { clip-path: inset(0 0 0 var(--cut, 50%)); }
.over figure + figure figcaption { text-align: right; }
.over figure img { width: 100%; cursor: default; }
.slide { display: flex; gap: 1rem; align-items: center; margin: .5rem 0; }
.slide input { flex: 1; display: none; }
.slide.on input { display: block; }
button.plain { font: inherit; font-size: .9rem; padding: .2rem .7rem; border-radius: .3rem;
  border: 1px solid var(--line); background: var(--well); color: var(--ink); cursor: pointer; }
dialog { padding: 0; border: 0; max-width: 100vw; max-height: 100vh; background: #000; }
dialog::backdrop { background: #000c; }
dialog img { display: block; min-width: min(100vw, 60rem); max-width: none; cursor: zoom-out; }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--soft); font-size: 14px; }
svg .grid { stroke: var(--line); stroke-width: 1; }
svg .cursor { stroke: var(--soft); stroke-width: 1; visibility: hidden; }
svg path { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
svg .d1 { stroke-dasharray: 6 3; } svg .d2 { stroke-dasharray: 2 3; }
.keys { display: flex; flex-wrap: wrap; gap: .1rem 1rem; font-size: .85rem; }
.keys svg { display: inline-block; width: 1.6rem; height: .7rem; vertical-align: middle; }
output { display: block; min-height: 1.4em; font-size: .85rem; color: var(--soft);
  font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
""" + "".join(
    f".s{i} {{ stroke: var(--s{i}); }} svg .f{i} {{ fill: var(--s{i}); }}\n" for i in range(8)
)

_SCRIPT = """
"use strict";
for (const head of document.querySelectorAll("table.sortable thead th")) {
  head.querySelector("button").addEventListener("click", () => {
    const body = head.closest("table").tBodies[0], column = head.cellIndex;
    const up = head.getAttribute("aria-sort") !== "ascending";
    for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const key = row => row.cells[column].dataset.value ?? row.cells[column].textContent;
    const order = new Intl.Collator(undefined, { numeric: true });
    const compare = (a, b) => {
      const [x, y] = [key(a), key(b)];
      if (x === "" || y === "") return (x === "") - (y === "");
      const [p, q] = [Number(x), Number(y)];
      const sign = isNaN(p) || isNaN(q) ? order.compare(x, y) : p < q ? -1 : p > q ? 1 : 0;
      return up ? sign : -sign;
    };
    body.append(...[...body.rows].sort(compare));
  });
}
for (const chart of document.querySelectorAll("figure.chart")) {
  const data = JSON.parse(chart.dataset.chart), svg = chart.querySelector("svg.plot");
  const cursor = svg.querySelector(".cursor"), output = chart.querySelector("output");
  svg.addEventListener("pointermove", event => {
    const box = svg.getBoundingClientRect();
    const place = (event.clientX - box.left) / box.width * data.width;
    const share = Math.min(1, Math.max(0, (place - data.left) / (data.right - data.left)));
    const step = data.low + share * (data.high - data.low);
    const near = line => line.points.reduce(
      (a, b) => Math.abs(b[0] - step) < Math.abs(a[0] - step) ? b : a);
    const found = data.lines.map(near);
    const at = found.reduce((a, b) => Math.abs(b[0] - step) < Math.abs(a[0] - step) ? b : a)[0];
    const span = data.high - data.low || 1;
    const x = data.left + (at - data.low) / span * (data.right - data.left);
    cursor.setAttribute("x1", x); cursor.setAttribute("x2", x);
    cursor.style.visibility = "visible";
    const said = data.lines.map((line, i) =>
      found[i][0] === at ? (data.lines.length > 1 ? line.name + " " : "") +
      Number(found[i][1].toPrecision(4)) : null);
    output.textContent = data.axis + " " + at + ": " + said.filter(one => one !== null).join(", ");
  });
  svg.addEventListener("pointerleave", () => {
    cursor.style.visibility = "hidden"; output.textContent = "";
  });
}
for (const pair of document.querySelectorAll(".tiles.pair")) {
  const bar = document.createElement("div"), button = document.createElement("button");
  const range = document.createElement("input");
  bar.className = "slide"; button.className = "plain"; button.textContent = "lay over each other";
  range.type = "range"; range.value = 50; range.setAttribute("aria-label", "where they meet");
  range.addEventListener("input", () => pair.style.setProperty("--cut", range.value + "%"));
  button.addEventListener("click", () => {
    const over = pair.classList.toggle("over");
    bar.classList.toggle("on", over);
    button.textContent = over ? "side by side" : "lay over each other";
  });
  bar.append(button, range);
  pair.before(bar);
}
const dialog = document.createElement("dialog");
dialog.addEventListener("click", () => dialog.close());
document.body.append(dialog);
for (const image of document.querySelectorAll("figure img")) {
  image.addEventListener("click", () => {
    if (image.closest(".over")) return;
    const large = new Image();
    large.src = image.src; large.alt = image.alt;
    dialog.replaceChildren(large); dialog.showModal();
  });
}
"""
_FORBIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)


def escape(text):
    """Text for any place in the page, an attribute's quoted value too.

    Characters that HTML or UTF-8 forbids (control characters, the halves of surrogate pairs that
    stand for bytes of odd file names) become U+FFFD.
    """
    return html.escape(_FORBIDDEN.sub("\ufffd", str(text)), quote=True)


def page(title, body):
    """The whole document.

    The content security policy lets the browser load nothing but what is in the file, and run no
    script but ours: if a text should ever slip through unescaped, it still could not do anything.

    Args:
        title: plain text.
        body: HTML of what follows the heading.

    Returns:
        str, HTML 5, in UTF-8 once written.
    """
    digest = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'"
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>{escape(title)}</h1>
{body}
</main>
<script>{_SCRIPT}</script>
</body>
</html>
"""


def sortable_table(head, rows):
    """A table whose columns sort by a click on their heading.

    Args:
        head: texts, the first one over the rows' names.
        rows: each a name and cells: (text, value, best) with value a number, or None to sort last,
            or "words" for text that is read and not compared.

    Returns:
        HTML.
    """
    titles = "".join(
        f'<th scope="col"><button type="button">{escape(one)}</button></th>' for one in head
    )
    lines = []
    for name, *cells in rows:
        line = [f'<th scope="row" title="{escape(name)}">{escape(name)}</th>']
        for text, value, best in cells:
            if value == "words":
                line.append(f'<td class="words">{escape(text)}</td>')
                continue
            key = "" if value is None else repr(float(value)).replace("inf", "Infinity")
            kind = ' class="best"' if best else ""
            line.append(f'<td data-value="{key}"{kind}>{escape(text)}</td>')
        lines.append(f"<tr>{''.join(line)}</tr>")
    return (
        f'<div class="wide"><table class="sortable"><thead><tr>{titles}</tr></thead>\n'
        f"<tbody>{chr(10).join(lines)}</tbody></table></div>"
    )
