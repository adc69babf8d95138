"""Prepares the environment that every command runs in, before anything is installed.

    python3 bench/setup_env.py [--extras torch,jax,report] [--python /path/to/vendor/python]

Standard library only. It makes `.venv` once, refreshes it when pyproject.toml changes or an extra is added,
and otherwise returns at once. If the Python that runs it has a vendor's torch or jax, `.venv` sees them; with
`--python` the vendor's own environment is used instead. What is installed is decided in setup_plan.py.
"""

from __future__ import annotations

import os
import sys

# Run as a script, this file's folder leads sys.path, and a module in it could hide one of the standard
# library's. The root takes its place: from there nothing of bench/ is found without saying `bench.`.
if __name__ == "__main__":
    _here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - no import before this is done
    sys.path[:] = [os.path.dirname(_here), *(path for path in sys.path if path != _here)]  # noqa: PTH120

import argparse
import fcntl
import hashlib
import json
import platform
import re
import shutil
import signal
import site
import subprocess
import sysconfig
import time
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.setup_plan import FAMILY, FRAMEWORKS, Machine, constraints, driver_major, in_order_of_preference, plan

ROOT = Path(__file__).resolve().parent.parent
OLDEST_PYTHON = (3, 11)
UNFINISHED = "unfinished\n"


class SetupError(Exception):
    """What went wrong in one line, what to do about it, and the exit code."""

    def __init__(self, message: str, hint: str, code: int = 1) -> None:
        super().__init__(message)
        self.hint = hint
        self.code = code


@dataclass(frozen=True)
class Environment:
    """An interpreter's environment as that interpreter itself sees it."""

    version: Sequence[int]
    prefix: str
    in_venv: bool
    managed: bool  # by the operating system (PEP 668): pip must not touch it
    folders: Sequence[str]  # where its packages lie; pip writes to the first
    packages: Mapping[str, str]  # name -> version, the local part included (2.9.1+cu128)
    foreign: Mapping[str, str]  # those of them that it sees but that lie outside it


@dataclass(frozen=True)
class Stamp:
    """What an environment was last made from."""

    inputs: str  # digest of the files that decide
    extras: Sequence[str]
    root: str  # a .venv that was moved still runs the old place's code
    proof: str  # a file that is gone if the environment was remade behind our back

    def covers(self, inputs: str, extras: Set[str]) -> bool:
        """Whether there is nothing left to do."""
        same = self.inputs == inputs and self.root == str(ROOT)
        return same and extras <= set(self.extras) and Path(self.proof).exists()


@dataclass(frozen=True)
class Target:
    """The environment to prepare: our own `.venv`, or a vendor's."""

    python: Path
    stamp: Path
    vendor: bool = False


def say(line: str) -> None:
    """Progress goes to stderr: stdout belongs to the command that follows."""
    print(line, file=sys.stderr, flush=True)


@contextmanager
def alone() -> Iterator[None]:
    """One set-up at a time in this folder; a pip that outlives a killed set-up counts as one."""
    path = ROOT / ".cache/setup.lock"
    path.parent.mkdir(exist_ok=True)
    with path.open("w") as lock:
        os.set_inheritable(lock.fileno(), True)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Waiting for another set-up in this folder to end.")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# ---- what is here ----------------------------------------------------------------------------------------


def describe() -> Environment:
    """The environment of the interpreter that runs this."""
    from importlib import metadata  # slow to import, and not needed when there is nothing to do

    home = Path(sys.prefix).resolve()
    packages: dict[str, str] = {}
    foreign: dict[str, str] = {}
    path = [folder for folder in sys.path if folder != str(ROOT)]  # an earlier build's egg-info lies there
    for found in metadata.distributions(path=path):
        name = re.sub(r"[-_.]+", "-", found.metadata["Name"] or "").lower()
        if not name or name in packages:  # left by an interrupted uninstall, or hidden by an earlier folder
            continue
        packages[name] = found.version
        if home not in Path(str(found.locate_file(""))).resolve().parents:
            foreign[name] = found.version
    in_venv = sys.prefix != sys.base_prefix
    managed = not in_venv and Path(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED").exists()
    folders = [sysconfig.get_path("purelib"), *site.getsitepackages()]
    return Environment(sys.version_info[:3], sys.prefix, in_venv, managed, folders, packages, foreign)


def ask(python: Path) -> Environment:
    """The environment of another interpreter."""
    command = [str(python), __file__, "--describe"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        reason = last_words(done.stderr) or f"exit code {done.returncode}"
        raise SetupError(f"{python} does not work: {reason}", "name another interpreter", 2)
    return Environment(**json.loads(done.stdout))


def detect_machine() -> Machine:
    """Looks at files only: neither a driver nor a framework is loaded."""
    version = Path("/proc/driver/nvidia/version")
    has_nvidia = any(map(os.path.exists, ("/dev/nvidia0", "/dev/nvidiactl")))
    return Machine(
        linux=platform.system() == "Linux",
        nvidia=has_nvidia,
        driver=driver_major(version.read_text()) if version.exists() else None,
        neuron=any(map(os.path.exists, ("/dev/neuron0", "/opt/aws/neuron"))),
        neuron_pythons=sorted(map(str, Path("/opt").glob("aws_neuron*/bin/python"))),
    )


def check_version(version: Sequence[int], python: str) -> None:
    """Refuses an interpreter that is too old."""
    if tuple(version[:2]) < OLDEST_PYTHON:
        needed, found = (".".join(map(str, numbers)) for numbers in (OLDEST_PYTHON, version))
        hint = "install a newer one, or name one: make <target> PYTHON=/path/to/python"
        raise SetupError(f"Python {needed} or newer is needed, and {python} is {found}", hint, 2)


def check_vendor(environment: Environment, python: str) -> None:
    """Refuses a `--python` that pip must not or cannot install into."""
    check_version(environment.version, python)
    hint = "put it first on PATH and leave PYTHON= out: .venv then sees its torch and jax"
    if environment.managed:
        raise SetupError(f"{python} is externally managed: pip must not install into it", hint, 2)
    if not os.access(environment.folders[0], os.W_OK):
        raise SetupError(f"{python} cannot be installed into: no right to write there", hint, 2)
    if "pip" not in environment.packages:
        raise SetupError(f"{python} has no pip", f"{python} -m ensurepip", 2)


# ---- doing it --------------------------------------------------------------------------------------------


def run_pip(python: Path, *arguments: str, seconds: float | None = None) -> subprocess.CompletedProcess[str]:
    """Runs pip quietly; its output is kept for the case of an error."""
    return subprocess.run(
        [str(python), "-m", "pip", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"},
        timeout=seconds,
        close_fds=False,  # it shares the lock of `alone`
    )


def torch_versions(python: Path, index: str | None) -> list[str]:
    """The versions of torch that pip could install here; none if the index does not answer."""
    source = ("--index-url", index, "--timeout", "5", "--retries", "0") if index else ()
    try:
        done = run_pip(python, "index", "versions", "torch", *source, seconds=60)
    except subprocess.TimeoutExpired:
        return []
    match = re.search(r"^Available versions: (.+)$", done.stdout, re.MULTILINE)
    return match[1].split(", ") if match else []


def last_words(text: str) -> str:
    """What a tool said last: its last two lines with an error in words, else the very last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if re.search(r"(?i)error: \S+ \S", line)]
    return "; ".join(errors[-2:] or lines[-1:])


def pip_hint(output: str, vendor: bool) -> str:
    """The likeliest remedy for a failed install."""
    if "No space left" in output:
        return "make room on the disk and run this again"
    if "ResolutionImpossible" in output and vendor:
        return "the vendor's versions are kept: settle the conflict there by hand, or leave PYTHON= out"
    if re.search("No matching distribution|Connection|name resolution|timed out", output):
        return "check the network and pip's index (pip config list), and run this again"
    return "all that pip said is in .cache/setup_env.log"


def install(target: Target, extras: Set[str]) -> None:
    """Brings `extras` into the target."""
    import tomllib  # here, so that a Python without it gets as far as the message about its age

    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    if unknown := extras - set(declared):
        raise SetupError(f"no such extra: {', '.join(sorted(unknown))}", "pyproject.toml lists them", 2)
    ranges = {name: declared[name][0].removeprefix(name) for name in FRAMEWORKS}
    environment = ask(target.python)
    vendors = environment.packages if target.vendor else environment.foreign
    frozen = ROOT / ".cache/constraints.txt"
    frozen.write_text("\n".join(constraints(vendors, ("*",) if target.vendor else FAMILY)))

    def versions_at(index: str | None) -> list[str]:
        return torch_versions(target.python, index)

    for step in plan(extras, environment.packages, vendors, detect_machine(), ranges, versions_at):
        say(step.why)
        if not step.arguments:
            continue
        done = run_pip(target.python, "install", "--constraint", str(frozen), *step.arguments)
        if done.returncode:
            (ROOT / ".cache/setup_env.log").write_text(done.stdout + done.stderr)
            raise SetupError(last_words(done.stderr), pip_hint(done.stdout + done.stderr, target.vendor))


def build_venv(folder: Path, bootstrap: Environment, pip: bool = True) -> None:
    """Makes a virtual environment that sees the frameworks of `bootstrap`, if it has any.

    A venv made from within a venv sees nothing of that one: there a .pth file names its folders instead.
    """
    import venv

    shared = any(name in bootstrap.packages for name in FRAMEWORKS)
    on_system = shared and not bootstrap.in_venv
    venv.EnvBuilder(with_pip=pip, symlinks=True, system_site_packages=on_system).create(folder)
    if shared and bootstrap.in_venv:
        own = sysconfig.get_path("purelib", "venv", {"base": str(folder)})
        Path(own, "fairchip-vendor.pth").write_text("\n".join(dict.fromkeys(bootstrap.folders)) + "\n")


def reason_to_make(target: Target, stamp: Stamp | None) -> str | None:
    """Why `.venv` must be made anew; None if what is there can be used, be it made by hand."""
    if not target.stamp.parent.exists():
        return "there is none yet"
    if target.stamp.exists() and stamp is None:
        return "an earlier set-up did not finish"
    if stamp and stamp.root != str(ROOT):
        return "this one was made in another folder"
    if not target.python.exists() or run_pip(target.python, "--version").returncode:
        return "this one does not work"
    return None


def make_venv(target: Target) -> None:
    """Makes `.venv` with the interpreter that runs this, and marks it as unfinished."""
    folder = target.stamp.parent
    bootstrap = describe()
    if Path(bootstrap.prefix).resolve() == folder:  # the active one, whose packages go now
        bootstrap = Environment(bootstrap.version, bootstrap.prefix, True, False, [], {}, {})
    if folder.exists():
        (folder / "bin/python").unlink(missing_ok=True)  # first: half deleted, it must not pass for usable
        shutil.rmtree(folder)
    folder.mkdir()
    target.stamp.write_text(UNFINISHED)
    try:
        build_venv(folder, bootstrap)
    except (ImportError, subprocess.CalledProcessError) as error:
        hint = "on Debian and Ubuntu: apt install python3-venv"
        raise SetupError(f"{sys.executable} cannot make a virtual environment with pip", hint) from error


def read_stamp(path: Path) -> Stamp | None:
    """The stamp, or None if there is none or it says unfinished."""
    try:
        return Stamp(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def digest_inputs(python: Path) -> str:
    """Changes when pyproject.toml, these scripts or the interpreter's file do."""
    made = str(python.lstat().st_mtime_ns) if python.exists() else ""
    files = ("pyproject.toml", "bench/setup_env.py", "bench/setup_plan.py")
    contents = [made.encode(), *((ROOT / file).read_bytes() for file in files)]
    return hashlib.sha256(b"\0".join(contents)).hexdigest()


def choose_target(python: str | None) -> Target:
    """`.venv`, or the environment of the interpreter that the user named."""
    if python is None:
        return Target(ROOT / ".venv/bin/python", ROOT / ".venv/fairchip-setup.json")
    found = shutil.which(python)
    if found is None:
        raise SetupError(f"there is no interpreter {python}", "PYTHON= names a Python executable", 2)
    path = Path(found).absolute()  # not resolved: a venv's python is a link, and the link is what counts
    name = hashlib.sha256(str(path).encode()).hexdigest()[:12]
    return Target(path, ROOT / f".cache/setup-{name}.json", vendor=True)


def refresh(target: Target, earlier: Stamp | None, extras: Set[str]) -> None:
    """Installs, then stamps. Killed half-way, it leaves the mark that has `.venv` made anew."""
    target.stamp.write_text(UNFINISHED)
    try:
        install(target, extras)
    except SetupError:
        if earlier:  # pip gave up by itself: what was there still works, so the next call tries again on it
            target.stamp.write_text(json.dumps(asdict(earlier)))
        raise
    folders = ask(target.python).folders
    installed = (path for folder in folders for path in Path(folder).glob("fairchip-*.dist-info"))
    proof = next(installed, target.python)  # pip may be configured to put it elsewhere
    stamp = Stamp(digest_inputs(target.python), sorted(extras), str(ROOT), str(proof))
    target.stamp.write_text(json.dumps(asdict(stamp)))


def set_up(extras: Set[str], python: str | None) -> None:
    """Makes or refreshes the environment if there is anything to do."""
    check_version(sys.version_info[:3], sys.executable)
    target = choose_target(python)
    stamp = read_stamp(target.stamp)
    if stamp and stamp.covers(digest_inputs(target.python), extras):
        return
    started = time.monotonic()
    if target.vendor:
        say(f"Using the environment of {target.python} (PYTHON=) instead of .venv.")
        check_vendor(ask(target.python), str(target.python))
    elif reason := reason_to_make(target, stamp):
        say(f"Making .venv with Python {platform.python_version()}: {reason}.")
        make_venv(target)
        stamp = None
    refresh(target, stamp, extras | set(stamp.extras if stamp else ()))
    say(f"Ready in {time.monotonic() - started:.0f} s.")


def vendors_python() -> Path | None:
    """The interpreter of AWS's image to go on with, if nothing here has a framework yet; None: this one."""
    machine = detect_machine()
    if not machine.neuron or (ROOT / ".venv").exists() or any(name in describe().packages for name in FRAMEWORKS):
        return None
    for python in filter(Path.exists, map(Path, in_order_of_preference(machine.neuron_pythons))):
        found = ask(python)
        if tuple(found.version[:2]) >= OLDEST_PYTHON and any(name in found.packages for name in FRAMEWORKS):
            return python
    return None


def main() -> int:
    """The command line; an error is one line and a hint."""
    parser = argparse.ArgumentParser(description="Prepare the environment that fairchip runs in.")
    parser.add_argument("--extras", default="torch,jax,report", help="those of pyproject.toml")
    parser.add_argument("--python", help="use this interpreter's environment instead of .venv")
    parser.add_argument("--describe", action="store_true", help=argparse.SUPPRESS)  # for ask()
    options = parser.parse_args()
    if options.describe:
        print(json.dumps(asdict(describe())))
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # like Ctrl-C, it ends pip too
    try:
        if options.python is None and (python := vendors_python()):
            say(f"A Neuron machine: .venv is made with {python}, whose torch or jax is AWS's.")
            os.execv(python, [str(python), __file__, *sys.argv[1:]])
        with alone():
            set_up(frozenset(filter(None, options.extras.split(","))), options.python)
    except SetupError as error:
        say(f"error: {error}\nhint: {error.hint}")
        return error.code
    except OSError as error:
        say(f"error: {error}\nhint: the checkout's folder must be writable and the disk not full")
        return 1
    except KeyboardInterrupt:
        say("interrupted; run this again to finish")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
