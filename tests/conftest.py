"""Makes the shared test helpers importable as plain modules (`from _gradients import gradient`).

There is no `tests/__init__.py`: test files are found by path, so their basenames must be unique.
"""

import os
import sys
from pathlib import Path

# TensorFlow's start-up notes say nothing about the test at hand.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

sys.path.insert(0, str(Path(__file__).parent))


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "tensorflow_only: needs tf.function or the like, left out under another backend"
    )


def pytest_collection_modifyitems(config, items):
    """Puts files with slow tests first, and leaves `tensorflow_only` ones out elsewhere.

    Two processes share the files: a long one that begins last would keep one of them waiting.
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)  # stable
    marked = [item for item in items if item.get_closest_marker("tensorflow_only")]
    if not marked:
        return
    import keras

    if keras.backend.backend() != "tensorflow":
        config.hook.pytest_deselected(items=marked)
        items[:] = [item for item in items if item not in set(marked)]
