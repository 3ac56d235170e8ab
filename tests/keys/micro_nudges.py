"""One change for every key of the schema of microbenchmarks: the witness on which it shows."""

from types import MappingProxyType

from key_witness import Nudge

EXEMPT = MappingProxyType(
    {
        "name": "a label of results",
        "description": "one line of `workload list`",
        "kind": "has one value, which chooses this schema",
    }
)

NUDGES = MappingProxyType(
    {
        "benchmark": Nudge("micro_read", "stream_write"),
        "footprint_mib": Nudge("micro_read", "8"),
        "run_bytes": Nudge("micro_gather", "128"),
        "inflight_kib": Nudge("micro_inflight", "2"),
        "sms": Nudge("micro_read", "2"),
        "passes": Nudge("micro_read", "2"),
        "l2_state": Nudge("micro_read", "warm"),
    }
)
