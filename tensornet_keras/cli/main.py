"""Runs one command line and turns what goes wrong into one line."""

import os
import re
import sys

from tensornet_keras.cli import commands
from tensornet_keras.cli.parser import parser
from tensornet_keras.cli.quiet import native_logs_hidden

_TERMINAL_STYLE = re.compile(r"\x1b\[[0-9;]*m")


def main(argv=None) -> int:
    """Runs one command.

    Args:
        argv: The arguments; `None` for those of the process.

    Returns:
        The exit code: 0, 1 or 130. A usage error exits with 2, as `argparse`
        does.
    """
    command_line = parser()
    arguments, rest = command_line.parse_known_args(argv)
    if rest and arguments.command != "demo":
        command_line.error(f"unrecognized arguments: {' '.join(rest)}")
    arguments.rest = rest
    try:
        with native_logs_hidden():
            return arguments.run(arguments) or 0
    except commands.UsageError as error:
        command_line.error(str(error))
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except BrokenPipeError:
        # Who read our output has left; nothing is to be flushed to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if arguments.traceback:
            raise
        return _fail(f"error: {_one_line(error)}", 1)


def _fail(text, code):
    sys.stderr.write(f"tensornet: {text}\n")
    return code


def _one_line(error):
    text = " ".join(_TERMINAL_STYLE.sub("", str(error)).split())
    return text or type(error).__name__
