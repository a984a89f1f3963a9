"""A bar for what takes long."""

import sys


def progress(items, count, title, stack):
    """`items`, with a bar on a terminal.

    Args:
        items: what is gone through.
        count: how many they are.
        title: what the bar is called.
        stack: a `contextlib.ExitStack` that ends the bar.
    """
    if not sys.stderr.isatty():
        return items
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    bar = Progress(
        TextColumn(title),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    return stack.enter_context(bar).track(items, total=count)
