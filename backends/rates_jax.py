"""Matrix products and copies alone on a jax platform: what a step is held against. Reads no clock."""

from collections.abc import Callable
from itertools import cycle

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from backends.contract import Rank
from backends.engine_jax import devices_of


class JaxRates:
    """See `backends.contract.Rates`."""

    def __init__(self, platform: str, dtype: str) -> None:
        """On the first device of the platform; ``dtype`` of the operands."""
        (self._device,) = devices_of(platform, Rank())
        self._dtype, self._random = dtype, np.random.default_rng()
        self._last: Array = jax.device_put(np.zeros((1, 1), np.float32), self._device)
        self.device_name = str(self._device.device_kind)

    def product(self, size: int, variants: int) -> Callable[[], None]:
        """Enqueue A B^T of square matrices, the next of so many pairs."""
        pairs = cycle([(self._matrix(size), self._matrix(size)) for _ in range(variants)])
        multiply = jax.jit(lambda a, b: jnp.einsum("io,jo->ij", a, b, precision=jax.lax.Precision.HIGHEST))

        def enqueue() -> None:
            self._last = multiply(*next(pairs))

        return enqueue

    def copy(self, size_bytes: int, variants: int) -> Callable[[], None]:
        """Enqueue a copy to memory of its own, from the next of so many places."""
        shape = (size_bytes // 4096, 1024)
        places = [np.full(shape, number, np.float32) for number in range(variants)]
        sources = cycle([jax.device_put(place, self._device) for place in places])
        duplicate = jax.jit(jnp.copy)

        def enqueue() -> None:
            self._last = duplicate(next(sources))

        return enqueue

    def _matrix(self, size: int) -> Array:
        """Normal numbers: a product of zeros draws less power, and runs at a higher clock."""
        values = self._random.standard_normal((size, size), np.float32)
        return jax.device_put(values.astype(jnp.dtype(self._dtype)), self._device)

    def finish(self) -> None:
        """Wait for all, and read a number back."""
        jax.block_until_ready(self._last)
        float(self._last[0, 0])

    def close(self) -> None:
        """Nothing is held."""
