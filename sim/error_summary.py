"""What a set of signed relative errors amounts to: the numbers that every validation reports."""

from collections.abc import Iterable

import numpy as np

Summary = dict[str, float | int]


def summary(errors: Iterable[float]) -> Summary:
    """n, mean, median and largest absolute relative error, and mean signed error."""
    signed = np.array(list(errors))
    if signed.size == 0:
        return {"n": 0, "mape": 0.0, "median_ape": 0.0, "bias": 0.0, "max_ape": 0.0}
    ape = np.abs(signed)
    return {
        "n": int(signed.size),
        "mape": float(ape.mean()),
        "median_ape": float(np.median(ape)),
        "bias": float(signed.mean()),
        "max_ape": float(ape.max()),
    }
