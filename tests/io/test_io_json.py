"""Numbers as JSON has them."""

import json

import numpy as np

from kcorr.io import plain_json


def test_what_json_cannot_say_becomes_text_at_any_depth():
    tree = {
        "a": {"epe": np.float64("inf"), "f": None},
        "b": [(1.5, -np.inf), {"n": np.nan}],
        "c": 2,
    }
    plain = plain_json(tree)
    assert plain == {"a": {"epe": "inf", "f": None}, "b": [[1.5, "-inf"], {"n": "nan"}], "c": 2}
    json.dumps(plain, allow_nan=False)
    assert tree["a"]["epe"] == np.inf  # a copy
