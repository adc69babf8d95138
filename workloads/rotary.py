"""Rotary position embedding, half-rotation convention (element i turns with element i + width/2).

The convention of the published Llama weights in Hugging Face's layout. Angles are computed once, in
float64, and handed to the frameworks as tables.
"""

import math

import numpy as np
from numpy.typing import NDArray

from workloads.spec import Model, RotaryScaling


def rotary_tables(model: Model, sequence_length: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cosine and sine of every position's angles: two float64 arrays (sequence_length, head_width / 2)."""
    angles = np.outer(np.arange(sequence_length, dtype=np.float64), rotary_frequencies(model))
    return np.cos(angles), np.sin(angles)


def rotary_frequencies(model: Model) -> NDArray[np.float64]:
    """Radians per position of each pair, float64 (head_width / 2,): base^(-2i / width), scaled if the model says so."""
    width = model.head_width
    frequencies = model.rotary_base ** (-np.arange(0, width, 2, dtype=np.float64) / width)
    return frequencies if model.rotary_scaling is None else _scaled(frequencies, model.rotary_scaling)


def _scaled(frequencies: NDArray[np.float64], scaling: RotaryScaling) -> NDArray[np.float64]:
    """Llama 3.1's rule: low frequencies divided by the factor, high ones kept, a linear blend between."""
    turns_in_context = scaling.original_context * frequencies / (2 * math.pi)
    span = scaling.high_frequency_factor - scaling.low_frequency_factor
    kept = np.clip((turns_in_context - scaling.low_frequency_factor) / span, 0.0, 1.0)
    blended: NDArray[np.float64] = kept * frequencies + (1 - kept) * frequencies / scaling.factor
    return blended
