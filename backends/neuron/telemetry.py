"""Reads Neuron devices beside a run: power in percent from sysfs, activity from neuron-monitor, peaks of memory.

Neither tells watts, joules, temperature or clocks, and AWS publishes no chip's power: no energy follows from here.
Sources: Neuron Sysfs User Guide, neuron-monitor User Guide, the driver's neuron_power.c.

Sysfs also has ``neuron_coreN/stats/other_info/flop_count``. It is not read: it stayed 0 through 88,154 executions
that a third party counted.
"""

import contextlib
import math
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from backends.contract import Sampler
from backends.host import small_text
from backends.neuron.monitor_record import Figures, figures_of
from backends.neuron.tools import device_folder, device_numbers, end_group, find_tool

MONITOR_CONFIG = Path(__file__).with_name("monitor.json")
"""Its period is written "1s": the tool ignores "1.0s" without a word and takes its default, 5 seconds."""
LONGEST_RECORD_BYTES = 2**24
"""A longer line is no record: one of 16 chips with a hundred programs loaded is below a megabyte."""
CLOSE_SECONDS = 2.0
POWER_STATUS = {"POWER_STATUS_VALID": 1.0, "POWER_STATUS_NO_DATA": 0.0, "POWER_STATUS_INVALID": -1.0}

# The monitor is in its own session, with a shell that kills the session once our end of its standard input is
# closed, as it is however we end. The shell gives up the pipe of the records: it must end with the monitor.
_GUARD = '"$1" -c "$2" & exec >/dev/null; read -r gone; kill -s KILL -- "-$$"'


def samplers(root: Path = Path("/")) -> Sequence[Sampler]:
    """Power of each chip whose driver publishes it, and the monitor; none without a Neuron device. Starts nothing."""
    numbers = device_numbers(root)
    power = [PowerSampler(root, number) for number in numbers if _power_file(root, number).exists()]
    return [*power, MonitorSampler(root)] if numbers else []


class PowerSampler:
    """The driver's power utilisation of one chip.

    Percent of a maximum that AWS does not publish, with the power of the idle chip taken off; of two dies the larger
    value, not the sum. Published at each full minute of the wall clock for the minute that has passed: of a run, only
    windows that lie in it whole are about it, and ``power_published_unix_seconds`` tells repetitions apart.
    """

    def __init__(self, root: Path, chip: int) -> None:
        self.name = f"neuron-power-{chip}"
        self._file = _power_file(root, chip)

    def read(self) -> Mapping[str, float | None]:
        """Percent over the last published minute, and the status: 1.0 valid, 0.0 no data, -1.0 invalid.

        All None where the file is missing or is not what the guide says; without valid data, all but the status.
        """
        status, *numbers = small_text(self._file).split(",")
        published, low, high, mean = _power_numbers(numbers) if status == "POWER_STATUS_VALID" else (None,) * 4
        return {
            "power_status": None if status == "POWER_STATUS_VALID" and mean is None else POWER_STATUS.get(status),
            "power_published_unix_seconds": published,
            "power_percent_of_maximum_minimum": low,
            "power_percent_of_maximum_maximum": high,
            "power_percent_of_maximum_average": mean,
        }

    def close(self) -> None:
        """Nothing is held."""


def _power_file(root: Path, chip: int) -> Path:
    return device_folder(root, chip) / "stats/power/utilization"


def _power_numbers(words: Sequence[str]) -> tuple[float, ...] | tuple[None, ...]:
    """Unix seconds, then percent: least, greatest, mean, in the driver's order; four times None if it is not that."""
    try:
        published, low, high, mean = map(float, words)
    except ValueError:
        return (None,) * 4
    fits = 0 < published < math.inf and 0 <= low <= mean <= high <= 100
    return (published, low, high, mean) if fits else (None,) * 4


class MonitorSampler:
    """What neuron-monitor tells of the last whole period of one second; `monitor_record.figures_of` names it.

    The tool starts at the first reading. Its first record, from the moment of its start, is no whole period and is
    dropped. The first and the last period of a runtime are partial too, which no record says: leave them out of
    means. Where the tool is missing, fails or ends there is nothing to read, and it is not started again.
    """

    name = "neuron-monitor"

    def __init__(self, root: Path = Path("/"), tool: Path | None = None) -> None:
        """``tool``: by default the one on PATH, else AWS's below ``root``."""
        self._tool = tool or find_tool("neuron-monitor", root)
        self._lock, self._started, self._newest = threading.Lock(), False, Figures()
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None

    def read(self) -> Mapping[str, float | None]:
        """Figures of the newest whole period; empty before its end. Returns at once.

        ``monitor_period_number`` counts the whole periods from 1: the same number twice is the same period, a number
        left out is one that nobody read.
        """
        with self._lock:
            if not self._started:
                self._started = True
                self._start()
        return self._newest

    def _start(self) -> None:
        if self._tool is None:
            return
        with contextlib.suppress(OSError):
            self._process = subprocess.Popen(
                ["sh", "-c", _GUARD, "sh", self._tool, MONITOR_CONFIG],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            self._reader = threading.Thread(target=self._follow, args=(self._process.stdout,), daemon=True)
            self._reader.start()

    def _follow(self, pipe: IO[bytes]) -> None:
        """Keep the newest record's figures until the tool ends."""
        records = filter(None, map(figures_of, _whole_lines(pipe)))
        for number, figures in enumerate(records):
            if number > 0:
                self._newest = {"monitor_period_number": float(number), **figures}
        self._newest = {}

    def close(self) -> None:
        """End the tool and all that it started, within a few seconds; it does not start again."""
        with self._lock:
            self._started = True
            process, self._process = self._process, None
        if process is None or self._reader is None:
            return
        end_group(process, CLOSE_SECONDS)
        self._reader.join(CLOSE_SECONDS)
        pipes = [process.stdin, None if self._reader.is_alive() else process.stdout]
        for pipe in filter(None, pipes):
            with contextlib.suppress(OSError):
                pipe.close()


def _whole_lines(pipe: IO[bytes]) -> Iterator[bytes]:
    """Lines that have ended; one that is longer than a record may be is left out, and never held whole."""
    whole = True
    for piece in iter(lambda: pipe.readline(LONGEST_RECORD_BYTES), b""):
        ended = piece.endswith(b"\n")
        if whole and ended:
            yield piece
        whole = ended


def device_memory_peak_bytes(root: Path, chip: int, core: int) -> int | None:
    """Most device memory of one physical core, in bytes, since the driver was loaded or the file was cleared.

    The sum of the peaks of all categories: an upper bound, because they need not have come at one time. Where the
    driver also keeps the peak of the whole (``device_mem/peak``), that if it is smaller. None where there are none.
    """
    folder = device_folder(root, chip) / f"neuron_core{core}/stats/memory_usage/device_mem"
    peaks = [peak for path in folder.glob("*/peak") if (peak := _bytes(path)) is not None]
    if not peaks:
        return None
    return min(sum(peaks), _bytes(folder / "peak") or sum(peaks))


def _bytes(path: Path) -> int | None:
    text = small_text(path)
    return int(text) if text.isdecimal() and len(text) < 20 else None
