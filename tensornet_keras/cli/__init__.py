"""The command `tensornet`: parses, calls one verb, prints what it returns.

Results go to the standard output; progress and errors, one line each, to the
standard error. The exit code is 0 for success, 1 for an operation that failed,
2 for a command that makes no sense and 130 for Ctrl-C. Keras is imported by
the commands, so that `--help` answers at once.
"""

from tensornet_keras.cli.main import main

__all__ = ["main"]
