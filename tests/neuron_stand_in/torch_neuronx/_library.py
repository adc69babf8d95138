"""The compiled device (device.cpp) and the C functions that it answers to."""

import ctypes
import logging
import os

from torch_neuronx._settings import Settings, read

_DTYPES = logging.getLogger("torch_neuronx.python_ops.dtype_autocast")
_ON_INT64 = ctypes.CFUNCTYPE(None, ctypes.c_char_p)
_MEMORY = ("allocated", "peak", "reserved", "peak_reserved", "allocations", "frees", "out_of_memory")

EAGER, IN_GRAPH, FELL_BACK = range(3)
"""How the operators that run now came to run; see `enum Mode` in device.cpp."""


class _Settings(ctypes.Structure):
    _fields_ = (
        ("cores", ctypes.c_int),
        ("early_sync", ctypes.c_int),
        ("runtime_error_on_oom", ctypes.c_int),
        ("fused_adamw", ctypes.c_int),
        ("memory_bytes", ctypes.c_int64),
        ("op_seconds", ctypes.c_double),
        ("bytes_per_second", ctypes.c_double),
        ("first_step_seconds", ctypes.c_double),
    )


class Device:
    """The one device of this process."""

    def __init__(self) -> None:
        """Load the library named by NEURON_STAND_IN_LIBRARY and hand it the settings.

        Raises:
            ImportError: the variable is missing or names no library.
        """
        path = os.environ.get("NEURON_STAND_IN_LIBRARY")
        if not path:
            raise ImportError("torch_neuronx (stand-in): set NEURON_STAND_IN_LIBRARY to what build.py printed")
        try:
            self.c = ctypes.CDLL(path)
        except OSError as error:
            raise ImportError(f"torch_neuronx (stand-in): {error}") from None
        self.settings = read()
        self._declare()
        self._warned: set[bytes] = set()
        self._on_int64 = _ON_INT64(self._warn_int64)  # the library keeps no reference of its own
        self.c.nsi_start(ctypes.byref(_as_c(self.settings)), self._on_int64)
        if "silent-fallback" in self.settings.faults:
            for name in self.settings.fallback_operators:
                self.c.nsi_mark_fallback(name.encode())

    def _declare(self) -> None:
        self.c.nsi_enqueue.argtypes = (ctypes.c_int, ctypes.c_double)
        self.c.nsi_memory.argtypes = (ctypes.c_int, ctypes.POINTER(ctypes.c_int64))
        self.c.nsi_operators.restype = ctypes.c_char_p
        self.c.nsi_int64_events.restype = ctypes.c_int64

    def _warn_int64(self, how: bytes) -> None:
        """Once for each way; `int64_events` counts them all."""
        if how not in self._warned:
            self._warned.add(how)
            _DTYPES.warning("int64 tensor %s: torch_neuronx computes it as int32", how.decode())

    def memory(self, core: int) -> dict[str, int]:
        """The allocator's counters, in bytes or events."""
        values = (ctypes.c_int64 * len(_MEMORY))()
        self.c.nsi_memory(core, values)
        return dict(zip(_MEMORY, values, strict=True))

    def operators(self, fell_back: bool) -> list[str]:
        """Sorted names, such as ``aten::mm``, since they were last cleared."""
        return self.c.nsi_operators(int(fell_back)).decode().split()

    def int64_events(self) -> dict[str, int]:
        """How many int64 tensors were ``moved to the device`` and ``made on the device``."""
        ways = ("moved to the device", "made on the device")
        return {way: self.c.nsi_int64_events(way.encode()) for way in ways}


def _as_c(settings: Settings) -> _Settings:
    return _Settings(
        cores=0 if "no-device" in settings.faults else settings.cores,
        early_sync="early-sync" in settings.faults,
        runtime_error_on_oom=settings.out_of_memory == "runtime",
        fused_adamw=settings.fused_adamw,
        memory_bytes=settings.memory_bytes,
        op_seconds=settings.op_seconds,
        bytes_per_second=settings.bytes_per_second,
        first_step_seconds=settings.first_step_seconds,
    )


DEVICE = Device()
