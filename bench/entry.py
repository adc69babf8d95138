"""From a call to an exit code: whatever goes wrong is one line and a hint, never a traceback.

Exit codes: 0 done, 1 a run failed or lost its rank under --strict, or whoever read our output is gone, 2 a user's
mistake or a place that cannot be used, 3 no run succeeded, 129, 130 and 143 stopped by SIGHUP, SIGINT and SIGTERM.
"""

import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from bench.errors import EXPECTED, one_line

PROGRAM = "fairchip"
EXTRA_OF = {
    "pandas": "report", "scipy": "report", "jinja2": "report", "markupsafe": "report", "vl_convert": "report",
    "torch": "torch", "jax": "jax",
}  # fmt: skip
"""The extra of pyproject.toml that brings a package which not every command needs."""


def run(app: Callable[..., Any]) -> int:
    """Run a typer application on the process's arguments and return the exit code."""
    _open_streams()
    for stream in (sys.stdout, sys.stderr):
        _print_anything(stream)
    try:
        code = app(standalone_mode=False, prog_name=PROGRAM)
        sys.stdout.flush()
    except EXPECTED as error:
        return refuse(error.message, error.hint)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return _reader_gone()
    except ModuleNotFoundError as error:
        if error.name not in EXTRA_OF:
            raise
        return refuse(f"this command needs {error.name}", f"make setup, or pip install -e '.[{EXTRA_OF[error.name]}]'")
    except OSError as error:
        where = error.filename or "the system"
        return refuse(
            f"{where}: {error.strerror or error}", "check the path, your rights there, and the room on the disk"
        )
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        return _refuse_arguments(error)
    return code if isinstance(code, int) else 0


def run_helper(main: Callable[[], None]) -> int:
    """Run a process that answers one of ours, and return its exit code: what may be expected to fail says why."""
    try:
        main()
    except EXPECTED as error:
        return refuse(error.message, error.hint)
    return 0


def refuse(message: str, hint: str) -> int:
    """Say a mistake and what would be right, on standard error; returns its exit code."""
    say(f"fairchip: {one_line(message)}")
    if hint:
        say(f"  hint: {one_line(hint)}")
    return 2


def say(line: str) -> None:
    """One line to standard error, at once; a terminal that is gone is no reason to end otherwise."""
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr, flush=True)


def _refuse_arguments(error: Any) -> int:
    """What the command line's parser refuses, said as everything else is."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else PROGRAM
    if not error.format_message() or len(sys.argv) < 2:
        print(context.get_help() if context is not None else "")
        return 2
    return refuse(error.format_message(), f"see: {command} --help")


def _reader_gone() -> int:
    """Whoever read our output has closed it (a pager, head): end in silence, as other commands do."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())
    return 1


def _open_streams() -> None:
    """Whoever closed our standard output or error does not want to read it."""
    nowhere = Path(os.devnull)
    sys.stdout = sys.stdout or nowhere.open("w", encoding="utf-8")
    sys.stderr = sys.stderr or nowhere.open("w", encoding="utf-8")


def _print_anything(stream: TextIO) -> None:
    """A terminal that cannot show a character gets a question mark instead of an error."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")
