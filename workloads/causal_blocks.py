"""How causal attention is cut into blocks of queries, each with the keys up to its last query."""

MOST_BLOCKS = 8
"""More blocks leave more work out, and take longer to compile."""


def causal_blocks(positions: int, smallest: int) -> list[slice]:
    """The positions of each block's queries, in order: ``smallest`` or more of them, the last perhaps of fewer."""
    size = max(smallest, -(-positions // MOST_BLOCKS))
    return [slice(start, min(start + size, positions)) for start in range(0, positions, size)]
