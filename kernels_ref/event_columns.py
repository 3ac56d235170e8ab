"""The order of events that a simulated machine really used, as plain columns, one row per event.

| kind         | columns that count                                                                         |
|--------------|--------------------------------------------------------------------------------------------|
| FETCH_DONE   | cta, tile, seq, kv_head, page_first, page_count, token_first, token_count; frame: -1 to read
|              | through the block table, else the frame that was read for the one page                      |
| TILE_CONSUMED| cta, tile, seq, kv_head, split, q_first, q_count: the fetched tile enters the softmax       |
| PARTIAL_DONE | seq, kv_head, split, q_first: no tile may follow                                            |
| MERGED       | seq, kv_head, q_first: the finished partials become the output                              |
| APPEND       | seq, token_first, token_count, frame; tile: slot that was written, -1 for position % page   |
| COPY         | page_first -> frame: the whole frame, with scales                                           |
| MIGRATE_OUT  | frame: its data has been read out to a tier; the frame stays as it is until FREE            |
| MIGRATE_IN   | page_first (the frame id that was migrated out, or lies in a tier) -> frame; table entries  |
|              | that name the source name the destination from now on                                       |
| FREE         | frame: its contents are gone                                                                |
| CONVERT      | frame; tile: index of the new format in Step.formats, -1 for what the step says             |

kv_head -1 stands for all KV heads (one CTA that holds them all); tile, merge and partial of one output must
use the same convention. q_first and q_count cut long prefills into query tiles; q_count -1 is all rows.
"""

from enum import IntEnum


class EventKind(IntEnum):
    FETCH_DONE = 0
    TILE_CONSUMED = 1
    PARTIAL_DONE = 2
    MERGED = 3
    APPEND = 4
    COPY = 5
    MIGRATE_OUT = 6
    MIGRATE_IN = 7
    FREE = 8
    CONVERT = 9


COLUMNS = (
    "time_ps",
    "kind",
    "cta",
    "tile",
    "seq",
    "kv_head",
    "split",
    "page_first",
    "page_count",
    "token_first",
    "token_count",
    "frame",
    "q_first",
    "q_count",
)
