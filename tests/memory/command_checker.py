"""An independent judge of the device plane's DRAM commands: datasheet rules in ps, nothing of the scheduler."""

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from sim.memory.dram.standards import DramStandard

ACT, PRE, RD, WR, REF = range(5)
LONG_AGO = -(10**12)


@dataclass
class Judge:
    """Commands of one channel in order of time; `problems` collects what breaks a rule."""

    std: DramStandard
    burst_ps: int
    tolerance_ps: int = 3
    problems: list[str] = field(default_factory=list)
    open_row: dict[int, int] = field(default_factory=dict)
    last: dict[tuple[object, ...], int] = field(default_factory=lambda: defaultdict(lambda: LONG_AGO))
    acts: list[int] = field(default_factory=list)
    bus_free: int = LONG_AGO

    def need(self, time: int, since: tuple[object, ...], ns: float, rule: str) -> None:
        if time - self.last[since] < ns * 1000 - self.tolerance_ps:
            self.problems.append(f"{time}: {rule} {ns} ns, found {time - self.last[since]} ps after {since}")

    def check(self, time: int, command: int, bank: int, row: int) -> None:
        self.need(time, ("refresh", bank), self.refresh_ns, "tRFC")
        if command == ACT:
            self.activate(time, bank, row)
        elif command == PRE:
            self.precharge(time, bank)
        elif command == REF:
            if bank in self.open_row:
                self.problems.append(f"{time}: refresh of the open bank {bank}")
            self.need(time, ("pre", bank), self.std.trp_ns, "tRP")
            self.last["refresh", bank] = time
        else:
            self.column(time, command, bank, row)

    refresh_ns: float = 0.0

    def activate(self, time: int, bank: int, row: int) -> None:
        s, group = self.std, bank % self.std.bank_groups
        if bank in self.open_row:
            self.problems.append(f"{time}: activate of the open bank {bank}")
        self.need(time, ("act", bank), s.trc_ns, "tRC")
        self.need(time, ("pre", bank), s.trp_ns, "tRP")
        self.need(time, ("act",), s.trrd_s_ns, "tRRD_S")
        self.need(time, ("act of group", group), s.trrd_l_ns, "tRRD_L")
        if len(self.acts) >= 4 and time - self.acts[-4] < s.tfaw_ns * 1000 - self.tolerance_ps:
            self.problems.append(f"{time}: tFAW, found {time - self.acts[-4]} ps")
        self.acts.append(time)
        self.open_row[bank] = row
        for key in (("act", bank), ("act",), ("act of group", group)):
            self.last[key] = time

    def precharge(self, time: int, bank: int) -> None:
        if self.open_row.pop(bank, None) is None:
            self.problems.append(f"{time}: precharge of the closed bank {bank}")
        self.need(time, ("act", bank), self.std.tras_ns, "tRAS")
        self.need(time, (RD, "bank", bank), self.std.trtp_ns, "tRTP")
        recovery = self.std.tcwl_ns + self.burst_ps / 1000 + self.std.twr_ns
        self.need(time, (WR, "bank", bank), recovery, "tWR")
        self.last["pre", bank] = time

    def column(self, time: int, command: int, bank: int, row: int) -> None:
        s, group, burst_ns = self.std, bank % self.std.bank_groups, self.burst_ps / 1000
        if self.open_row.get(bank) != row:
            self.problems.append(f"{time}: column of row {row}, open is {self.open_row.get(bank)}")
        self.need(time, ("act", bank), s.trcd_ns if command == RD else s.trcd_wr_ns, "tRCD")
        self.need(time, ("column", "group", group), burst_ns * s.tccd_l_ck / s.tccd_s_ck, "tCCD_L")
        self.need(time, ("column",), burst_ns, "tCCD_S")
        if command == RD:
            self.need(time, (WR, "channel"), s.tcwl_ns + burst_ns + s.twtr_s_ns, "tWTR_S")
            self.need(time, (WR, "group", group), s.tcwl_ns + burst_ns + s.twtr_l_ns, "tWTR_L")
        else:
            self.need(time, (RD, "channel"), s.trtw_ns, "tRTW")
        begin = time + round((s.tcl_ns if command == RD else s.tcwl_ns) * 1000)
        if begin < self.bus_free - self.tolerance_ps:
            self.problems.append(f"{time}: data from {begin} on a bus that is busy until {self.bus_free}")
        self.bus_free = begin + self.burst_ps
        for key in (("column",), ("column", "group", group), (command, "channel")):
            self.last[key] = time
        self.last[command, "bank", bank] = self.last[command, "group", group] = time


def one_by_one(log: np.ndarray) -> list[tuple[int, int, int, int, int]]:
    """(time, channel, command, bank, row) in order of time; a train's accesses each by itself."""
    out = [
        (int(time + i * pitch), int(channel), int(command), int(bank), int(row))
        for time, channel, command, bank, row, count, pitch in log
        for i in range(int(count))
    ]
    return sorted(out, key=lambda command: command[0])


def problems(log: np.ndarray, std: DramStandard, burst_ps: int, refresh_ns: float) -> list[str]:
    """Every broken rule, channel by channel, and activates that overlap on a shared row-command bus."""
    judges: dict[int, Judge] = {}
    bus: dict[int, int] = {}
    found = []
    for time, channel, command, bank, row in one_by_one(log):
        judge = judges.setdefault(channel, Judge(std, burst_ps))
        judge.refresh_ns = refresh_ns
        judge.check(time, command, bank, row)
        pair = channel // 2 if std.name.startswith("HBM") else channel
        if command == ACT:
            if time < bus.get(pair, LONG_AGO) - judge.tolerance_ps:
                found.append(f"{time}: activates overlap on the row bus of channel {channel}")
            bus[pair] = time + round(std.act_ck * std.tck_ns * 1000)
    return found + [text for judge in judges.values() for text in judge.problems]
