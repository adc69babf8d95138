"""The synthetic stream `zipf-successor`: learnable token ids for vocabularies that no shipped text fills.

Every token is, with probability 1/2 each, either a fresh draw of a Zipf law over the vocabulary
(rank r with weight 1 / (r + 1)) or the successor (id + 1, modulo the vocabulary) of the token before
it. A model first learns the unigram distribution, then the successor rule; `loss_floor` is the least
mean cross-entropy any model can reach. Made with whole-number arithmetic only, so that every machine
makes the same tokens.
"""

import numpy as np
from numpy.typing import NDArray

from workloads.random_bits import raw_bits

NAME = "zipf-successor"

_LARGEST_WEIGHT = 2**32


def zipf_successor(seed: int, step: int, rows: int, columns: int, vocab_size: int) -> NDArray[np.int32]:
    """Token ids of one step, int32 (rows, columns)."""
    bits = raw_bits(seed, f"{NAME}/{step}", 2 * rows * columns).reshape(2, rows, columns)
    fresh = (bits[0] >> np.uint64(63)).astype(bool)
    fresh[:, 0] = True
    position = np.broadcast_to(np.arange(columns), (rows, columns))
    last_fresh = np.maximum.accumulate(np.where(fresh, position, 0), axis=1)
    drawn = np.take_along_axis(_zipf_draws(bits[1], vocab_size), last_fresh, axis=1)
    return ((drawn + position - last_fresh) % vocab_size).astype(np.int32)


def loss_floor(vocab_size: int) -> float:
    """Entropy of the next token given the one before, in nats: what the loss can reach and not pass."""
    zipf = _zipf_weights(vocab_size) / _zipf_weights(vocab_size).sum()
    visits = _stationary(zipf)
    successor = np.roll(zipf, -1)  # Zipf probability of each token's successor
    half = zipf / 2
    draws_only = -(half * np.log(half)).sum()
    swap = (successor / 2) * np.log(successor / 2) - (0.5 + successor / 2) * np.log(0.5 + successor / 2)
    return float(draws_only + (visits * swap).sum())


def _zipf_weights(vocab_size: int) -> NDArray[np.uint64]:
    return _LARGEST_WEIGHT // np.arange(1, vocab_size + 1, dtype=np.uint64)


def _zipf_draws(bits: NDArray[np.uint64], vocab_size: int) -> NDArray[np.int64]:
    edges = np.cumsum(_zipf_weights(vocab_size))
    return np.searchsorted(edges, bits % edges[-1], side="right")


def _stationary(zipf: NDArray[np.float64], rounds: int = 60) -> NDArray[np.float64]:
    """How often each token occurs: the fixed point of half a draw, half a shift; halves its error a round."""
    visits = zipf
    for _ in range(rounds):
        visits = (zipf + np.roll(visits, 1)) / 2
    return visits
