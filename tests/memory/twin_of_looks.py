"""Run a random stream on each of some machines, uncompiled, and print its digest: as the plane is, then with row
commands looked for among all banks at every look at a channel.
"""

import json
import sys

from sim.config.hardware import Hardware
from sim.memory import hbm_bank
from tests.memory.plain_twin import digest


def digests(machines: list[Hardware]) -> list[str]:
    return [digest(hw, 11) for hw in machines]


if __name__ == "__main__":
    given = [Hardware.model_validate(hw) for hw in json.loads(sys.argv[1])]
    found = digests(given)
    hbm_bank.changed = lambda m, c, writing: True  # type: ignore[assignment]
    hbm_bank.only_more = lambda m, c, now, todo, writing: False  # type: ignore[assignment]
    print(json.dumps([found, digests(given)]))
