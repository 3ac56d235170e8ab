"""DRAM standards as tables: geometry of one pseudo-channel and its timings in nanoseconds.

Row timings are analogue properties of the array and hold in nanoseconds when the clock changes; burst and
column-to-column distances follow the clock: they are kept in clocks (`tccd_*_ck`) beside the clock itself.
Where no public preset exists the nearest generation's nanoseconds stand in and `kind` says `estimate`.

`refresh` is what a device of this standard runs by default here. HBM and GDDR get per-bank refresh because
the best measured streaming reads (0.96 to 0.98 of peak on A100, H100 PCIe, GH200, L40) exceed
1 - tRFC/tREFI = 0.91 to 0.94, which all-bank refresh would allow at most.
"""

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

Refresh = Literal["per_bank", "all_bank", "none"]


@dataclass(frozen=True, slots=True)
class DramStandard:
    """One standard at one pin rate. Times in ns unless the name says `_ck`; sizes per pseudo-channel."""

    name: str
    kind: Literal["measured", "estimate"]
    source: str
    pin_gb_s: float  # Gb/s per data pin
    channel_bits: int  # data width of one pseudo-channel (HBM) or channel (GDDR, LPDDR, DDR sub-channel)
    access_bytes: int  # bytes of one column access (one burst)
    row_bytes: int
    bank_groups: int
    banks_per_group: int
    sids: int  # stack ids: sets of banks that share the data bus
    channels_per_stack: int | None  # pseudo-channels per stack; None: bus width / channel_bits
    refresh: Refresh
    tck_ns: float
    tccd_s_ck: int
    tccd_l_ck: int
    trcd_ns: float
    trcd_wr_ns: float
    trp_ns: float
    tras_ns: float
    trc_ns: float
    tcl_ns: float
    tcwl_ns: float
    twr_ns: float
    trtp_ns: float
    trrd_s_ns: float
    trrd_l_ns: float
    tfaw_ns: float
    trfc_ns: float
    trfc_pb_ns: float
    trefi_ns: float
    twtr_s_ns: float
    twtr_l_ns: float
    trtw_ns: float
    act_ck: float = 1.0  # clocks that an activate takes on the row-command bus ...
    pre_ck: float = 1.0  # ... and a precharge

    @property
    def banks(self) -> int:
        """Banks of one pseudo-channel, all stack ids together."""
        return self.bank_groups * self.banks_per_group * self.sids

    @property
    def burst_ns(self) -> float:
        """Data-bus time of one access."""
        return self.access_bytes * 8 / (self.channel_bits * self.pin_gb_s)

    @property
    def channel_gb_s(self) -> float:
        """Peak of one pseudo-channel, 10^9 bytes per second."""
        return self.channel_bits * self.pin_gb_s / 8

    @property
    def tccd_s_ns(self) -> float:
        return self.tccd_s_ck * self.tck_ns

    @property
    def tccd_l_ns(self) -> float:
        return self.tccd_l_ck * self.tck_ns

    @property
    def trefi_pb_ns(self) -> float:
        """Interval between two per-bank refreshes that keeps every bank's rate of one per tREFI."""
        return self.trefi_ns / self.banks


_HBM2 = DramStandard(
    name="HBM2",
    kind="measured",
    source="Ramulator 2 preset HBM2_2000Mbps; tRFC 350 ns (8 Gb; gem5 says 220, DRAMsim3 260)",
    pin_gb_s=2.0,
    channel_bits=64,
    access_bytes=32,
    row_bytes=1024,
    bank_groups=4,
    banks_per_group=4,
    sids=1,
    channels_per_stack=16,
    refresh="per_bank",
    tck_ns=1.0,
    tccd_s_ck=2,
    tccd_l_ck=4,
    trcd_ns=14.0,
    trcd_wr_ns=12.0,
    trp_ns=14.0,
    tras_ns=34.0,
    trc_ns=48.0,
    tcl_ns=14.0,
    tcwl_ns=5.0,
    twr_ns=16.0,
    trtp_ns=5.0,
    trrd_s_ns=4.0,
    trrd_l_ns=4.0,
    tfaw_ns=15.0,
    trfc_ns=350.0,
    trfc_pb_ns=160.0,
    trefi_ns=3900.0,
    twtr_s_ns=6.0,
    twtr_l_ns=8.0,
    trtw_ns=13.0,
    act_ck=2.0,
)

_HBM2E = replace(
    _HBM2,
    name="HBM2E",
    kind="estimate",
    source="no public preset: HBM2 2.4 Gb/s row timings in ns (Ramulator 2), clock of 3.2 Gb/s",
    pin_gb_s=3.2,
    tck_ns=0.625,
    trcd_ns=14.2,
    trp_ns=14.2,
    tras_ns=33.3,
    trc_ns=47.5,
    tcl_ns=14.2,
    twr_ns=15.8,
    trrd_s_ns=4.2,
    trrd_l_ns=4.2,
    twtr_s_ns=6.7,
    twtr_l_ns=8.3,
)

_HBM3 = DramStandard(
    name="HBM3",
    kind="measured",
    source="Ramulator 2 preset HBM3_6400Mbps, 16 Gb 8-high (two stack ids), tRFC 350 ns by channel density",
    pin_gb_s=6.4,
    channel_bits=32,
    access_bytes=32,
    row_bytes=1024,
    bank_groups=4,
    banks_per_group=4,
    sids=2,
    channels_per_stack=32,
    refresh="per_bank",
    tck_ns=0.625,
    tccd_s_ck=2,
    tccd_l_ck=4,
    trcd_ns=19.375,
    trcd_wr_ns=9.375,
    trp_ns=16.25,
    tras_ns=28.125,
    trc_ns=45.0,
    tcl_ns=12.5,
    tcwl_ns=6.25,
    twr_ns=20.625,
    trtp_ns=5.625,
    trrd_s_ns=2.5,
    trrd_l_ns=3.125,
    tfaw_ns=15.0,
    trfc_ns=350.0,
    trfc_pb_ns=200.0,
    trefi_ns=3900.0,
    twtr_s_ns=4.375,
    twtr_l_ns=6.25,
    trtw_ns=12.5,
    act_ck=1.5,
    pre_ck=0.5,
)

_HBM3E = replace(
    _HBM3,
    name="HBM3E",
    kind="estimate",
    source="no public preset: HBM3 row timings in ns, clock of 8.0 Gb/s",
    pin_gb_s=8.0,
    tck_ns=0.5,
)

_HBM4 = replace(
    _HBM3,
    name="HBM4",
    source="Ramulator 2 preset HBM4_8000Mbps, 32 Gb 8-high, tRFC 450 ns by channel density",
    pin_gb_s=8.0,
    bank_groups=2,
    banks_per_group=8,
    channels_per_stack=64,
    tck_ns=0.5,
    trcd_ns=19.5,
    trcd_wr_ns=9.5,
    trp_ns=16.5,
    tras_ns=28.5,
    tcl_ns=10.0,
    tcwl_ns=5.0,
    twr_ns=21.0,
    trtp_ns=6.0,
    trrd_l_ns=3.5,
    trfc_ns=450.0,
    trfc_pb_ns=280.0,
    twtr_s_ns=4.5,
    twtr_l_ns=6.5,
)

_GDDR6 = DramStandard(
    name="GDDR6",
    kind="measured",
    source="Ramulator 2 preset GDDR6 1350 mV quad-rate (a vendor's 8 Gb part), 14 Gb/s",
    pin_gb_s=14.0,
    channel_bits=16,
    access_bytes=32,
    row_bytes=2048,
    bank_groups=4,
    banks_per_group=4,
    sids=1,
    channels_per_stack=None,
    refresh="per_bank",
    tck_ns=0.5714,
    tccd_s_ck=2,
    tccd_l_ck=4,
    trcd_ns=15.4,
    trcd_wr_ns=9.1,
    trp_ns=15.4,
    tras_ns=30.2,
    trc_ns=45.0,
    tcl_ns=13.7,
    tcwl_ns=3.4,
    twr_ns=15.4,
    trtp_ns=2.3,
    trrd_s_ns=4.6,
    trrd_l_ns=4.6,
    tfaw_ns=16.5,
    trfc_ns=120.0,
    trfc_pb_ns=60.0,
    trefi_ns=1900.0,
    twtr_s_ns=5.1,
    twtr_l_ns=6.3,
    trtw_ns=14.3,
)

_GDDR6X = replace(
    _GDDR6,
    name="GDDR6X",
    kind="estimate",
    source="no public preset: GDDR6 row timings in ns, clock of 21 Gb/s",
    pin_gb_s=21.0,
    tck_ns=0.381,
)

_GDDR7 = replace(
    _GDDR6,
    name="GDDR7",
    kind="estimate",
    source="Ramulator 2 preset GDDR7_28000_PAM3, which calls its own values guesses; "
    "four 8-bit channels a device; the standard has no tFAW: four tRRD",
    pin_gb_s=28.0,
    channel_bits=8,
    bank_groups=16,  # no groups: the long column distance holds within a bank
    banks_per_group=1,
    tck_ns=0.5714,
    trcd_ns=17.1,
    trcd_wr_ns=10.9,
    trp_ns=17.1,
    tras_ns=34.3,
    trc_ns=51.4,
    twr_ns=17.1,
    trrd_s_ns=2.3,
    trrd_l_ns=2.3,
    tfaw_ns=9.2,
    trfc_ns=180.0,
    # 24 clocks: RL + BL + 3 - WL (JESD239D as Ramulator 2 reads it) and its guess of one for the bus to turn. The 12
    # that an early version of the preset had are fewer than RL + BL - WL: read and write bursts would overlap.
    trtw_ns=13.7,
)

_LPDDR5X = DramStandard(
    name="LPDDR5X",
    kind="estimate",
    source="no public preset: Ramulator 2 LPDDR5_6400 row timings in ns, clock of 8.533 Gb/s",
    pin_gb_s=8.533,
    channel_bits=16,
    access_bytes=32,
    row_bytes=2048,
    bank_groups=4,
    banks_per_group=4,
    sids=1,
    channels_per_stack=None,
    refresh="per_bank",
    tck_ns=0.9375,
    tccd_s_ck=2,
    tccd_l_ck=4,
    trcd_ns=18.75,
    trcd_wr_ns=18.75,
    trp_ns=18.75,
    tras_ns=42.5,
    trc_ns=61.25,
    tcl_ns=21.25,
    tcwl_ns=11.25,
    twr_ns=35.0,
    trtp_ns=10.0,
    trrd_s_ns=5.0,
    trrd_l_ns=5.0,
    tfaw_ns=20.0,
    trfc_ns=280.0,
    trfc_pb_ns=140.0,
    trefi_ns=3906.0,
    twtr_s_ns=6.25,
    twtr_l_ns=12.5,
    trtw_ns=15.0,
    act_ck=2.0,
)

_DDR5 = DramStandard(
    name="DDR5",
    kind="measured",
    source="Ramulator 2 preset DDR5_4800BN, 16 Gb x8, four devices a sub-channel; "
    "tRFC per bank recalled from JESD79-5",
    pin_gb_s=4.8,
    channel_bits=32,
    access_bytes=64,
    row_bytes=4096,
    bank_groups=8,
    banks_per_group=4,
    sids=1,
    channels_per_stack=None,
    refresh="all_bank",
    tck_ns=0.4167,
    tccd_s_ck=8,
    tccd_l_ck=12,
    trcd_ns=15.0,
    trcd_wr_ns=15.0,
    trp_ns=15.0,
    tras_ns=32.0,
    trc_ns=47.0,
    tcl_ns=15.0,
    tcwl_ns=14.2,
    twr_ns=30.0,
    trtp_ns=7.5,
    trrd_s_ns=3.3,
    trrd_l_ns=5.0,
    tfaw_ns=20.0,
    trfc_ns=295.0,
    trfc_pb_ns=130.0,
    trefi_ns=3900.0,
    twtr_s_ns=2.5,
    twtr_l_ns=10.0,
    trtw_ns=5.8,
    act_ck=2.0,
)

STANDARDS: MappingProxyType[str, DramStandard] = MappingProxyType(
    {
        s.name: s
        for s in (
            _HBM2,
            _HBM2E,
            _HBM3,
            _HBM3E,
            _HBM4,
            _GDDR6,
            _GDDR6X,
            _GDDR7,
            _LPDDR5X,
            _DDR5,
        )
    }
)
