"""A torch device's operations by torch's own profiler."""

from collections.abc import Callable, Sequence

import torch
from torch.profiler import ProfilerActivity, profile

from backends.errors import Unavailable
from backends.host import peak_resident_memory
from backends.profiles import Operation

ACTIVITIES = {"cpu": ProfilerActivity.CPU, "cuda": ProfilerActivity.CUDA, "xpu": ProfilerActivity.XPU}


def operations(run: Callable[[], None], device_type: str) -> Sequence[Operation]:
    """What ``run`` does on the device; it must block until the device is done.

    Raises:
        Unavailable: torch's profiler does not look into such a device.
    """
    if device_type not in ACTIVITIES:
        raise Unavailable(f"torch's profiler does not look into {device_type}", "use the vendor's own profiler")
    on_host = device_type == "cpu"
    if on_host:
        _make_room()
    activities = {ProfilerActivity.CPU, ACTIVITIES[device_type]}
    with profile(activities=activities, record_shapes=True, with_flops=on_host, acc_events=True) as seen:
        run()
    times = "self_cpu_time_total" if on_host else "self_device_time_total"
    return [
        Operation(name=event.key, seconds=getattr(event, times) / 1e6, calls=event.count, flops=float(event.flops or 0))
        for event in seen.key_averages()
        if getattr(event, times) > 0 and (on_host or event.device_type.name != "CPU")
    ]


def _make_room() -> None:
    """Touch as much memory as was ever held, beside it, and let it go, so that the allocator has it at hand.

    What the profiler notes lies between the tensors and is kept: each step then finds its large tensors' old places
    taken, and would be seen to wait for new pages (half as long again, `llama-tiny` on huge pages).
    """
    torch.ones(peak_resident_memory().peak_bytes, dtype=torch.uint8)
