"""Load synthesised from ServeGen's per-client statistics (alibaba/ServeGen, production workload
characterisation).

A client has, per 600 s window, a request rate and a renewal process of inter-arrival gaps (Gamma or
Weibull, given by shape and scale), and per 6 h window histograms of input and output length. Clients are
independent.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels_ref.errors import InputError

WINDOW_S = 600.0
PDF_WINDOW_S = 21600


@dataclass
class Load:
    """Requests in order of arrival."""

    arrival_s: list[float] = field(default_factory=list)
    input_length: list[int] = field(default_factory=list)
    output_length: list[int] = field(default_factory=list)
    client: list[str] = field(default_factory=list)


def synthesise(clients: dict[str, Any], start_s: float, duration_s: float, rng: np.random.Generator) -> Load:
    """Requests of [start_s, start_s + duration_s), with arrivals counted from start_s. The same generator
    state gives the same load. Raises InputError for an unknown arrival family or malformed client."""
    rows: list[tuple[float, int, int, str]] = []
    for name, client in clients.items():
        try:
            rows += _of_client(name, client, start_s, start_s + duration_s, rng)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise InputError(f"ServeGen client {name}: {type(error).__name__}: {str(error)[:80]}") from None
    rows.sort(key=lambda row: row[0])
    load = Load()
    for time, source, target, name in rows:
        load.arrival_s.append(time - start_s)
        load.input_length.append(source)
        load.output_length.append(target)
        load.client.append(name)
    return load


def _of_client(
    name: str, client: dict[str, Any], start_s: float, end_s: float, rng: np.random.Generator
) -> list[tuple[float, int, int, str]]:
    rows: list[tuple[float, int, int, str]] = []
    for window in client["windows"]:
        begin, rate, _, family, shape, scale = window
        if begin + WINDOW_S <= start_s or begin >= end_s or rate <= 0:
            continue
        times = begin + _arrivals(family, float(shape), float(scale), float(rate), rng)
        times = times[(times >= start_s) & (times < end_s)]
        pdfs = client["pdfs"][str(int(begin // PDF_WINDOW_S) * PDF_WINDOW_S)]
        if not pdfs["input_tokens"] or not pdfs["output_tokens"]:
            continue
        sources = _lengths(pdfs["input_tokens"], len(times), rng)
        targets = _lengths(pdfs["output_tokens"], len(times), rng)
        rows += [(float(t), int(i), int(o), name) for t, i, o in zip(times, sources, targets, strict=True)]
    return rows


def _arrivals(
    family: str, shape: float, scale: float, rate: float, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Arrival times within one window. Gaps beyond the expected number are drawn in rounds until the window
    is full."""
    times: list[npt.NDArray[np.float64]] = []
    now = 0.0
    while now < WINDOW_S:
        count = max(16, int(rate * (WINDOW_S - now) * 1.1))
        gaps = _gaps(family, shape, scale, count, rng)
        times.append(now + np.cumsum(gaps))
        now = float(times[-1][-1])
    arrivals = np.concatenate(times)
    return arrivals[arrivals < WINDOW_S]


def _gaps(
    family: str, shape: float, scale: float, count: int, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    if shape <= 0 or scale <= 0:
        raise ValueError(f"arrival parameters {shape}, {scale}; both must be above 0")
    if family == "Gamma":
        return rng.gamma(shape, scale, count)
    if family == "Weibull":
        return scale * rng.weibull(shape, count)
    raise ValueError(f"arrival family {family}; known: Gamma, Weibull")


def _lengths(pdf: dict[str, float], count: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Drawn from a histogram, whose rounding error is spread by normalising; at least one token."""
    values = np.array([int(float(v)) for v in pdf], np.int64)
    weights = np.array(list(pdf.values()), np.float64)
    drawn: npt.NDArray[np.int64] = rng.choice(values, count, p=weights / weights.sum())
    return np.maximum(1, drawn)
