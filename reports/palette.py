"""Colours with a fixed meaning on every page: one per stall cause, one and a marker per line.

Causes come in families that also differ in lightness and hatch, since no 21 hues can be told apart, least of
all by a colour-blind reader: compute blue, memory orange to red, on-chip limits green, translation and waits
purple, idle grey. Hues after Okabe and Ito (2008).
"""

CAUSE_STYLE: dict[str, tuple[str, str]] = {
    "tensor": ("#0b3c6f", ""),
    "softmax": ("#2f78b7", ""),
    "unpack": ("#6db3e8", ""),
    "alu": ("#a9d3f2", ""),
    "issue": ("#d9ecfa", "////"),
    "noc": ("#fbe3b3", ""),
    "l2": ("#f6bf4f", ""),
    "hbm_queue": ("#e8862b", ""),
    "hbm_service": ("#b3400a", ""),
    "tier": ("#6e1f05", "...."),
    "sram_full": ("#00593f", ""),
    "inflight_limit": ("#23a17c", ""),
    "translation": ("#9a3f86", ""),
    "tlb": ("#d79bc8", ""),
    "sram_bandwidth": ("#8fd9c2", "////"),
    "barrier": ("#5b4a9c", "...."),
    "store": ("#a79ad6", ""),
    "collective": ("#3a2a68", "xxxx"),
    "launch": ("#7d7d7d", ""),
    "dependency": ("#a8a8a8", "////"),
    "no_work": ("#dcdcdc", ""),
}
CAUSE_TEXT: dict[str, str] = {
    "tensor": "tensor cores work",
    "softmax": "softmax works",
    "unpack": "unpacking KV",
    "alu": "other arithmetic",
    "issue": "issuing instructions",
    "noc": "on-chip network",
    "l2": "L2 cache",
    "hbm_queue": "queue at HBM",
    "hbm_service": "HBM access itself",
    "tier": "host, CXL or SSD tier",
    "sram_full": "SRAM full: no free stage buffer",
    "inflight_limit": "cap on bytes in flight",
    "translation": "block-table look-up",
    "tlb": "device TLB",
    "sram_bandwidth": "SRAM bandwidth",
    "barrier": "barrier",
    "store": "writing results",
    "collective": "other GPUs",
    "launch": "launch",
    "dependency": "split reduction, dependent launch",
    "no_work": "no work left (tail, imbalance)",
}
SERIES_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#3d3d3d", "#8c564b")
SERIES_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


def series_style(position: int) -> dict[str, str]:
    """Colour and marker of the line at this place of its axis, the same in every figure; 64 are told apart."""
    count = len(SERIES_COLOURS)
    marker = SERIES_MARKERS[(position + position // count) % count]
    return {"color": SERIES_COLOURS[position % count], "marker": marker}
