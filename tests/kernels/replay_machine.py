"""A small correct machine for replay tests: steps with shuffled frames, and an order that is allowed."""

import math

import numpy as np

from kernels_ref.replay import EventKind, Schedule
from kernels_ref.trace import Geometry, Step

Row = dict[str, int]


def make_step(
    context,
    q_len=1,
    page_tokens=16,
    kv_heads=2,
    group=2,
    kv_format="fp16",
    window=0,
    seed=0,
    spare=8,
    latent=False,
    appends=True,
) -> Step:
    context = np.asarray(context, np.int32)
    q_len = np.broadcast_to(np.asarray(q_len, np.int32), context.shape).copy()
    pages = -(-context // page_tokens)
    ptr = np.concatenate([[0], np.cumsum(pages)]).astype(np.int64)
    table = np.random.default_rng(seed).permutation(int(ptr[-1]) + spare)[: ptr[-1]].astype(np.int32)
    new = [
        (s, p, table[ptr[s] + p // page_tokens])
        for s in range(len(context))
        for p in range(context[s] - q_len[s], context[s])
    ]
    frames = int(ptr[-1]) + spare
    return Step(
        phase="decode",
        geometry=Geometry(kv_heads * group, kv_heads, 128, 128, window, latent),
        page_tokens=page_tokens,
        context=context,
        q_len=q_len,
        table_ptr=ptr,
        table=table,
        frame_format=np.zeros(frames, np.uint8),
        frame_residency=np.zeros(frames, np.uint8),
        formats=(kv_format, "int4"),
        appends=np.array(new if appends else [], np.int32).reshape(-1, 3),
    )


def tile_rows(
    step: Step, seq: int, head: int, cta: int, split: int, first: int, last: int, tile_tokens: int, rng
):
    """Fetch and consume rows of one CTA; two tiles are in flight."""
    rows: list[Row] = []
    time = 1000 + int(rng.integers(0, 500))
    starts = range(first, last, tile_tokens)
    for tile, start in enumerate(starts):
        count = min(tile_tokens, last - start)
        base = {"cta": cta, "tile": tile, "seq": seq, "kv_head": head, "split": split}
        page = start // step.page_tokens
        where = {"page_first": page, "page_count": (start + count - 1) // step.page_tokens - page + 1}
        where |= {"token_first": start, "token_count": count}
        fetched = time + 100 * tile + int(rng.integers(0, 50))
        rows.append(base | where | {"time_ps": fetched, "kind": EventKind.FETCH_DONE})
        rows.append(base | {"time_ps": time + 100 * tile + 170, "kind": EventKind.TILE_CONSUMED})
    end = time + 100 * len(starts) + 300
    rows.append({"time_ps": end, "kind": EventKind.PARTIAL_DONE, "seq": seq, "kv_head": head, "split": split})
    return rows, end


def make_rows(step: Step, tile_tokens=32, splits=2, seed=0, heads=None) -> list[Row]:
    """Rows of a correct run: copies and appends, then every (sequence, head, split), then the merges."""
    rng = np.random.default_rng(seed)
    rows: list[Row] = []
    for source, target in step.copies.tolist():
        rows.append({"time_ps": 1, "kind": EventKind.COPY, "page_first": source, "frame": target})
    for seq, position, frame in step.appends.tolist():
        row = {"seq": seq, "token_first": position, "token_count": 1, "frame": frame}
        rows.append(row | {"time_ps": 2, "kind": EventKind.APPEND})
    cta = 0
    for seq in range(step.sequences):
        context, window = int(step.context[seq]), step.geometry.window
        oldest = max(context - int(step.q_len[seq]) - window + 1, 0) if window else 0
        oldest -= oldest % step.page_tokens
        pages = math.ceil((context - oldest) / step.page_tokens)
        per_split = math.ceil(pages / splits) * step.page_tokens
        for head in heads or range(step.geometry.kv_heads):
            ends = []
            for split in range(splits):
                first = min(oldest + split * per_split, context)
                last = min(first + per_split, context)
                made, end = tile_rows(step, seq, head, cta, split, first, last, tile_tokens, rng)
                rows += made
                ends.append(end)
                cta += 1
            if context and step.q_len[seq]:
                rows.append(
                    {"time_ps": max(ends) + 10, "kind": EventKind.MERGED, "seq": seq, "kv_head": head}
                )
    return rows


def make_schedule(step: Step, **options) -> Schedule:
    return Schedule.from_rows(make_rows(step, **options))
