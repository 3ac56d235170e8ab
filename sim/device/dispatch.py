"""Block scheduler: CTAs go to SM slots in grid order, breadth first, and then to whichever slot is free next."""

from collections import deque
from collections.abc import Generator
from typing import Any

import simpy

from sim.device.cta import Context, Cta, Job
from sim.device.sm import Sm


def _slot(
    context: Context, job: Job, sm: Sm, queue: deque[int], cta_ps: int
) -> Generator[simpy.Event, Any, None]:
    while queue:
        index = queue.popleft()
        if cta_ps:
            yield context.env.timeout(cta_ps)
        yield from Cta(context, job, sm, index).run()


def run_grid(context: Context, job: Job, sms: list[Sm], ctas_per_sm: int, cta_ps: int) -> simpy.Event:
    """Start the grid now; the event fires when its last CTA has finished."""
    queue = deque(range(len(job.output)))
    slots = [
        context.env.process(_slot(context, job, sm, queue, cta_ps))
        for _, sm in zip(range(len(queue)), [sm for _ in range(ctas_per_sm) for sm in sms], strict=False)
    ]
    return context.env.all_of(slots)
