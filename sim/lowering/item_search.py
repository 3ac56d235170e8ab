"""How a resident CTA finds the sequence of its next work item.

Items are numbered through all sequences. Where these have different numbers of items, a warp adds up the items of 31 of
them at once, from the sequence of its last item on (of the first one at the start), until the next item is among them:
a load and a prefix sum a group (FlashAttention-3 source, `VarlenDynamicPersistentTileScheduler`). The first group is
part of what an item costs anyhow; each further one is `search_clk`.
"""

GROUP = 31
"""Sequences that a warp looks through at once; its last lane has the sum."""


def groups_passed(last: int, following: int) -> int:
    """Groups beyond the first on the way from sequence `last` to `following`."""
    return max(0, following - last) // GROUP
