"""The closed list of causes of an SM-instant, in order of precedence (design: closed accounting).

Busy causes name the unit that works; wait causes name what a resident CTA waits for; idle causes say
why no CTA is resident. Every SM-instant has exactly one of them.
"""

BUSY = ("tensor", "softmax", "unpack", "alu", "issue")
WAIT = (
    "noc",
    "l2",
    "hbm_queue",
    "hbm_service",
    "tier",
    "sram_full",
    "inflight_limit",
    "translation",
    "tlb",
    "sram_bandwidth",
    "barrier",
    "store",
    "collective",
)
IDLE = ("launch", "dependency", "no_work")
CAUSES = BUSY + WAIT + IDLE
INDEX = {cause: i for i, cause in enumerate(CAUSES)}
