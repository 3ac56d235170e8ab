"""Who works on which item of a grid, and when.

`grid`: the block scheduler gives CTAs to SM slots in start order, breadth first, and then to whichever slot is free
next. Persistent kernels fill the slots once: their CTAs take further items from a counter, or every n-th one, and pay
the entry of an item in place of that of a CTA.
"""

from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import simpy

from sim.device.ahead import AheadCta
from sim.device.alone import AloneCta
from sim.device.cta import Cta
from sim.device.job import Context, Job
from sim.device.sm import Sm
from sim.lowering.item_search import groups_passed


@dataclass(frozen=True)
class Plan:
    """How the items of a grid are dealt out. `cta_ps`: from a free slot to the CTA's first instruction; `search_ps`: of
    a persistent CTA, for each group of sequences passed on the way to an item; `sequence`: of each item."""

    order: Sequence[int]
    scheduling: str
    cta_ps: int
    item_ps: int
    search_ps: int = 0
    sequence: Sequence[int] = ()

    def search(self, last: int | None, index: int) -> int:
        """ps of a persistent CTA's way from the sequence of its item `last` (none: from the first one) to an item."""
        if not self.search_ps:
            return 0
        return self.search_ps * groups_passed(
            0 if last is None else self.sequence[last], self.sequence[index]
        )


def _slot(
    context: Context, job: Job, sm: Sm, queue: deque[int], plan: Plan
) -> Generator[simpy.Event, Any, None]:
    kind = AloneCta if job.pipelined and context.page_gate is None else Cta
    last: int | None = None
    while queue:
        index = queue.popleft()
        if plan.cta_ps and last is None:
            yield context.env.timeout(plan.cta_ps)
        entry = job.prologue_ps if last is None else plan.item_ps
        yield from kind(context, job, sm, index).run(entry + plan.search(last, index))
        last = None if plan.scheduling == "grid" else index


def _slot_ahead(
    context: Context, job: Job, sm: Sm, queue: deque[int], plan: Plan
) -> Generator[simpy.Event, Any, None]:
    """A resident CTA that takes its next item, and has looked for it, before it is done with the last."""

    def take() -> int | None:
        return queue.popleft() if queue else None

    index = take()
    if index is None:
        return
    yield context.env.timeout(plan.cta_ps)
    cta: AheadCta | None = AheadCta(context, job, sm, index, take)
    entry = job.prologue_ps + plan.search(None, index)
    while cta is not None:
        yield from cta.run(entry)
        cta, entry = cta.successor, plan.item_ps


def run_grid(context: Context, job: Job, sms: list[Sm], ctas_per_sm: int, plan: Plan) -> simpy.Event:
    """Start the grid now; the event fires when its last item is done."""
    places = [sm for _ in range(ctas_per_sm) for sm in sms][: len(plan.order)]
    if plan.scheduling == "stride":
        queues = [deque(plan.order[first :: len(places)]) for first in range(len(places))]
    else:
        queues = [deque(plan.order)] * len(places)
    slot = _slot_ahead if job.runs_ahead else _slot
    slots = [
        context.env.process(slot(context, job, sm, queue, plan))
        for sm, queue in zip(places, queues, strict=True)
    ]
    return context.env.all_of(slots)
