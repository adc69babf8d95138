"""Blocks of queries: every position in one of them, in order, and no more of them than promised."""

import pytest

from workloads.causal_blocks import MOST_BLOCKS, causal_blocks


@pytest.mark.parametrize("positions", [1, 100, 128, 200, 256, 1000, 2048, 8191])
@pytest.mark.parametrize("smallest", [1, 64, 128])
def test_every_position_is_in_one_block(positions: int, smallest: int) -> None:
    blocks = causal_blocks(positions, smallest)
    assert [at for block in blocks for at in range(positions)[block]] == list(range(positions))
    sizes = [block.stop - block.start for block in blocks]
    assert len(blocks) <= MOST_BLOCKS
    assert min(sizes[:-1], default=smallest) >= smallest
    assert sizes[-1] <= sizes[0]
