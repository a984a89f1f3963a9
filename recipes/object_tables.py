"""Tables of what networks of object structure were measured to do."""

DEVIATION = ", deviation"  # behind a measure: that of the draws whose mean it is


def table(title, results, papers=None):
    """A rich table, a row for each measure: there are few networks and many measures.

    Args:
        title: of the table.
        results: {network: {measure: number}}; a deviation is shown beside its measure.
        papers: the same, what a paper reports of data of its own; shown in brackets.
    """
    from rich.table import Table

    measures = list(dict.fromkeys(key for result in results.values() for key in result))
    out = Table("", *results, title=title)
    for column in out.columns[1:]:
        column.justify = "right"
    for measure in (one for one in measures if not one.endswith(DEVIATION)):
        cells = []
        for name, result in results.items():
            cell = f"{result[measure]:.2f}" if measure in result else "-"
            if measure + DEVIATION in result:
                cell += f" ± {result[measure + DEVIATION]:.2f}"
            theirs = (papers or {}).get(name, {}).get(measure)
            cells.append(cell if theirs is None else f"{cell} (paper: {theirs:g})")
        out.add_row(measure, *cells)
    return out
