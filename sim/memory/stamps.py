"""Time stamps of a fetch: those of its chunk that arrived last, in picoseconds.

Instants are in causal order SUBMIT <= ISSUE <= L2_ARRIVE <= L2_DONE <= HBM_ENQUEUE <= HBM_DONE <= SM_ARRIVE; on an
L2 hit the HBM instants equal L2_DONE. Durations separate queueing from the uncontended part:

- SUBMIT..ISSUE = INFLIGHT_WAIT (outstanding cap, of this fetch's earlier chunks too) + TRANSLATION
  (block-table entries) + address generation and run set-up of this and earlier requests of the port
- ISSUE..L2_ARRIVE = request network (+ TLB_WAIT, + write-data serialisation and wait for the partition link)
- L2_ARRIVE..L2_DONE = L2_QUEUE (slice busy, of which MSHR_WAIT: MSHRs taken; behind it the server of a last-level cache
  that answers) + look-up
- L2_DONE..HBM_ENQUEUE = the controller's way in
- HBM_ENQUEUE..HBM_DONE = HBM_QUEUE + uncontended row, column and burst time, and the controller's way out
- HBM_DONE..SM_ARRIVE = NOC_QUEUE (partition link, of which LINK_QUEUE while an MSHR is held; SM ingress port) + return
  network

Who waits for sectors that another request has in flight waits as that one does, from then on.
"""

from enum import IntEnum

from sim.memory.layout import F_STAMPS, F_SUBMIT, F_WAITED, STAMP_COLS


class Stamp(IntEnum):
    """Columns of `MemoryPlane.stamps`."""

    SUBMIT = 0
    MSHR_WAIT = 1
    INFLIGHT_WAIT = 2
    ISSUE = 3
    TLB_WAIT = 4
    L2_ARRIVE = 5
    L2_DONE = 6
    HBM_ENQUEUE = 7
    LINK_QUEUE = 8
    HBM_DONE = 9
    SM_ARRIVE = 10
    NOC_QUEUE = 11
    L2_QUEUE = 12
    HBM_QUEUE = 13
    TRANSLATION_WAIT = 14


N_STAMPS = len(Stamp)
assert N_STAMPS == STAMP_COLS
assert (F_SUBMIT - F_STAMPS, F_WAITED - F_STAMPS) == (Stamp.SUBMIT, Stamp.TRANSLATION_WAIT)
