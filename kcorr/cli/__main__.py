"""Entry point of `kcorr` and `python -m kcorr.cli`."""

import argparse
import errno
import os
import signal
import sys

import kcorr
from kcorr.cli import (
    convert,
    evaluate,
    export,
    flow,
    import_checkpoint,
    landmarks,
    match,
    match_points,
    stereo,
)
from kcorr.cli.errors import CommandError, one_line
from kcorr.cli.networks import quiet_logs

COMMANDS = {
    "flow": flow,
    "stereo": stereo,
    "match": match,
    "landmarks": landmarks,
    "match-points": match_points,
    "evaluate": evaluate,
    "convert": convert,
    "import-checkpoint": import_checkpoint,
    "export": export,
}
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; argparse would print the usage above it."""

    def error(self, message):
        self.exit(2, f"{self.prog}: {one_line(message)}; see {self.prog} --help\n")


def parser():
    """The parser of the whole command line."""
    top = _Parser(
        prog="kcorr",
        description="Dense correspondence without labels: optical flow, stereo, and objects.",
    )
    top.add_argument("--version", action="version", version=f"kcorr {kcorr.__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    for name, module in COMMANDS.items():
        summary, _, _ = module.__doc__.partition("\n")
        command = commands.add_parser(
            name,
            help=summary[0].lower() + summary[1:].rstrip("."),
            description=module.DESCRIPTION,
            epilog=module.EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return top


def main(argv=None):
    """Runs one command.

    Args:
        argv: arguments without the program's name; None takes those of the process.

    Returns:
        Exit status: 0, 2 for bad input (one line on stderr), 130 when interrupted.
    """
    if argv is None:
        # As for Ctrl-C: temporary files are removed on the way out.
        signal.signal(signal.SIGTERM, _terminate)
    top = parser()
    try:
        args = top.parse_args(argv)
        status = _run(top, args)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # Whoever read our output went away. Python would complain once more when it closes stdout.
        if argv is None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE


def _run(top, args):
    if args.command is None:
        top.error(f"no command; expected one of {', '.join(COMMANDS)}")
    for name, value in vars(args).items():
        # pathlib would take an empty name for the working directory.
        if "" in (value if isinstance(value, list) else [value]):
            _say(args, f"{name}: an empty name; expected that of a file or a folder")
            return 2
    try:
        with quiet_logs():
            args.run(args)
    except KeyboardInterrupt as interrupt:
        _say(args, f"interrupted{f'; {one_line(interrupt)}' if interrupt.args else ''}")
        return 128 + signal.SIGINT
    except BrokenPipeError:
        raise
    except Exception as error:
        if _is_out_of_memory(error):
            option = "--size" if hasattr(args, "size") else "--max-side"
            # Of a network that is none this flag is refused with a line that says so.
            spared = getattr(args, "low_memory", True)
            also = "" if spared else ", and of a recurrent network --low-memory"
            error = CommandError(
                f"not enough memory for pictures of this size; {option} N needs less{also}"
            )
        if not _is_bad_input(error):
            raise
        if getattr(error, "errno", None) in _NO_ROOM and not error.filename:
            # Writing fails long after opening, and this error does not say where.
            error = f"{getattr(args, 'output', 'output')}: {error.strerror}"
        _say(args, one_line(error))
        return 2
    return 0


def _is_bad_input(error):
    """Errors of the machine's files count as input; any other one is a bug and shows its trace."""
    if isinstance(error, (CommandError, OSError)):
        return True
    formats = sys.modules.get("kcorr.io")
    return formats is not None and isinstance(error, formats.FormatError)


def _is_out_of_memory(error):
    # TensorFlow's class by name: importing it would load TensorFlow.
    return isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"


def _say(args, line):
    print(f"kcorr {args.command}: {line}", file=sys.stderr)


def _terminate(number, frame):
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
