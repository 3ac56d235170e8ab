"""Steps in which pages move: forked, migrated and converted ones, with correct rows."""

from dataclasses import replace

import numpy as np
from replay_machine import make_rows, make_step

from kernels_ref.replay import Contents, EventKind
from kernels_ref.trace import DEVICE


def forked():
    """Parent and child share two pages; the third is copied before the child writes its own token 40."""
    step = make_step([41, 41], page_tokens=16)
    table = step.table.copy()
    table[3:5] = table[0:2]
    step = replace(step, table=table, copies=np.array([[table[2], table[5]]], np.int32))
    appends = step.appends.copy()
    appends[:, 2] = [table[2], table[5]]
    step = replace(step, appends=appends)
    return step, make_rows(step), table


def migrated(step, spare):
    """Page 1 of sequence 0 lies in a tier and comes back into a spare frame."""
    frame = int(step.table[1])
    residency = step.frame_residency.copy()
    residency[frame] = DEVICE + 1
    step = replace(step, frame_residency=residency, tiers=("host",))
    rows = make_rows(step)
    rows.append({"time_ps": 500, "kind": EventKind.MIGRATE_IN, "page_first": frame, "frame": spare})
    return step, rows


def spare_frame(step):
    return int(np.setdiff1d(np.arange(step.frames), step.table)[0])


def converted():
    """Frame of page 0 is stored in the step's first format and is to be read as int4."""
    before = make_step([100, 33])
    formats = before.frame_format.copy()
    formats[before.table[0]] = 1
    return replace(before, frame_format=formats), Contents.of(before)
