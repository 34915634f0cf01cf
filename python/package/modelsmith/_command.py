"""The command `modelsmith`."""

import signal
import sys


def main() -> None:
    """Runs the program with the arguments of the process and ends with its exit code."""
    from modelsmith import _modelsmith

    # The interpreter would only note an interrupt and go on waiting.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(_modelsmith.command(["modelsmith", *sys.argv[1:]]))
