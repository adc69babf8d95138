"""Initial values of a model's parameters."""

import math
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from workloads.random_bits import normal_like
from workloads.shapes import is_decayed, parameter_shapes
from workloads.spec import Model

_SLICE = 2**24
"""Parameters drawn at a time: bounds host memory to about a gigabyte beside the tensor itself."""


def initial_parameters(model: Model, seed: int) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Name and float32 array of every parameter, one at a time, so that a model is never held twice.

    The same bits for every framework, machine and numpy version: float32 values, which other
    precisions convert. Each tensor has a stream of its own, keyed by seed and name.
    """
    for name, shape in parameter_shapes(model).items():
        yield name, initial_parameter(name, shape, model.init_std, seed)


def initial_parameter(name: str, shape: tuple[int, ...], std: float, seed: int) -> NDArray[np.float32]:
    """One initial parameter, float32: ones for a norm weight, else nearly normal with the given deviation."""
    if not is_decayed(shape):
        return np.ones(shape, dtype=np.float32)
    flat = np.empty(math.prod(shape), dtype=np.float32)
    for start in range(0, flat.size, _SLICE):
        stop = min(start + _SLICE, flat.size)
        flat[start:stop] = normal_like(seed, f"{name}/{start // _SLICE}", stop - start, std)
    return flat.reshape(shape)


def as_dict(model: Model, seed: int) -> Mapping[str, NDArray[np.float32]]:
    """All initial parameters at once, for models that fit twice."""
    return dict(initial_parameters(model, seed))
