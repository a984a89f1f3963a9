"""Makes the shared test helpers importable as plain modules (`from _gradients import gradient`).

There is no `tests/__init__.py`: test files are found by path, so their basenames must be unique.
"""

import os
import sys
from pathlib import Path

# TensorFlow's start-up notes say nothing about the test at hand.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

sys.path.insert(0, str(Path(__file__).parent))
