"""Row commands are looked for when something that matters has changed: looking at every look finds no other ones."""

import json
from pathlib import Path

from sim.config.hardware import Hardware
from tests.memory.conftest import changed
from tests.memory.plain_twin import uncompiled

CASES = [("open", "per_bank", 64), ("closed", "all_bank", 64), ("adaptive", "per_bank", 2)]
"""Page policy, refresh, accesses of a row before a conflict."""


def test_looking_for_row_commands_at_every_look_finds_no_others(small: Hardware, repo: Path) -> None:
    machines = [
        changed(
            small,
            hbm__page_policy=policy,
            hbm__refresh=refresh,
            hbm__starvation_cap=cap,
            hbm__page_idle_ns=50,
            l2__capacity_mib=0.0625,
        )
        for policy, refresh, cap in CASES
    ]
    given = json.dumps([hw.model_dump(mode="json") for hw in machines])
    as_needed, always = json.loads(uncompiled("tests.memory.twin_of_looks", repo, given))
    assert as_needed == always
    assert len(set(always)) == len(CASES)
