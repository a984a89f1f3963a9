"""What the training recipes share: flags, the working directory, resuming, the fit loop.

Nothing heavy is imported at the top: flags are checked first, then TensorFlow is loaded.
"""

import importlib.util
import json
import logging
import os
import sys
import traceback
import zlib
from pathlib import Path

from absl import app, flags

from recipes import leftovers

FLAGS = flags.FLAGS
POLICIES = ("float32", "mixed_bfloat16", "mixed_float16")
LEAVES_OUT = "; --on_error=skip leaves it out"  # said behind what cannot be read
# What `kcorr.models.build` knows, held to it by a test: asking it here would import Keras before
# the flags are checked.
NETWORKS = (
    "ddflow", "ddflow_small", "flownet_c", "flownet_c_small", "flownet_s", "flownet_s_small",
    "pwcnet", "pwcnet_published", "pwcnet_small", "recurrent", "recurrent_small", "selflow",
    "selflow_small", "spynet", "spynet_small",
)  # fmt: skip


class UserError(Exception):
    """Something the user can mend; shown as one line, without a traceback."""


def define_training_flags(
    steps, batch_size, learning_rate, size="192x256", init=None, networks=NETWORKS
):
    """Flags of every training recipe, with the recipe's own defaults; `size` None: no --size."""
    flags.DEFINE_string("workdir", None, "where everything this run writes goes", required=True)
    flags.DEFINE_integer("steps", steps, "training steps", lower_bound=1)
    flags.DEFINE_integer("epoch_steps", 250, "steps between two checkpoints", lower_bound=1)
    flags.DEFINE_integer("batch_size", batch_size, "examples a step", lower_bound=1)
    flags.DEFINE_float("learning_rate", learning_rate, "peak learning rate", lower_bound=0.0)
    default = "ddflow_small" if networks is NETWORKS else networks[0]
    flags.DEFINE_enum("network", default, networks, "which network learns")
    flags.DEFINE_string(
        "init", init, "weights to start from: .weights.h5, .keras or a shipped name"
    )
    flags.DEFINE_enum("dtype_policy", "float32", POLICIES, "Keras dtype policy of the network")
    flags.DEFINE_bool("jit_compile", False, "compile the whole training step with XLA")
    define_seed_flag("seed of data and weights")
    flags.DEFINE_bool("smoke", False, "a run of seconds that only shows that everything works")
    flags.DEFINE_bool("progress", True, "a progress bar, where there is a terminal")
    flags.DEFINE_bool("tensorboard", False, "write event files to WORKDIR/board")
    if size:
        flags.DEFINE_string("size", size, "training size, HEIGHTxWIDTH, at least 16x16")
        check_size("size")
    if networks is NETWORKS:
        flags.DEFINE_float("zoom", 1.0, "pictures are enlarged so many times for the network", 1, 4)
        flags.register_validator(
            "zoom", lambda zoom: zoom * 16 % 1 == 0, "--zoom takes sixteenths, such as 1.5"
        )
        flags.register_multi_flags_validator(
            ["zoom", "network"],
            lambda given: given["zoom"] == 1 or given["network"].startswith(("ddflow", "selflow")),
            "--zoom is for the networks ddflow, selflow and their small ones",
        )


def define_seed_flag(help_text):
    """--seed, in the range of NumPy's and Keras' seeds."""
    flags.DEFINE_integer("seed", 0, help_text, lower_bound=0, upper_bound=2**32 - 1)


def define_on_error_flag(what="picture"):
    """--on_error, for recipes that read the user's files; `what` may be broken."""
    flags.DEFINE_enum("on_error", "raise", ("raise", "skip"), f"what a broken {what} does")


def define_gamma_flag(without):
    """--gamma, for objectives that weigh the iterations of a recurrent network."""
    flags.DEFINE_float(
        "gamma",
        None,
        "recurrent networks: the flow of every iteration counts, this factor less than the one "
        f"after it (RAFT: 0.8); without it {without}",
        lower_bound=1e-6,
        upper_bound=1,
    )
    flags.register_multi_flags_validator(
        ["gamma", "network"],
        lambda given: given["gamma"] is None or given["network"].startswith("recurrent"),
        "--gamma weighs the iterations of a recurrent network: --network=recurrent_small",
    )


def parse_size(text):
    """ "HEIGHTxWIDTH" -> (height, width), or None if it is something else or below 16x16."""
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(part.isdigit() and int(part) >= 16 for part in parts):
        return None
    return int(parts[0]), int(parts[1])


def check_size(name):
    """The flag must be HEIGHTxWIDTH, if it is given."""
    flags.register_validator(
        name,
        lambda text: text is None or parse_size(text) is not None,
        f"--{name} must be HEIGHTxWIDTH, at least 16x16, for example 192x256",
    )


def check_choices(name, allowed):
    """Every entry of the list flag must be one of `allowed`."""
    flags.register_validator(
        name,
        lambda entries: set(entries) <= set(allowed),
        f"--{name} takes {', '.join(allowed)}, comma-separated",
    )


def check_paths(name):
    """The list flag must be left out or name paths."""
    flags.register_validator(
        name,
        lambda paths: paths is None or (bool(paths) and all(paths)),
        f"--{name} must name at least one path, and none that is empty",
    )


def training_size():
    """--size as (height, width)."""
    return parse_size(FLAGS.size)


def show(renderable):
    """Prints a rich table, wide enough for a log file where there is no terminal."""
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else 110).print(renderable)


def run(main):
    """Runs a recipe: flags are parsed and checked, user errors become one line and exit status 2.

    The process is ended by os._exit after its files are flushed: input pipelines that call Python
    hang TensorFlow's thread pools when the interpreter is torn down under them.
    """

    def guarded(argv):
        # absl has a handler of its own, which puts date, process and line before each message.
        logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr, force=True)
        code = 0
        try:
            if len(argv) > 1:
                raise UserError(f"unexpected argument {argv[1]!r}: options start with --")
            start_tensorflow()
            main()
        except KeyboardInterrupt:
            print("interrupted: start the same command again to go on", file=sys.stderr)
            code = 130
        except BaseException as error:
            line = what_to_mend(error)
            if line is None:
                traceback.print_exc()
            else:
                print(f"{Path(sys.argv[0]).stem}: {line}", file=sys.stderr)
            code = 1 if line is None else 2
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

    # absl's --help shows the flags of the main module only, and most of ours stand in others.
    for module, defined in FLAGS.flags_by_module_dict().items():
        if module.startswith("recipes."):
            for flag in defined:
                FLAGS.register_key_flag_for_module(sys.argv[0], flag)
    app.run(guarded)


def what_to_mend(error):
    """The line about an error that the user can mend; None for others, whose trace is wanted."""
    from kcorr.io import FormatError
    from recipes.records import stream_error

    # Where an optional package is missing, kcorr says how to install it.
    missing = isinstance(error, ImportError) and "pip install" in str(error)
    if missing or isinstance(error, (UserError, FormatError, OSError, flags.IllegalFlagValueError)):
        return str(error)
    raises = "on_error" in FLAGS and FLAGS.on_error == "raise"
    return stream_error(error, LEAVES_OUT if raises else "")


def start_tensorflow():
    """Imports TensorFlow without its start-up lines; its warnings about retracing are not ours."""
    from kcorr.cli.networks import quiet_start

    with quiet_start():
        import tensorflow  # noqa: F401
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


def open_workdir():
    """Creates --workdir and writes flags.txt into it; returns its path.

    Beside the checkpoints of an earlier run flags.txt stays until `fit` goes on with that run: it
    may be refused.
    """
    workdir = Path(FLAGS.workdir)
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        if not (workdir / "checkpoints").exists():
            (workdir / "flags.txt").write_text(FLAGS.flags_into_string())
    except OSError as error:
        raise UserError(f"--workdir {workdir} cannot be written: {error.strerror}") from error
    leftovers.remove(workdir, workdir / "pictures")
    return workdir


def write_metrics(workdir, metrics):
    """Writes metrics.json; what is infinite or undefined becomes "inf" or "nan"."""
    from kcorr.io import atomic_write, plain_json

    text = json.dumps(plain_json(metrics), indent=1, allow_nan=False)
    with atomic_write(workdir / "metrics.json") as temporary:
        temporary.write_text(text)


def shrink_for_smoke(network=None, batch_size=2):
    """Makes the run so small that it takes seconds; it starts from nothing.

    Nearly all of a smoke run is tracing: where several objectives are, `network`, one of fewer
    operations than the default, learns unless --network says otherwise.
    """
    zoomed = "zoom" in FLAGS and FLAGS.zoom != 1  # not every network can be
    if network and not (FLAGS["network"].present or zoomed):
        FLAGS.network = network
    FLAGS.steps, FLAGS.epoch_steps, FLAGS.batch_size = 4, 2, batch_size
    FLAGS.init, FLAGS.progress = None, False
    if "size" in FLAGS:
        FLAGS.size = "64x96"


def adam(decay_steps, ema):
    """Adam as the authors use it: 1e-8, and the learning rate halves every `decay_steps`."""
    from keras.optimizers.schedules import ExponentialDecay

    from kcorr.objectives import FusedAdam

    rate = ExponentialDecay(FLAGS.learning_rate, decay_steps, 0.5, staircase=True)
    return FusedAdam(rate, epsilon=1e-8, use_ema=ema > 0, ema_momentum=ema or 0.99)


def fit(
    objective,
    dataset_of_seed,
    workdir,
    steps=None,
    callbacks=(),
    best="loss",
    validation=None,
    sample=None,
    draw=None,
    ignore=(),
):
    """Trains to --steps, going on from the newest intact checkpoint in the working directory.

    Writes log.jsonl, checkpoints/, with `sample` pictures/, and with --tensorboard board/.
    Afterwards the network holds the averaged weights where the optimizer averages them.

    Args:
        objective: built and compiled.
        dataset_of_seed: function of a seed that returns the endless training dataset; a resumed
            run gets a seed of its own, so that it does not see the same data again.
        workdir: path.
        steps: training steps, default --steps.
        callbacks: more Keras callbacks.
        best: logged value that chooses `best.weights.h5`.
        validation: dataset evaluated after each epoch with the averaged weights, or None.
        sample, draw: a fixed batch and how to draw what the network makes of it, see
            `kcorr.objectives.Pictures`; None for no pictures.
        ignore: names of flags that this training does not depend on.

    Returns:
        The last epoch's logs, null where not finite.
    """
    from kcorr import objectives
    from kcorr.objectives.steps import plain_logs

    steps = steps or FLAGS.steps
    if FLAGS.tensorboard and importlib.util.find_spec("tensorboard") is None:
        raise UserError("--tensorboard needs the package tensorboard: pip install tensorboard")
    leftovers.remove(workdir, workdir / "pictures")
    checkpoints = objectives.Checkpoints(workdir / "checkpoints", best=best)
    try:
        done = checkpoints.restore(objective)
    except ValueError as error:
        raise UserError(str(error).strip().splitlines()[0]) from error
    check_same_flags(workdir / "checkpoints" / "flags.json", done, ignore)
    (workdir / "flags.txt").write_text(FLAGS.flags_into_string())
    if done:
        logging.info("going on from step %d of %d", done, steps)
    if done >= steps:
        objective.optimizer.finalize_variable_values(objective.network.trainable_variables)
        return checkpoints.restored_logs
    epoch_steps = min(FLAGS.epoch_steps, steps)
    first = done // epoch_steps
    watching = [objectives.JsonLines(workdir / "log.jsonl"), objectives.StopAt(steps)]
    if validation is not None:
        watching.append(objectives.ValidateAverage())
    if sample is not None:
        watching.append(objectives.Pictures(workdir / "pictures", sample, draw))
    if FLAGS.tensorboard:
        watching.append(objectives.Board(workdir / "board", sample, draw))
    with objectives.Progress(steps, terminal=None if FLAGS.progress else False) as progress:
        history = objective.fit(
            dataset_of_seed(_seed(FLAGS.seed, done)),
            steps_per_epoch=epoch_steps,
            initial_epoch=first,
            epochs=first - (done - steps) // epoch_steps,
            validation_data=validation,
            callbacks=[progress, *watching, *callbacks, checkpoints],
            verbose=0,
            shuffle=False,
        )
    return plain_logs({name: values[-1] for name, values in history.history.items()})


# A run may be prolonged, watched and checkpointed otherwise than it began, with another memory.
FREE_FLAGS = {
    "workdir", "export_dir", "steps", "epoch_steps", "progress", "tensorboard", "cache_gib",
}  # fmt: skip


def check_same_flags(path, done, ignore=()):
    """Refuses to go on with a run that began with other flags; notes the flags of a new run.

    Args:
        path: the JSON file that holds the flags.
        done: steps of the run so far, or whether there are some.
        ignore: names of flags that do not matter, beside `FREE_FLAGS`.
    """
    from kcorr.io import atomic_write

    modules = FLAGS.flags_by_module_dict().items()
    defined = {
        flag.name: flag.value
        for module, found in modules
        if module.startswith("recipes.") or module == sys.argv[0]
        for flag in found
    }
    now = {name: defined[name] for name in sorted(defined.keys() - FREE_FLAGS - set(ignore))}
    then = _flags_of(path) if done else None
    if then is not None:
        changed = [name for name in now if name in then and now[name] != then[name]]
        if changed:
            text = ", ".join(f"--{n}={_flag(then[n])} (now {_flag(now[n])})" for n in changed)
            raise UserError(
                f"{path.parent} is of a run that began with {text}: give the same flags or another "
                f"--workdir, or remove {path.name} there to go on with the new ones"
            )
        return
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(now, indent=1))


def check_flags_of(workdir, ignore=()):
    """Refuses other flags than those of the run in `workdir`, as `fit` does, but before it.

    For recipes that write what they learn from first: a run that is refused leaves it as it was.
    """
    folder = workdir / "checkpoints"
    if any(folder.glob("step_*.weights.h5")):
        check_same_flags(folder / "flags.json", True, ignore)


def _flags_of(path):
    """The flags that a run began with; None where they are missing or not readable."""
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _flag(value):
    if value is None:
        return ""
    return ",".join(map(str, value)) if isinstance(value, list) else value


def _seed(seed, done):
    """The seed of the data of a run that goes on from step `done`."""
    # Below 20,000: the seeds of validation and held-out scenes lie above.
    return zlib.crc32(f"{seed} {done}".encode()) % 20_000 if done else seed
