"""A pipelined unit of one SM (tensor cores, vector pipes, unpack engine): work-conserving, one job at a time.

A job that is ready takes every free instant of the unit from then on, so a resident CTA never waits for an idle
unit. Times are integer picoseconds.
"""

Span = tuple[int, int]


class Unit:
    """Reservations as a short, sorted list of busy spans; spans that ended before the next job are forgotten."""

    __slots__ = ("spans",)

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def reserve(self, ready: int, duration: int) -> list[Span]:
        """Book `duration` ps of the unit from `ready` on; the spans booked, in order (empty for no work).

        `ready` never decreases by more than the work still booked: callers ask at the simulated present.
        """
        if duration <= 0:
            return []
        spans = self.spans
        if not spans or spans[-1][1] <= ready:
            booked = [(ready, ready + duration)]
            self.spans = booked.copy()
            return booked
        booked = []
        at = ready
        left = duration
        kept = [span for span in spans if span[1] > ready]
        for begin, end in kept:
            if begin > at:
                take = min(left, begin - at)
                booked.append((at, at + take))
                left -= take
                if left == 0:
                    break
            at = max(at, end)
        if left:
            booked.append((at, at + left))
        self.spans = sorted(kept + booked)
        return booked
