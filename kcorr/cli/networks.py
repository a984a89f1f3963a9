"""Loads networks for commands, and keeps TensorFlow's start-up lines off the screen."""

import contextlib
import logging
import os
import sys
import tempfile

from kcorr.cli.errors import CommandError, one_line


def add_model_arguments(parser, default="ddflow_zoom", also=""):
    """--model, which is required where there is no default, and --network.

    Args:
        parser: of the command.
        default: of --model.
        also: what else it may be, as words before the others.
    """
    shown = f"{also}a shipped network, a .keras or .weights.h5 file, or a SavedModel folder"
    parser.add_argument(
        "--model",
        default=default,
        required=default is None,
        metavar="NAME|PATH",
        help=f"{shown} (default: %(default)s)" if default else shown,
    )
    add_network_argument(parser)


def add_network_argument(parser):
    """--network, which tells what a .weights.h5 file belongs to."""
    parser.add_argument(
        "--network",
        metavar="NAME",
        help="which network a .weights.h5 file belongs to (default: the one that fits)",
    )


def add_recurrent_arguments(parser):
    """--low-memory and --iterations; `recurrent_options` makes arguments of `load_network` of them.

    Only of commands that take flow networks: others have no recurrent ones.
    """
    group = parser.add_argument_group("recurrent networks")
    group.add_argument(
        "--low-memory",
        action="store_true",
        help="correlations are computed when they are looked up, not for all pairs of pixels "
        "before (of a 4K picture 90 GB); several times slower, the same flow",
    )
    group.add_argument(
        "--iterations",
        type=int,
        metavar="N",
        help="how often the flow is improved (default: as often as when it learned)",
    )


def recurrent_options(args):
    """Options of `kcorr.load`, of --low-memory and --iterations."""
    if args.iterations is not None and args.iterations < 1:
        raise CommandError(f"--iterations is {args.iterations}; expected a whole number from 1")
    options = {"correlation": "on_demand"} if args.low_memory else {}
    return options if args.iterations is None else {**options, "iterations": args.iterations}


_FLAGS = {"correlation": "--low-memory", "iterations": "--iterations"}


def load_network(model, network=None, gives="flow", **options):
    """`kcorr.load` with its errors made `CommandError`, and with quiet imports.

    Args:
        model, network: --model and --network.
        gives: what the network must give, see `kcorr.load`.
        **options: what `recurrent_options` made.
    """
    if network is not None and not model.lower().endswith(".weights.h5"):
        raise CommandError(f"--network is for a .weights.h5 file; got the model {model}")
    with quiet_start():
        from kcorr.models import load
    try:
        return load(model, network, gives=gives, **options)
    except ValueError as error:
        flags = f"{' '.join(_FLAGS[option] for option in options)}: " if options else ""
        raise CommandError(f"{flags}{one_line(error)}") from error


@contextlib.contextmanager
def quiet_start():
    """For the block that imports TensorFlow: what its C++ part logs is shown only on failure.

    TF_CPP_MIN_LOG_LEVEL alone does not do it: lines that come before TensorFlow's logging is set
    up go straight to file descriptor 2.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if "tensorflow" in sys.modules:
        yield
        return
    try:
        terminal = os.dup(2)
    except OSError:  # started with stderr closed
        yield
        return
    with tempfile.TemporaryFile() as noise:
        sys.stderr.flush()
        os.dup2(noise.fileno(), 2)
        failed = True
        try:
            yield
            failed = False
        except KeyboardInterrupt:
            failed = False
            raise
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)
            if failed:
                noise.seek(0)
                os.write(2, noise.read())


@contextlib.contextmanager
def quiet_logs():
    """Keeps TensorFlow's Python warnings off stderr, where one line means one error."""
    loggers = [logging.getLogger(name) for name in ("absl", "tensorflow")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
