"""What a CTA's wait for a tile was spent on: the wait is cut by the time stamps of the tile's last line.

Queueing goes to the resource that had the queue. The uncontended latency goes to what kept more bytes from
being in flight to hide it: `sram_full` if all stage buffers were out, `inflight_limit` if the SM's cap on
outstanding bytes had been reached, else to the stage itself (`noc`, `l2`, `hbm_service`).

An MSHR is out for as long as its miss takes, so a wait for one is divided as such a time is, for which the waiting
request's own miss stands: the part in the queue of memory is `hbm_queue`, at a link between partitions `noc`, and the
rest `l2`, whose MSHRs keep more bytes from being in flight.
"""

import numpy as np
from numpy.typing import NDArray

from sim.causes import INDEX
from sim.memory.stamps import Stamp

Ints = NDArray[np.int64]

NOC, L2, HBM_QUEUED, HBM_SERVICE = (INDEX[c] for c in ("noc", "l2", "hbm_queue", "hbm_service"))
SRAM_FULL, INFLIGHT = INDEX["sram_full"], INDEX["inflight_limit"]
ISSUE, TLB, TRANSLATION = INDEX["issue"], INDEX["tlb"], INDEX["translation"]
INFLIGHT_WAIT, ISSUED, TLB_WAIT, TRANSLATION_WAIT = (
    int(s) for s in (Stamp.INFLIGHT_WAIT, Stamp.ISSUE, Stamp.TLB_WAIT, Stamp.TRANSLATION_WAIT)
)
L2_ARRIVE, L2_QUEUE, L2_DONE = int(Stamp.L2_ARRIVE), int(Stamp.L2_QUEUE), int(Stamp.L2_DONE)
MSHR_WAIT, LINK_QUEUE = int(Stamp.MSHR_WAIT), int(Stamp.LINK_QUEUE)
HBM_ENQUEUE, HBM_QUEUE, HBM_DONE = int(Stamp.HBM_ENQUEUE), int(Stamp.HBM_QUEUE), int(Stamp.HBM_DONE)
NOC_QUEUE, SM_ARRIVE = int(Stamp.NOC_QUEUE), int(Stamp.SM_ARRIVE)


STAGES = (
    *(ISSUE, TRANSLATION, INFLIGHT, TLB, NOC, L2, HBM_QUEUED, NOC, L2),
    *(HBM_SERVICE, HBM_QUEUED, HBM_SERVICE, NOC, NOC, NOC),
)
"""Causes of the stages in order of time, and of what remains of a wait behind the last."""
LATENCIES = (4, 8, 9, 11, 13)
"""Stages that more bytes in flight would have hidden: they go to what kept them out, where there is such a thing."""


def cut(stamps: Ints, since: Ints, until: Ints, starved: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """[M, 3] cause code, begin, end of the parts of each wait [since, until), without gaps, wait after wait; and [M]
    which wait each is a part of.

    stamps: [N, N_STAMPS] of the fetches waited for; since, until: [N] ps; starved: [N] all stage buffers were out.
    """
    ends = np.minimum(_stage_ends(stamps, until), until[:, None])
    at = np.maximum.accumulate(np.column_stack([since, ends]), axis=1)
    begins, ends = at[:, :-1], at[:, 1:]
    kept = ends > begins
    parts = np.stack([_codes(stamps, starved)[kept], begins[kept], ends[kept]], axis=1)
    return parts, np.nonzero(kept)[0]


def _codes(stamps: Ints, starved: NDArray[np.bool_]) -> Ints:
    codes = np.tile(np.array(STAGES, np.int64), (len(stamps), 1))
    capped = stamps[:, INFLIGHT_WAIT] > 0
    for stage in LATENCIES:
        codes[capped, stage] = INFLIGHT
        codes[starved, stage] = SRAM_FULL
    return codes


def _stage_ends(stamps: Ints, until: Ints) -> Ints:
    """[N, 15] end of each stage of the line that arrived last."""
    capped = stamps[:, INFLIGHT_WAIT]
    issue, arrive, done = stamps[:, ISSUED], stamps[:, L2_ARRIVE], stamps[:, HBM_DONE]
    queued = arrive + stamps[:, L2_QUEUE]
    of_memory, of_link = _behind_mshrs(stamps)
    return np.stack(
        [
            issue - capped - stamps[:, TRANSLATION_WAIT],
            issue - capped,
            issue,
            issue + stamps[:, TLB_WAIT],
            arrive,
            queued - of_memory - of_link,
            queued - of_link,
            queued,
            stamps[:, L2_DONE],
            stamps[:, HBM_ENQUEUE],
            stamps[:, HBM_ENQUEUE] + stamps[:, HBM_QUEUE],
            done,
            done + stamps[:, NOC_QUEUE],
            stamps[:, SM_ARRIVE],
            until,
        ],
        axis=1,
    )


def _behind_mshrs(stamps: Ints) -> tuple[Ints, Ints]:
    """[N] of the wait for MSHRs, parts for which queues held them: those for memory, for a link between partitions."""
    waited, memory, link = stamps[:, MSHR_WAIT], stamps[:, HBM_QUEUE], stamps[:, LINK_QUEUE]
    at_slices = stamps[:, L2_QUEUE] - waited  # of that slice or, where it holds an MSHR, of the home slice
    held = np.maximum(1, at_slices + stamps[:, HBM_DONE] - stamps[:, L2_DONE] + link)
    return (waited * (memory / held)).astype(np.int64), (waited * (link / held)).astype(np.int64)
