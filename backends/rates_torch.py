"""Matrix products and copies alone on a torch device: what a step is held against."""

from collections.abc import Callable
from functools import partial
from itertools import cycle

import torch
from torch import Tensor

from backends.contract import Rank
from backends.product_choice import best_seconds
from backends.torch_device import TorchDevice
from workloads.models.product_torch import PRODUCT_KERNELS


class TorchRates:
    """See `backends.contract.Rates`."""

    def __init__(self, device: TorchDevice | str, dtype: str) -> None:
        """On the first device of a type ("cpu", "cuda") or of what the engine knows; ``dtype`` of the operands."""
        self._on = TorchDevice(device) if isinstance(device, str) else device
        self._device, self._dtype = self._on.take(Rank()), getattr(torch, dtype)
        torch.set_float32_matmul_precision("highest")
        self._last = torch.zeros(1, device=self._device)
        self.device_name = str(self._on.describe()["device_name"])

    def product(self, size: int, variants: int) -> Callable[[], None]:
        """Enqueue A B^T of square matrices, the next of so many pairs, by the quicker library if there are two."""
        several = [(self._random(size), self._random(size)) for _ in range(variants)]
        multiply, pairs = self._quickest(*several[0]), cycle(several)

        def enqueue() -> None:
            self._last = multiply(*next(pairs))
            self._on.enqueued()

        return enqueue

    def _quickest(self, left: Tensor, right: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
        """For float32 on a CPU they are two libraries; on other devices a convolution may round its operands."""
        if self._device.type != "cpu" or self._dtype != torch.float32:
            return PRODUCT_KERNELS["matmul"]
        kernels = [PRODUCT_KERNELS[name] for name in ("matmul", "convolution")]
        seconds = best_seconds(*(partial(kernel, left, right) for kernel in kernels))
        return kernels[seconds.index(min(seconds))]

    def copy(self, size_bytes: int, variants: int) -> Callable[[], None]:
        """Enqueue a copy to memory of its own, from the next of so many places."""
        count = size_bytes // 4
        sources = cycle([torch.ones(count, device=self._device) * number for number in range(variants)])
        target = torch.empty(count, device=self._device)

        def enqueue() -> None:
            self._last = target.copy_(next(sources))
            self._on.enqueued()

        return enqueue

    def _random(self, size: int) -> Tensor:
        """Normal numbers: a product of zeros draws less power, and runs at a higher clock."""
        return torch.randn(size, size).to(self._dtype).to(self._device)

    def finish(self) -> None:
        """Wait for all, and read a number back."""
        self._on.synchronize()
        float(self._last.flatten()[0].float().cpu())

    def close(self) -> None:
        """Let go of the device."""
        self._on.close()
