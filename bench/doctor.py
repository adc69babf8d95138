"""What can run here, what cannot, and the exact step that would change it. Imports no framework."""

from importlib.metadata import packages_distributions, version

from backends.host import cxx_compiler
from backends.registry import availability, backend_entry_points
from bench.environment import read_environment

ROOMS = ("bench", "workloads", "backends", "results")


def print_diagnosis() -> None:
    """The machine, the packages, name clashes and every backend, on standard output."""
    environment = read_environment()
    instance = environment.instance
    print(f"fairchip  {version('fairchip')}, Python {environment.python}")
    gibibytes = environment.memory_bytes / 2**30
    print(f"machine   {environment.cpu_model}, {environment.logical_cpus} CPUs, {gibibytes:.0f} GiB")
    print(f"instance  {instance.name or 'unknown'} ({instance.source})")
    print(f"driver    {environment.accelerator_driver or 'no accelerator driver'}")
    print(f"compiler  {cxx_compiler() or 'no C++ compiler: torch runs eager; install g++'}")
    print(f"packages  {', '.join(f'{name} {number}' for name, number in environment.packages.items())}")
    for clash in name_clashes():
        print(f"clash     {clash}")
    for name in backend_entry_points():
        found = availability(name)
        print(f"{name:<12}{'ready' if found.available else 'no: ' + found.reason}")
        if not found.available and found.fix:
            print(f"{'':<12}fix: {found.fix}")


def name_clashes() -> list[str]:
    """Other distributions that install a top-level package of our names: the last one installed would win."""
    owners = packages_distributions()
    return [
        f"{room} also comes from {', '.join(others)}: use an environment of fairchip's own"
        for room in ROOMS
        if (others := sorted(set(owners.get(room, ())) - {"fairchip"}))
    ]
