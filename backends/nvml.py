"""Reads Nvidia GPUs beside a run through the driver's management library (NVML): energy, power, clocks, heat, company.

No CUDA context is made. What a card, a slice of one or a container does not tell is None, with the driver's reason.
Source: NVML API Reference Guide; the functions are those of the package nvidia-ml-py.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from backends.contract import Sampler

HELD_BACK = {
    "nvmlClocksEventReasonHwSlowdown",
    "nvmlClocksEventReasonSwThermalSlowdown",
    "nvmlClocksEventReasonHwThermalSlowdown",
    "nvmlClocksEventReasonHwPowerBrakeSlowdown",
}
"""Reasons for a lower clock that are no part of a healthy card's normal work; running at its power limit is."""
POWER_CAPPED = "nvmlClocksEventReasonSwPowerCap"


def samplers(count: int, visible: str | None = None) -> Sequence[Sampler]:
    """One for each of ``count`` GPUs that CUDA would show under CUDA_VISIBLE_DEVICES ``visible``. Starts nothing.

    By default the variable of this process, which a worker inherits. CUDA must number by bus, as NVML does
    (CUDA_DEVICE_ORDER=PCI_BUS_ID).
    """
    told = os.environ.get("CUDA_VISIBLE_DEVICES") if visible is None else visible
    names = list(map(str, range(count))) if told is None else visible_devices(told)
    return [NvmlSampler(index, name) for index, name in enumerate(names)]


def visible_devices(variable: str) -> list[str]:
    """Numbers and identifiers in order; CUDA takes nothing from the first impossible one on."""
    names: list[str] = []
    for name in map(str.strip, variable.split(",")):
        if not re.fullmatch(r"\d+|(GPU|MIG)-[\w/-]+", name):
            break
        names.append(name)
    return names


class NvmlSampler:
    """One GPU. The library is loaded, and the card found, at the first reading; a failure there is final."""

    def __init__(self, index: int, device: str) -> None:
        """``index``: CUDA's number of it in the worker; ``device``: NVML's, or the beginning of its identifier."""
        self.name = f"nvml-{index}"
        self._index, self._device = index, device
        self._library: Any = None
        self._handle: Any = None
        self._failure: str | None = None

    def read(self) -> Mapping[str, float | str | None]:
        """Figures by name; ``missing`` holds the driver's reason for each that it did not tell.

        ``energy_joules`` counts from the start of the driver, so the difference of two readings is what the card
        took between. ``throttled`` is 1.0 while heat, a hardware slowdown or a power brake lowers the clock,
        ``power_capped`` while the card's own power limit does. ``processes`` counts those with a CUDA context;
        ``sliced`` is 1.0 where the card is divided (MIG).
        """
        if self._handle is None and self._failure is None:
            self._failure = self._open()
        if self._failure is not None:
            return {"device_index": float(self._index), "missing": f"NVML: {self._failure}"}
        return {"device_index": float(self._index), **self._figures()}

    def _open(self) -> str | None:
        """Load the library and find the card; returns why not."""
        try:
            import pynvml
        except ImportError:
            return "the package nvidia-ml-py is not installed"
        try:
            pynvml.nvmlInit()
            self._library = pynvml
            self._handle = self._find()
        except pynvml.NVMLError as error:
            return str(error)
        return None if self._handle is not None else f"no card {self._device[:8]}"

    def _find(self) -> Any:
        """By number, by whole identifier (a slice's too), or by the beginning of one, which CUDA allows."""
        nvml = self._library
        if self._device.isdecimal():
            return nvml.nvmlDeviceGetHandleByIndex(int(self._device))
        if self._device.startswith("MIG-"):
            return nvml.nvmlDeviceGetHandleByUUID(self._device)
        cards = map(nvml.nvmlDeviceGetHandleByIndex, range(nvml.nvmlDeviceGetCount()))
        return next((card for card in cards if nvml.nvmlDeviceGetUUID(card).startswith(self._device)), None)

    def _figures(self) -> dict[str, float | str | None]:
        values: dict[str, float | str | None] = {}
        reasons: list[str] = []
        for names, ask in self._questions():
            try:
                values |= dict(zip(names, ask(), strict=True))
            except self._library.NVMLError as error:
                values |= dict.fromkeys(names)
                reasons += [f"{name}: {error}" for name in names]
        if self._device.startswith("MIG-"):
            values["sliced"] = 1.0
        return values | ({"missing": "; ".join(reasons)} if reasons else {})

    def _questions(self) -> Iterator[tuple[Sequence[str], Callable[[], Sequence[float]]]]:
        """Names of figures, and what asks for them."""
        nvml, card = self._library, self._handle
        yield ("energy_joules",), lambda: [nvml.nvmlDeviceGetTotalEnergyConsumption(card) / 1e3]
        yield ("power_watts",), lambda: [nvml.nvmlDeviceGetPowerUsage(card) / 1e3]
        yield ("power_limit_watts",), lambda: [nvml.nvmlDeviceGetEnforcedPowerLimit(card) / 1e3]
        yield ("default_power_limit_watts",), lambda: [nvml.nvmlDeviceGetPowerManagementDefaultLimit(card) / 1e3]
        yield ("clock_mhz",), lambda: [float(nvml.nvmlDeviceGetClockInfo(card, nvml.NVML_CLOCK_SM))]
        yield ("memory_clock_mhz",), lambda: [float(nvml.nvmlDeviceGetClockInfo(card, nvml.NVML_CLOCK_MEM))]
        yield ("temperature_celsius",), lambda: [float(nvml.nvmlDeviceGetTemperature(card, nvml.NVML_TEMPERATURE_GPU))]
        yield ("throttled", "power_capped", "clock_event_reasons"), self._clock_reasons
        yield ("processes",), lambda: [float(len(nvml.nvmlDeviceGetComputeRunningProcesses(card)))]
        yield ("sliced",), lambda: [float(nvml.nvmlDeviceGetMigMode(card)[0])]

    def _clock_reasons(self) -> Sequence[float]:
        """Whether the card is held back, whether it is at its power limit, and the driver's bits."""
        nvml = self._library
        bits = nvml.nvmlDeviceGetCurrentClocksEventReasons(self._handle)
        held_back = any(bits & getattr(nvml, name) for name in HELD_BACK)
        return [float(held_back), float(bool(bits & getattr(nvml, POWER_CAPPED))), float(bits)]

    def close(self) -> None:
        """Let go of the library, which counts how often it was loaded."""
        library, self._library, self._handle = self._library, None, None
        if library is not None:
            self._failure = "closed"
            library.nvmlShutdown()
