"""Run every golden case, show the drift, and keep the new results.

    python tests/golden/update_golden.py [--check] [HARDWARE ...]

Commit the new file with the change that moved it, and say in the message why it moved.
"""

import argparse
import sys

from golden_metrics import (
    STORED,
    Golden,
    cases_of,
    difference,
    read_stored,
    run_golden,
    shipped_hardware,
    table,
    write_stored,
)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("hardware", nargs="*", help="machines to run; none: all that ship")
    parser.add_argument(
        "--check", action="store_true", help="show the drift and write nothing; exit 1 if any"
    )
    options = parser.parse_args()
    was: Golden = read_stored() if STORED.exists() else {}
    asked = options.hardware or shipped_hardware()
    now = {hw: {name: run_golden(hw, name) for name in cases_of(hw)} for hw in asked}
    rows = [row for hw in now for row in difference(was.get(hw, {}), now[hw], hw)]
    print(table(rows) if rows else "no drift: the same to the last bit")
    if options.check:
        return 1 if rows else 0
    merged = was | now
    write_stored({hw: merged[hw] for hw in shipped_hardware() if hw in merged})
    return 0


if __name__ == "__main__":
    sys.exit(main())
