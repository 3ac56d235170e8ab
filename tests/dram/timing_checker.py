"""An independent judge of command logs: it knows the datasheet's rules and nothing of the controller.

For every command it looks back over the whole history of its channel, by level, and demands the distance that
the configuration states. Slow and plain on purpose.
"""

from collections import defaultdict

from sim.memory.dram.config import ControllerConfig

ACT, PRE, RD, WR, REF, REFPB, PREAB, AUTO_PRE = 1, 2, 3, 4, 5, 6, 7, 8
ROW_COMMANDS = (ACT, PRE, REF, REFPB, PREAB)
COLUMNS = (RD, WR)


class ChannelJudge:
    """Checks the commands of one channel in order; `problems` collects what breaks a rule."""

    def __init__(self, config: ControllerConfig) -> None:
        self.c = config
        self.problems: list[str] = []
        self.open_row: dict[int, int] = {}
        self.last: dict[tuple[object, ...], int] = defaultdict(lambda: -(10**9))
        self.acts: dict[int, list[int]] = defaultdict(list)
        self.busy_until: dict[int, int] = defaultdict(int)

    def check(self, t: int, command: int, target: int, row: int) -> None:
        if command == AUTO_PRE:
            self._close_itself(t, target)
        elif command in (REF, PREAB):
            self._check_all_banks(t, command, target)
        else:
            self._check_bank(t, command, target, row)

    def _need(self, t: int, since: tuple[object, ...], distance: int, rule: str) -> None:
        if t - self.last[since] < distance:
            self.problems.append(f"tick {t}: {rule} {distance}, found {t - self.last[since]} ({since})")

    def _say(self, t: int, text: str) -> None:
        self.problems.append(f"tick {t}: {text}")

    def _check_bank(self, t: int, command: int, bank: int, row: int) -> None:  # noqa: C901 (one rule a line)
        c = self.c
        pc, sid = bank // c.banks_per_pc, bank // (c.bank_groups * c.banks_per_group)
        group = bank // c.banks_per_group
        # A multi-tick activate ends `act` ticks after it starts; a column command ends `col` ticks after.
        act = c.act_ticks - 1
        col = 1 if c.half_clock else 0
        bus = "row" if command in ROW_COMMANDS else "column"
        self._need(t, (bus, "bus"), 1, "one command a tick on a bus")
        if command in ROW_COMMANDS and c.policy == "frfcfs":
            self._need(t, ("act end",), 1, "row bus busy with an activate")
        if c.half_clock and command in (ACT, RD, WR, REFPB) and t % 2 == 0:
            self._say(t, "rising-edge command on a falling edge")
        if command == ACT:
            if bank in self.open_row:
                self._say(t, f"activate of the open bank {bank}")
            self._need(t, ("act", bank), c.rc, "tRC")
            self._need(t, ("pre", bank), c.rp - act, "tRP")
            self._need(t, ("act group", group), c.rrd_l, "tRRD_L")
            self._need(t, ("act pc", pc), c.rrd_s, "tRRD_S")
            self._need(t, ("ref", pc), c.rfc - act, "tRFC")
            self._need(t, ("refpb", bank), c.rfcpb - act, "tRFCpb")
            window = self.acts[pc][-4:]
            if len(window) == 4 and t - window[0] < c.faw:
                self._say(t, f"tFAW {c.faw}, found {t - window[0]}")
            self.acts[pc].append(t)
            self.open_row[bank] = row
            for key in (("act", bank), ("act group", group), ("act pc", pc)):
                self.last[key] = t
            self.last[("act end",)] = t + act
        elif command == PRE:
            if bank not in self.open_row:
                self._say(t, f"precharge of the closed bank {bank}")
            self._need(t, ("act", bank), c.ras + act, "tRAS")
            self._need(t, ("rd", bank), c.rtp + col, "tRTP")
            self._need(t, ("wr", bank), c.cwl + c.burst + c.wr + col, "write recovery")
            self._need(t, ("pre pc", pc), c.ppd, "tPPD")
            self._close(t, bank)
            self.last[("pre pc", pc)] = t
        elif command == REFPB:
            if bank in self.open_row:
                self._say(t, f"refresh of the open bank {bank}")
            self._need(t, ("pre", bank), c.rp, "tRP before refresh")
            self._need(t, ("act", bank), c.rc + act, "tRC before refresh")
            self.last[("refpb", bank)] = t
        else:
            self._check_column(t, command, bank, (pc, sid, group), row)
        self.last[(bus, "bus")] = t

    def _check_column(self, t: int, command: int, bank: int, place: tuple[int, int, int], row: int) -> None:
        c = self.c
        pc, sid, group = place
        act = c.act_ticks - 1
        col = 1 if c.half_clock else 0
        if self.open_row.get(bank) != row:
            self._say(t, f"column of row {row} while bank {bank} holds {self.open_row.get(bank)}")
        mine, other = ("rd", "wr") if command == RD else ("wr", "rd")
        rcd = c.rcd_rd if command == RD else c.rcd_wr
        self._need(t, ("act", bank), rcd + act - col, "tRCD")
        self._need(t, (f"{mine} group", group), c.ccd_l, "tCCD_L")
        self._need(t, (f"{mine} pc", pc), c.ccd_s, "tCCD_S")
        if command == RD:
            for s in range(pc * c.sids, (pc + 1) * c.sids):
                if s != sid:
                    self._need(t, ("rd sid", s), c.ccd_r, "tCCD_R")
            self._need(t, (f"{other} group", group), c.wr_to_rd_l, "tWTR_L")
            self._need(t, (f"{other} pc", pc), c.wr_to_rd_s, "tWTR_S")
        else:
            self._need(t, (f"{other} pc", pc), c.rd_to_wr, "tRTW")
        start = t + (c.cl if command == RD else c.cwl)
        if start < self.busy_until[pc]:
            self._say(t, f"data bus busy until {self.busy_until[pc]}, needed at {start}")
        self.busy_until[pc] = start + c.burst
        for key in ((mine, bank), (f"{mine} group", group), (f"{mine} pc", pc), (f"{mine} sid", sid)):
            self.last[key] = t

    def _close_itself(self, t: int, bank: int) -> None:
        """The column command of this tick closes its bank once its recovery is over."""
        read = self.last[("rd", bank)] == t
        if not read and self.last[("wr", bank)] != t:
            self._say(t, f"auto-precharge of bank {bank} without a column command")
        col = 1 if self.c.half_clock else 0
        self._close(t + col + (self.c.rtp if read else self.c.cwl + self.c.burst + self.c.wr), bank)

    def _close(self, t: int, bank: int) -> None:
        self.open_row.pop(bank, None)
        self.last[("pre", bank)] = t

    def _check_all_banks(self, t: int, command: int, pc: int) -> None:
        c = self.c
        act = c.act_ticks - 1
        self._need(t, ("row", "bus"), 1, "one command a tick on a bus")
        banks = range(pc * c.banks_per_pc, (pc + 1) * c.banks_per_pc)
        if command == PREAB:
            self._need(t, ("pre pc", pc), c.ppd, "tPPD")
            self.last[("pre pc", pc)] = t
        for bank in banks:
            if command == REF:
                if bank in self.open_row:
                    self._say(t, f"refresh while bank {bank} is open")
                self._need(t, ("pre", bank), c.rp, "tRP before refresh")
                self._need(t, ("act", bank), c.rc, "tRC before refresh")
            elif bank in self.open_row:
                self._need(t, ("act", bank), c.ras + act, "tRAS")
                self._need(t, ("rd", bank), c.rtp, "tRTP")
                self._need(t, ("wr", bank), c.cwl + c.burst + c.wr, "write recovery")
                self._close(t, bank)
        if command == REF:
            self.last[("ref", pc)] = t
        self.last[("row", "bus")] = t


def judge(config: ControllerConfig, log: "list[list[int]]") -> list[str]:
    """Problems of a command log with rows (tick, channel, command, bank or pseudo-channel, row)."""
    judges: dict[int, ChannelJudge] = {}
    for t, channel, command, target, row in log:
        judges.setdefault(channel, ChannelJudge(config)).check(t, command, target, row)
    return [f"channel {c}: {p}" for c, j in judges.items() for p in j.problems]
