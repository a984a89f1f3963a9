"""Time and memory of deep matching on a pair of 1024x436, each form in a process of its own.

    python -c 'from recipes.benchmark_matching import main; main("HOG, half size")'

Memory is the highest resident set of the whole process, TensorFlow and start-up included.
"""

import time

from recipes.benchmark_memory import kilobytes, printed_by

# {form: (arguments of the network, megabytes that it may take)}
FORMS = {
    "HOG, half size": ({"descriptor": "hog"}, 1536),
    "CNN, full size": ({"descriptor": "small"}, 4096),
}
SIZE, RADIUS = (436, 1024), 80
SMOKE_SIZE, SMOKE_RADIUS = (48, 64), 8


def main(form, threads=2, smoke=False):
    """Prints milliseconds and megabytes of one form."""
    import numpy as np
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    from kcorr.models import DeepMatching

    size, radius = (SMOKE_SIZE, SMOKE_RADIUS) if smoke else (SIZE, RADIUS)
    network = DeepMatching(**FORMS[form][0], radius=radius)
    network.build()
    rng = np.random.default_rng(0)
    pair = {key: rng.random((1, *size, 3), "float32") for key in ("image1", "image2")}
    small = {key: image[:, :32, :32] for key, image in pair.items()}
    network(small)["points2"].numpy()
    start = time.perf_counter()
    network(pair)["points2"].numpy()
    print((time.perf_counter() - start) * 1e3, kilobytes("VmHWM") / 1024)


def rows(threads, smoke):
    """Rows of the benchmark's table: the time of each form, and its memory beside its limit."""
    height, width = SMOKE_SIZE if smoke else SIZE
    case = f"deep matching {width}x{height}, radius {SMOKE_RADIUS if smoke else RADIUS}"
    times, memory = [], []
    for form, (_, limit) in FORMS.items():
        call = f"main({form!r}, {threads}, {smoke})"
        milliseconds, megabytes = printed_by(
            "recipes.benchmark_matching", call, f"deep matching, {form}"
        )
        times.append(
            {
                "case": case,
                "form": form,
                "milliseconds": round(milliseconds, 3),
                "times_faster": None,
                "target": None,
            }
        )
        memory.append(
            {
                "case": f"{case}, memory",
                "form": f"{form} (limit {limit} MB)",
                "megabytes": round(megabytes, 3),
                "times_less": round(limit / megabytes, 2),
                "target": None if smoke else 1.0,
            }
        )
    return times + memory
