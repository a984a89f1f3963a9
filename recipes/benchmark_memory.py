"""How much memory a form of `expected_distance` takes, forward and backward, in megabytes.

    python -c 'from recipes.benchmark_memory import main; main(["kcorr"])'

`recipes.benchmark` does this once for each form (but in a smoke), because what one form has freed
stays with the process and would hide what the next one takes. TensorFlow tells the peak of its own
allocations on accelerators only, so that the resident set is what counts: its highest value while
the form runs, less its value before, with all inputs there and everything started by a run on tiny
ones.
"""

import subprocess
import sys
from pathlib import Path

STATUS = Path("/proc/self/status")


def main(forms, threads=2, smoke=False):
    """Prints the megabytes of each form, line by line; `smoke` takes tiny sizes."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    from recipes import benchmark_cases as cases

    for form in forms:
        print(megabytes(cases, form, smoke))


def megabytes(cases, form, smoke):
    """The rise of this process' resident set while the form runs."""
    import tensorflow as tf

    step = tf.function(cases.with_gradients(cases.DISTANCE_FORMS[form], watched=2), autograph=False)
    step(*cases.distance_inputs(smoke=True))
    inputs = cases.distance_inputs(smoke)
    step.get_concrete_function(*inputs)
    Path("/proc/self/clear_refs").write_text("5")  # the highest value starts anew (Linux)
    before = kilobytes("VmRSS")
    results = step(*inputs)
    results[0].numpy()
    return max(kilobytes("VmHWM") - before, 1) / 1024


def kilobytes(name):
    """A number of this process' status."""
    (line,) = [line for line in STATUS.read_text().splitlines() if line.startswith(name)]
    return int(line.split()[1])


def printed_by(module, call, what):
    """The numbers that a call of a function of `module` prints, in a process of its own.

    Raises:
        RuntimeError: it failed; the message begins with `what`.
    """
    program = f"from {module} import main; {call}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{what}: {done.stderr.strip()}")
    return list(map(float, done.stdout.split()))
