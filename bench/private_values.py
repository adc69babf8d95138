"""What is private on this machine: its names, places, secrets and serial numbers, read when asked, never kept.

A name that names nobody stays as it is: the default account of an image, or a word of our own records. A user
``ubuntu`` must not cost a record its "Ubuntu 24.04", nor a host ``torch`` the name of a package.
"""

import contextlib
import getpass
import os
import pwd
import re
import socket
import sysconfig
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from bench.private_shapes import looks_secret

SHORTEST_NAME = 4
SHORTEST_SECRET = 6

_ORDINARY_WORDS = (
    # accounts and hosts that come with an image, a container or a service
    "root admin administrator user users ubuntu debian centos fedora rocky almalinux amazon ec2-user azureuser core",
    "nobody guest docker jovyan runner vscode codespace jenkins build builder sagemaker-user localhost localdomain",
    # words of records: packages, systems, devices, suites, workloads, recipes, keys of a session
    "torch jaxlib numpy triton nvidia neuron neuronx trainium cuda rocm linux python intel epyc fairchip bench smoke",
    "bookworm chip node llama tiny bytes text eager whole tuned custom cold warm timed test tests tester default none",
    "true false accumulation adamw attention autograd batch below bits causal cloud compile device devices dtype",
    "embedding engine environment exact fallback float fraction full fused graph inductor known largest loss malloc",
    "micro mmap name names operand optim optimizer parity peak precision process quiet recipe recompile rematerialise",
    "resident sdpa steady steps stolen synchronisation threads threshold time tokens torchinductor track trim type",
    "version visible wait",
    # values that a variable with a secret's name may have, and the marks that stand for what was private
    "enabled disabled required optional masked here host path cache address email uuid site packages stdlib",
    # what people call a machine or an account that is for this work
    "worker server master main machine data model work home train training gpus workspace desktop laptop",
)
ORDINARY = frozenset(word for words in _ORDINARY_WORDS for word in words.split())

_USER_VARIABLES = ("USER", "LOGNAME", "USERNAME", "SUDO_USER", "GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME")
_HOST_VARIABLES = ("HOSTNAME", "HOST", "COMPUTERNAME", "SLURMD_NODENAME", "NODE_NAME", "POD_NAME")
_SERIAL_NUMBERS = (
    *(f"sys/class/dmi/id/{name}" for name in ("product_serial", "product_uuid", "board_serial", "board_asset_tag")),
    "sys/class/dmi/id/chassis_serial",
    "etc/machine-id",
    "proc/sys/kernel/random/boot_id",
    "var/lib/cloud/data/instance-id",
)


def find_secrets(root: Path = Path("/")) -> list[str]:
    """Values of variables whose names look secret, and serial numbers, longest first."""
    values = {value.strip() for name, value in os.environ.items() if looks_secret(name)} | set(_serial_numbers(root))
    kept = {value for value in values if len(value) >= SHORTEST_SECRET and value.lower() not in ORDINARY}
    return sorted(kept, key=len, reverse=True)


def find_user_names() -> list[str]:
    """Log-in and full names of whoever runs this, longest first, each as written and in small letters."""
    found = {os.environ.get(name, "") for name in _USER_VARIABLES} | {_folder(Path.home).name}
    with contextlib.suppress(OSError, KeyError):
        found.add(getpass.getuser())
    with contextlib.suppress(KeyError):
        account = pwd.getpwuid(os.getuid())
        found |= {account.pw_name, account.pw_gecos.split(",")[0]}
    return _telling(found)


def find_host_names() -> list[str]:
    """Names of this host with and without its domain, and the domain; asks no name server, which might block."""
    found = {os.environ.get(name, "") for name in _HOST_VARIABLES} | {socket.gethostname()}
    for short, _, domain in [name.partition(".") for name in found]:
        found |= {short, domain} if "." in domain else {short}
    return _telling(found)


def find_places() -> Mapping[str, str]:
    """Folders of this machine and what is shown for them, longest first, so that none is cut by its parent."""
    folders = {
        _folder(Path.cwd): "<here>",
        Path(os.environ.get("TMPDIR", "/tmp")): "<tmp>",
        _folder(Path.home): "~",
        Path(sysconfig.get_path("stdlib")): "<stdlib>",
        Path(sysconfig.get_path("purelib")): "<site-packages>",
        Path(__file__).parent.parent: "<fairchip>",
    }
    both = {str(path): mark for folder, mark in folders.items() for path in (folder, folder.resolve())}
    return {path: both[path] for path in sorted(both, key=len, reverse=True) if len(path) >= SHORTEST_NAME}


def _folder(find: Callable[[], Path]) -> Path:
    """The folder, or the root where there is none: the working folder was removed, the user has no account."""
    try:
        return find()
    except (OSError, RuntimeError):
        return Path("/")


def _telling(names: Iterable[str]) -> list[str]:
    variants = {variant for name in names for variant in (name.strip(), name.strip().lower())}
    kept = {name for name in variants if len(name) >= SHORTEST_NAME and name.lower() not in ORDINARY}
    return sorted(kept, key=len, reverse=True)


def _serial_numbers(root: Path) -> Iterator[str]:
    """Those that this user may read; a placeholder of the vendor's ("Default string") has no digit."""
    for name in _SERIAL_NUMBERS:
        with contextlib.suppress(OSError, ValueError):
            if re.search(r"\d", text := (root / name).read_text(encoding="utf-8").strip()):
                yield text
