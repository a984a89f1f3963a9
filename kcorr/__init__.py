"""Dense correspondence without labels for TensorFlow and Keras 3.

Nothing heavy is imported here: `import kcorr` and `kcorr --help` answer at once, sub-packages and
`load` are resolved on first use (PEP 562).
"""

import importlib

__version__ = "0.1.0"

_SUBPACKAGES = (
    "cli", "datasets", "export", "io", "layers", "losses", "metrics", "models", "objectives",
    "ops", "pipelines", "schema", "viz",
)  # fmt: skip
__all__ = [*_SUBPACKAGES, "load"]


def __getattr__(name):
    if name in _SUBPACKAGES:
        return importlib.import_module(f"kcorr.{name}")
    if name == "load":
        return importlib.import_module("kcorr.models").load
    raise AttributeError(f"module 'kcorr' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__])
