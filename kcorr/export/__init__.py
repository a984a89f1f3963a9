"""SavedModels for TF Serving: signatures, warm-up requests, a model card, and a client.

The client needs numpy alone; nothing here imports TensorFlow before `export_network` is asked for.
"""

import importlib

_NAMES = {
    "ask_grpc": "client",
    "ask_rest": "client",
    "export_flow": "saved_model",
    "export_network": "saved_model",
    "next_version": "saved_model",
    "predict_grpc": "client",
    "predict_rest": "client",
}
__all__ = [
    "ask_grpc", "ask_rest", "client", "export_flow", "export_network", "next_version",
    "predict_grpc", "predict_rest",
]  # fmt: skip


def __getattr__(name):
    if name in _NAMES:
        return getattr(importlib.import_module(f"kcorr.export.{_NAMES[name]}"), name)
    if name == "client":
        return importlib.import_module("kcorr.export.client")
    raise AttributeError(f"module 'kcorr.export' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__])
