"""What every script does first: a log that holds everything and ends in the error."""

import logging
import os
import sys
import traceback
from collections.abc import Callable, Generator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

from ichflow.errors import IchflowError


@contextmanager
def logged(path: str | Path) -> Generator[Callable[[str], None]]:
    """Send all output of this process to a log file; on failure end it, and the terminal, with the error.

    The file descriptors themselves are redirected, so that output of compiled libraries is caught as well. An
    :class:`~ichflow.errors.IchflowError` is told by its message alone, anything else with its traceback.

    Parameters
    ----------
    path
        The log file; it is overwritten.

    Yields
    ------
    callable
        Writes a line to both the log and the terminal: what a person wants to see while the job runs.

    Raises
    ------
    SystemExit
        With status 1, after the error has been written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    terminal = os.fdopen(os.dup(2), "w", encoding="utf-8")
    path.write_bytes(b"")
    # For appending, since a job whose Snakemake was killed may still write into it
    with path.open("a", encoding="utf-8") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    if isinstance(sys.stdout, TextIOWrapper):  # else what is printed comes after the error that follows it
        sys.stdout.reconfigure(line_buffering=True)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr, force=True
    )
    try:
        yield lambda line: _tell(line, terminal)
    except IchflowError as error:
        _tell(f"error: {error}", terminal)
        sys.exit(1)
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        _tell(f"error: {type(error).__name__}: {error} (traceback in {path})", terminal)
        sys.exit(1)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        terminal.close()


def _tell(message: str, terminal: TextIO) -> None:
    for stream in (sys.stderr, terminal):
        print(message, file=stream, flush=True)
