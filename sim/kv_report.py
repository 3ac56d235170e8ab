"""Capacity and waste of the KV pool: how much fits, what is used, and what tables and scales cost."""

from dataclasses import dataclass

import numpy as np

from kernels_ref.trace import DEVICE, Geometry, Step
from sim.config.hardware import Hardware
from sim.config.workload import Model, Workload
from sim.errors import InputError
from sim.formats import KV_STORAGE, token_bytes
from sim.lowering.layer_gemms import attention_layers, weight_count
from sim.lowering.ssm import state_bytes
from sim.work import by_format, bytes_of, format_bytes, tokens_in_frames

GIB = 2**30


@dataclass(frozen=True)
class Pool:
    """Bytes of one layer's blocks on one device, by residency."""

    device_bytes: int
    tier_bytes: int
    filled_bytes: int
    """Bytes of slots that hold a token."""
    slots: int
    """Tokens that the blocks hold when full."""
    scale_bytes: int


def _scale_bytes(step: Step) -> np.ndarray:
    """[formats] scale metadata of a token."""
    g = step.geometry
    dims = (g.head_dim,) if g.latent else (g.head_dim, g.value_dim)
    per_head = [sum(KV_STORAGE[f].scale_bytes_for(dim) for dim in dims) for f in step.formats]
    return g.kv_heads * np.array(per_head, np.int64)


def pool(step: Step) -> Pool:
    """Sums over the frames that some table entry names."""
    used = np.zeros(step.frames, bool)
    used[step.table] = True
    away = used & (step.frame_residency != DEVICE)
    slots, slots_away = (step.page_tokens * by_format(step, flags) for flags in (used, away))
    return Pool(
        device_bytes=int((slots - slots_away) @ format_bytes(step)),
        tier_bytes=int(slots_away @ format_bytes(step)),
        filled_bytes=bytes_of(step, tokens_in_frames(step, np.zeros(step.sequences, np.int64))),
        slots=int(slots.sum()),
        scale_bytes=int(slots @ _scale_bytes(step)),
    )


def weight_bytes(model: Model) -> float:
    """Bytes of all weights of the model, before division by the parallel degree."""
    ends = 2 * model.vocab * model.hidden
    count = model.weights_g * 1e9 if model.weights_g is not None else weight_count(model)
    return max(count - ends, 0) * model.weight_bytes + min(ends, count) * model.head_bytes


def layers_counted(model: Model, workload: Workload) -> int:
    """Attention layers whose KV a run holds: one of a kernel, all of a step."""
    return attention_layers(model) if workload.kind == "step" else 1


def weights_counted(model: Model, workload: Workload) -> float:
    """Bytes of weights on one device beside the KV: none for a kernel."""
    return weight_bytes(model) / workload.tensor_parallel if workload.kind == "step" else 0.0


def check_fits(kv_bytes: float, weights: float, hw: Hardware) -> None:
    """Raises InputError when KV blocks and weights together exceed device memory."""
    if kv_bytes + weights > hw.hbm.capacity_gib * GIB:
        raise InputError(
            f"workload: {kv_bytes / GIB:.2f} GiB of KV blocks and {weights / GIB:.2f} GiB of weights;"
            f" allowed on {hw.name}: {hw.hbm.capacity_gib:g} GiB (smaller batch or context, narrower kv_format,"
            " more tensor_parallel, or a tier)"
        )


def check_states_fit(layers: int, kv_bytes: float, model: Model, workload: Workload, hw: Hardware) -> None:
    """Raises InputError when the states of `layers` state-space layers do not fit beside the KV blocks and weights."""
    if not layers:
        return
    states = layers * state_bytes(model, workload.batch, workload.tensor_parallel)
    weights = weights_counted(model, workload)
    if states + kv_bytes + weights > hw.hbm.capacity_gib * GIB:
        raise InputError(
            f"workload.batch: {states / GIB:.2f} GiB of states, {kv_bytes / GIB:.2f} GiB of KV blocks and"
            f" {weights / GIB:.2f} GiB of weights; allowed on {hw.name}: {hw.hbm.capacity_gib:g} GiB"
        )


def check_tokens_fit(tokens: int, geometry: Geometry, model: Model, workload: Workload, hw: Hardware) -> None:
    """Refuse what cannot fit before any table is built: `tokens` at the narrowest format, if nothing is shared or away.

    Raises InputError.
    """
    if workload.shared_prefix or workload.tier is not None:
        return
    kv = workload.kv_format
    formats = (kv,) if isinstance(kv, str) else (kv.hot, kv.cold)
    g = geometry
    least = min(token_bytes(f, g.kv_heads, g.head_dim, g.value_dim, latent=g.latent) for f in formats)
    check_fits(tokens * least * layers_counted(model, workload), weights_counted(model, workload), hw)


def kv_report(step: Step, model: Model, workload: Workload, hw: Hardware) -> dict[str, float]:
    """The `kv` section of a result. A kernel counts one layer; a step all attention layers, with one block
    table, and the weights. Bytes per token are the mean over the formats of the blocks.

    Raises InputError when the blocks (with the weights) do not fit device memory or their tier.
    """
    blocks = pool(step)
    layers = layers_counted(model, workload)
    weights = weights_counted(model, workload)
    capacity = hw.hbm.capacity_gib * GIB - weights
    used = blocks.device_bytes * layers
    check_fits(used, weights, hw)
    _check_tier(blocks.tier_bytes * layers, workload, hw)
    allocated = blocks.device_bytes + blocks.tier_bytes
    table = len(step.table) * workload.entry_bytes
    return {
        "capacity_bytes": capacity,
        "used_bytes": float(used),
        "tier_bytes": float(blocks.tier_bytes * layers),
        "weight_bytes": weights,
        "waste_fraction": 1 - blocks.filled_bytes / allocated,
        "metadata_fraction": table / (allocated * layers),
        "scale_fraction": blocks.scale_bytes / allocated,
        "bytes_per_token": allocated / blocks.slots * layers,
    }


def _check_tier(size: int, workload: Workload, hw: Hardware) -> None:
    if workload.tier is None:
        return
    if workload.tier.name not in hw.tiers:
        allowed = f"a tier of {hw.name}, which has {', '.join(hw.tiers) or 'none'}"
        raise InputError(f"workload.tier.name: found {workload.tier.name!r}; allowed: {allowed}")
    room = hw.tiers[workload.tier.name].capacity_gib * GIB
    if size > room:
        raise InputError(
            f"workload.tier: {size / GIB:.2f} GiB of KV blocks; {workload.tier.name} holds {room / GIB:g} GiB"
        )
