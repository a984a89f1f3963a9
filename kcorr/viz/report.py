"""A run, or several beside each other, as one HTML file that needs nothing else."""

import re

from kcorr.io import atomic_write
from kcorr.viz._chart import chart
from kcorr.viz._embed import embedded
from kcorr.viz._measures import best, better, formatted, heading, number, tables
from kcorr.viz._page import escape, page, sortable_table
from kcorr.viz.runs import Run, read_run

_GROUPS = 24  # of pictures; a page has to be one that opens
_BETWEEN = 6  # pictures of a training shown between its first and its last
# Keys of a log that are no curve, and flags that every absl program has.
_NO_CURVE = {"step", "epoch", "seconds", "epe_zero", "val_epe_zero"}
_ABSL = re.compile(
    "(no)?(help(full|short|xml)?|only_check_(args|flags)|pdb(_post_mortem)?|run_with_(pdb|profiling)"
    "|profile_file|use_cprofile_for_profiling|alsologtostderr|logtostderr|log_dir|logger_levels"
    "|showprefixforinfo|stderrthreshold|verbosity|test_\\w+|xml_output_file|flagfile|undefok"
    "|op_conversion_fallback_to_while_loop|(hbm|runtime)_oom_exit|delta_threshold|tt_\\w+|v)"
)


def write_report(path, sources, title=None):
    """Writes a report: the numbers, curves, pictures and settings of one run or of several.

    The file is complete: style, script and pictures are in it, and the browser may load nothing
    else. It appears under its name only once it is whole.

    Args:
        path: where the .html goes; its folder must exist.
        sources: at least one `Run`, or what `read_run` reads: a working directory of a recipe, or
            the file of `kcorr evaluate --json`.
        title: heading; None names the runs.

    Raises:
        ValueError: no source.
        FileNotFoundError: a source, or the folder of path, does not exist.
        FormatError: a source that is no run.
    """
    runs = [one if isinstance(one, Run) else read_run(one) for one in sources]
    text = report_html(runs, title)
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def report_html(runs, title=None):
    """The report as text, see `write_report`.

    Tables sort by a click on a heading, and the best value of each measure is marked (endpoint
    error, outliers and losses: the lowest). The curves of all runs are drawn over each other, and
    their pictures of one name stand side by side: two of them can be laid over each other.

    Args:
        runs: list of `Run`.
        title: plain text, or None.

    Returns:
        str.

    Raises:
        ValueError: no run, or a picture that is an array of another shape or type.
    """
    if not runs:
        raise ValueError("there are no runs, expected at least one")
    names = _distinct([str(run.name) for run in runs])
    notes = [f"{name}: {note}" for name, run in zip(names, runs, strict=True) for note in run.notes]
    sections = [
        ("Numbers", _numbers(names, runs)),
        ("Curves", _curves(names, runs)),
        ("Pictures", _pictures(names, runs, notes)),
        ("Settings", _settings(names, runs)),
    ]
    if notes:
        items = "".join(f"<li>{escape(note)}</li>" for note in notes)
        sections.append(("Notes", f"<ul>{items}</ul>"))
    sections = [(head, text) for head, text in sections if text]
    links = "".join(f'<a href="#{head.lower()}">{head}</a>' for head, _ in sections)
    body = [f'<p class="soft">{escape(_summary(names))}</p>', f"<nav>{links}</nav>"]
    body += [f'<h2 id="{head.lower()}">{head}</h2>\n{text}' for head, text in sections]
    if not sections:
        body.append("<p>There is nothing to show yet.</p>")
    return page(title or ", ".join(names), "\n".join(body))


def _summary(names):
    if len(names) == 1:
        return "kcorr report of one run"
    return f"kcorr report of {len(names)} runs: {', '.join(names)}"


def _distinct(names):
    """The names, with (2), (3) behind those that were there before."""
    seen, out = {}, []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        out.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return out


# === Numbers ===


def _numbers(names, runs):
    titles = list(dict.fromkeys(title for run in runs for title in run.results))
    parts = []
    for title in titles:
        table = tables(_rows(title, names, runs))
        if table:
            title = title or ("Overall" if len(titles) > 1 else "")
            parts += [f"<h3>{escape(title)}</h3>" if title else "", table]
    parts.append(_images(names, runs))
    return "\n".join(part for part in parts if part)


def _rows(title, names, runs):
    """(label, values) of every method of every run; what all runs have alike stands there once."""
    rows = []
    methods = [run.results.get(title, {}) for run in runs]
    for name, here in zip(names, methods, strict=True):
        for method, values in here.items():
            twins = [other[method] for other in methods if method in other]
            if method and len(twins) > 1 and all(_alike(values, one) for one in twins):
                label = method
            else:
                label = name if method in ("", name) else method
                if len(runs) > 1 and label != name:
                    label = f"{method} ({name})"
            if label not in [known for known, _ in rows]:
                rows.append((label, values))
    return rows


def _alike(one, other):
    """Equal but for the time that was taken."""
    return {**one, "seconds": 0} == {**other, "seconds": 0}


def _images(names, runs):
    """Numbers picture by picture: all measures of one run, or one measure of several."""
    having = [(name, run.images) for name, run in zip(names, runs, strict=True) if run.images]
    if not having:
        return ""
    if len(having) == 1:
        table = tables(list(having[0][1].items()), "picture", marks=False)
        return f"<h3>Each picture</h3>\n{table}" if table else ""
    pictures = list(dict.fromkeys(picture for _, images in having for picture in images))
    measures = list(
        dict.fromkeys(key for _, images in having for row in images.values() for key in row)
    )
    measure = next((key for key in measures if better(key)), measures[0] if measures else "")
    values = [
        [number(images.get(picture, {}).get(measure)) for _, images in having]
        for picture in pictures
    ]
    texts = iter(formatted([one for row in values for one in row]))
    rows = []
    for picture, row in zip(pictures, values, strict=True):
        winner = best(row, better(measure))
        cells = [(next(texts), one, winner is not None and one == winner) for one in row]
        rows.append((picture, *cells))
    table = sortable_table(["picture", *(name for name, _ in having)], rows)
    return f"<h3>Each picture: {escape(heading(measure))}</h3>\n{table}"


# === Curves ===


def _curves(names, runs):
    keys = list(dict.fromkeys(key for run in runs for entry in run.log for key in entry))
    charts = []
    for key in sorted(set(keys) - _NO_CURVE, key=lambda key: _rank(key, keys)):
        lines = [
            (name, slot, [(entry["step"], number(entry.get(key))) for entry in run.log])
            for slot, (name, run) in enumerate(zip(names, runs, strict=True))
            if any(key in entry for entry in run.log)
        ]
        if key == "skipped_steps" and not any(y for *_, points in lines for _, y in points):
            continue
        charts.append(chart(key, lines))
    charts = [one for one in charts if one]
    return f'<div class="tiles charts">{"".join(charts)}</div>' if charts else ""


def _rank(key, keys):
    """Losses first, each with its validation; what says little about the learning last."""
    plain = key.removeprefix("val_")
    order = {"loss": 0, "epe": 1, "gradient_norm": 3, "learning_rate": 4, "skipped_steps": 5}
    place = keys.index(plain) if plain in keys else len(keys)
    return order.get(plain, 2), place, plain, key != plain


# === Pictures ===


def _pictures(names, runs, notes):
    groups = list(dict.fromkeys(group for run in runs for group, _, _ in run.pictures))
    parts = []
    for group in groups[:_GROUPS]:
        entries = [
            (name, [entry[1:] for entry in run.pictures if entry[0] == group])
            for name, run in zip(names, runs, strict=True)
        ]
        entries = [(name, found) for name, found in entries if found]
        alone = len(runs) == 1
        text = _one_run(entries[0][1], notes) if alone else _several_runs(entries, notes)
        parts.append(f"<h3>{escape(group)}</h3>\n{text}" if text else "")
    if len(groups) > _GROUPS:
        parts.append(f'<p class="soft">{len(groups) - _GROUPS} more pictures are left out.</p>')
    return "\n".join(part for part in parts if part)


def _one_run(entries, notes):
    """All pictures of a group; of a training the first and the last, and some between folded."""
    if not all(caption.startswith("step ") for caption, _ in entries) or len(entries) < 3:
        return _tiles(entries, notes)
    inner = entries[1:-1]
    stride = -(-len(inner) // _BETWEEN)
    folded = _tiles(inner[::stride], notes)
    return (
        f"{_tiles([entries[0], entries[-1]], notes)}\n"
        f"<details><summary>between them</summary>{folded}</details>"
    )


def _several_runs(entries, notes):
    """The last picture of a training, or every picture of another group, of each run."""
    shown = []
    for name, found in entries:
        steps = all(caption.startswith("step ") for caption, _ in found)
        for caption, picture in found[-1:] if steps else found:
            shown.append((f"{name}, {caption}" if caption else name, picture))
    return _tiles(shown, notes)


def _tiles(entries, notes):
    """Pictures in a grid; two of one size can be laid over each other."""
    figures, sizes = [], []
    for caption, picture in entries:
        try:
            url, width, height = embedded(picture)
        except ValueError as error:
            if hasattr(picture, "shape"):
                raise
            notes.append(f"{picture}: cannot be read as a picture ({error})")
            continue
        sizes.append((width, height))
        small = ' class="small"' if width < 240 else ""
        figures.append(
            f'<figure><img{small} src="{url}" width="{width}" height="{height}" '
            f'alt="{escape(caption)}"><figcaption>{escape(caption)}</figcaption></figure>'
        )
    if not figures:
        return ""
    pair = " pair" if len(figures) == 2 and sizes[0] == sizes[1] else ""
    return f'<div class="tiles{pair}">{"".join(figures)}</div>'


# === Settings ===


def _settings(names, runs):
    settings = _flags(runs)
    keys = sorted({key for flags in settings for key in flags if not _ABSL.fullmatch(key)})
    rows = [(key, *((flags.get(key, "-"), "words", False) for flags in settings)) for key in keys]
    if not rows:
        return ""
    if len(runs) == 1:
        table = sortable_table(["flag", "value"], rows)
        return f"<details><summary>{len(rows)} settings</summary>{table}</details>"
    differing = [row for row in rows if len({text for text, _, _ in row[1:]}) > 1]
    equal = [row[:2] for row in rows if row not in differing]
    parts = [sortable_table(["flag", *names], differing)] if differing else []
    if equal:
        table = sortable_table(["flag", "all runs"], equal)
        parts.append(f"<details><summary>{len(equal)} equal settings</summary>{table}</details>")
    return "\n".join(parts)


def _flags(runs):
    """The flags of each run, on and off written out.

    In absl's file a flag that is off has "no" before its name, as some names have of themselves:
    only another run can tell which one it is.
    """
    bare = {key for run in runs for key, value in run.flags.items() if not value}
    settings = []
    for run in runs:
        flags = {}
        for key, value in run.flags.items():
            off = key in bare and key.startswith("no") and key[2:] in bare
            if off:
                flags[key[2:]] = "off"
            else:
                flags[key] = value or ("on" if f"no{key}" in bare else "set")
        settings.append(flags)
    return settings
