"""JSON that every reader takes: the standard has no infinity."""

import math


def plain_json(tree):
    """Numbers that JSON has not become text, which `kcorr.viz.read_run` takes for numbers again.

    Args:
        tree: dicts, lists and tuples of what `json` can write.

    Returns:
        The same, in which floats that are not finite are "inf", "-inf" and "nan". Python's `json`
        would write Infinity and NaN, which most other readers refuse.
    """
    if isinstance(tree, dict):
        return {key: plain_json(branch) for key, branch in tree.items()}
    if isinstance(tree, list | tuple):
        return [plain_json(branch) for branch in tree]
    return str(tree) if isinstance(tree, float) and not math.isfinite(tree) else tree
