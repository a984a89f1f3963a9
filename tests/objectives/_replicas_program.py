"""Run by test_replicas.py in a process of its own: two logical devices must be asked for before
TensorFlow starts. Prints what it found as one JSON object on the last line."""

import json
import sys
import tempfile

import keras
import numpy as np
import tensorflow as tf
from _toy_objective import fit, state, toy, toy_arrays

from kcorr.objectives import Checkpoints, FusedAdam, averaged
from kcorr.objectives.steps import update_count

CPU = tf.config.list_physical_devices("CPU")[0]


def dataset(count, batch, bad=None):
    arrays = toy_arrays(count)
    if bad is not None:
        arrays["x"][bad] = np.nan
    return tf.data.Dataset.from_tensor_slices(arrays).batch(batch)


def run(strategy, data, dtype="float32", validate=True, **kwargs):
    with strategy.scope():
        optimizer = FusedAdam(1e-2, weight_decay=0.004, use_ema=True, ema_momentum=0.9)
        objective = toy(optimizer, dtype=dtype, **kwargs)
    history = fit(objective, data, validation_data=data if validate else None, epochs=2)
    return objective, history


def compare(one, two):
    """Largest differences of the states and of the logs, and the counters of both."""
    states = [max(np.abs(a - b).max() for a, b in zip(state(one[0]), state(two[0]), strict=True))]
    logs = [np.abs(np.subtract(one[1][name], two[1][name])).max() for name in one[1]]
    counters = [[update_count(run[0]), *run[1]["skipped_steps"]] for run in (one, two)]
    return {"state": float(max(states)), "logs": float(max(logs)), "counters": counters}


def averages_and_checkpoints(strategy):
    """Whether averages come and go, and a checkpoint of replicas comes back, exactly."""
    with tempfile.TemporaryDirectory() as folder, strategy.scope():
        saved, restored = toy(), toy()
        fit(saved, dataset(24, 6), callbacks=[Checkpoints(folder, best="loss")])
        before = state(saved)
        with averaged(saved) as holds:
            pass
        back = all(np.array_equal(a, b) for a, b in zip(before, state(saved), strict=True))
        step = Checkpoints(folder).restore(restored)
        optimizers = [[v.numpy() for v in o.optimizer.variables] for o in (saved, restored)]
    same = all(np.array_equal(a, b) for a, b in zip(*optimizers, strict=True))
    return {"holds": holds, "back": back, "step": step, "same": same}


def refusals(strategy):
    """{name: what compiling says} of what works on one device only."""
    adam = keras.optimizers.Adam
    cases = {
        "xla": lambda: toy(jit_compile=True),
        "accumulation": lambda: toy(adam(gradient_accumulation_steps=2), clip_norm=None),
        "clipping": lambda: toy(adam(global_clipnorm=1.0)),
    }
    said = {}
    for name, make in cases.items():
        try:
            with strategy.scope():
                make()
        except ValueError as error:
            said[name] = str(error)
    return said


def main():
    tf.config.set_logical_device_configuration(CPU, [tf.config.LogicalDeviceConfiguration()] * 2)
    alone, pair = tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    half, bad = {"dtype": "mixed_float16"}, dataset(24, 6, bad=7)
    cases = {
        "clipped, last batch uneven": {"data": dataset(23, 8), "clip_norm": 0.01},
        "bad example": {"data": bad, "validate": False},
        "float16, bad example": {"data": bad, "validate": False, **half},
    }
    found = {name: compare(run(alone, **case), run(pair, **case)) for name, case in cases.items()}
    found["averages and checkpoints"] = averages_and_checkpoints(pair)
    found["refusals"] = refusals(pair)
    print(json.dumps(found))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
