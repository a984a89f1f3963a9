"""Runs a SavedModel with TensorFlow alone, where keras and kcorr do not exist.

Called in a process of its own, with arguments and array names as of `_c_api.py`:
    python -S _plain_tensorflow.py SAVED_MODEL REQUESTS.npz ANSWERS.npz
"""

import importlib.util
import sys

import numpy as np

for missing in ("keras", "kcorr"):
    if importlib.util.find_spec(missing) is not None:
        sys.exit(f"{missing} can be imported: this process proves nothing")

import tensorflow as tf  # noqa: E402


def main(path, requests, answers):
    model = tf.saved_model.load(path)
    asked, found = {}, {}
    with np.load(requests) as file:
        for key in file.files:
            case, signature, name = key.split("|")
            asked.setdefault((case, signature), {})[name] = tf.constant(file[key])
    for (case, signature), inputs in asked.items():
        for name, value in model.signatures[signature](**inputs).items():
            found[f"{case}|{signature}|{name}"] = value.numpy()
    np.savez(answers, **found)
    print("imported:", *[name for name in ("keras", "kcorr") if name in sys.modules])


if __name__ == "__main__":
    main(*sys.argv[1:])
