"""Reads what a processor's packages have consumed (RAPL), where the kernel tells it; cloud machines seldom do.

Source: Linux, Documentation/power/powercap/powercap.rst; the file is readable by root alone since CVE-2020-8694.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from backends.contract import Sampler

_FOLDER = "sys/class/powercap"
_HOW = "as root: chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj"


def samplers(root: Path = Path("/")) -> Sequence[Sampler]:
    """One for each package; one that says why there is none where none is. Starts nothing."""
    packages = sorted(_packages(root))
    return [RaplSampler(package) for package in packages] or [NoRapl()]


def _packages(root: Path) -> Iterator[Path]:
    """Whole packages: ``intel-rapl:0`` (AMD's are called so too), not the parts ``intel-rapl:0:0`` within them.

    ``intel-rapl-mmio:0`` is the same package again, by another register.
    """
    for zone in (root / _FOLDER).glob("intel-rapl:*"):
        try:
            name = (zone / "name").read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError):
            continue
        if name.startswith("package-") and zone.name.count(":") == 1:
            yield zone


class RaplSampler:
    """One package: processor cores, caches and, on some models, no memory."""

    def __init__(self, zone: Path) -> None:
        self.name = f"rapl-{zone.name.partition(':')[2]}"
        self._zone, self._last, self._wraps = zone, -1, 0

    def read(self) -> Mapping[str, float | str | None]:
        """``energy_joules`` since some beginning; a counter that began again at 0 is carried on."""
        try:
            microjoules = int((self._zone / "energy_uj").read_text(encoding="ascii"))
            span = int((self._zone / "max_energy_range_uj").read_text(encoding="ascii"))
        except PermissionError:
            return {"energy_joules": None, "missing": f"energy_joules: RAPL is readable by root alone; {_HOW}"}
        except (OSError, ValueError) as error:
            return {"energy_joules": None, "missing": f"energy_joules: RAPL: {error}"}
        self._wraps += microjoules < self._last
        self._last = microjoules
        return {"energy_joules": (microjoules + self._wraps * span) / 1e6}

    def close(self) -> None:
        """Nothing is held."""


class NoRapl:
    """Says why a processor's energy stays unknown."""

    name = "rapl"

    def read(self) -> Mapping[str, float | str | None]:
        """No figure, and the reason."""
        return {"energy_joules": None, "missing": "energy_joules: the kernel shows no RAPL of this processor"}

    def close(self) -> None:
        """Nothing is held."""
