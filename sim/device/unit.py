"""A pipelined unit of one SM (tensor cores, vector pipes, unpack engine): work-conserving, one job at a time.

A job that is ready takes every free instant of the unit from then on, so a resident CTA never waits for an idle
unit. Times are integer picoseconds.
"""

Span = tuple[int, int]


class Unit:
    """Reservations as a short, sorted list of busy spans; what lies in the past is forgotten."""

    __slots__ = ("spans",)

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def reserve(self, ready: int, duration: int, present: int) -> list[Span]:
        """Book `duration` ps of the unit from `ready` on; the spans booked, in order (empty for no work).

        `present` is the simulated time, which never decreases: nobody asks for an instant before it any more. A job
        whose stages come later books ahead of it, and others may still use the gaps.
        """
        if duration <= 0:
            return []
        spans = self.spans
        if spans and spans[0][1] <= present:
            spans = [span for span in spans if span[1] > present]
        if not spans or spans[-1][1] <= ready:
            spans.append((ready, ready + duration))
            self.spans = spans
            return [(ready, ready + duration)]
        booked = []
        at = ready
        left = duration
        for begin, end in spans:
            if begin > at:
                take = min(left, begin - at)
                booked.append((at, at + take))
                left -= take
                if left == 0:
                    break
            at = max(at, end)
        if left:
            booked.append((at, at + left))
        self.spans = sorted(spans + booked)
        return booked
