"""From resolved configs to a Result: the reference engine makes the step, the simulator times it.

The one place where the engine and the simulator meet; everything below it sees only its own side.
"""

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sim.config.context import TraceContext, UniformContext
from sim.config.hardware import Hardware
from sim.config.kernel_profile import KernelProfile
from sim.config.micro import Micro
from sim.config.workload import MixedFormat, Model, Workload
from sim.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from kernels_ref.trace import Geometry, Step
    from sim.attention_run import AttentionRun
    from sim.result import Result

MOST_PAGES = 20_000_000
"""64 sequences of 256K tokens on pages of one token; the tables alone are then gigabytes."""
REPLAY_DIM = 8
"""Head dimension of the functional replay: structure as simulated, tensors small."""


def simulate(
    hardware: Hardware,
    workload: Workload | Micro,
    *,
    fidelity: str = "full",
    seed: int = 0,
    what_if: bool = False,
    verify: bool = False,
    step: "Step | None" = None,
) -> "Result":
    """Simulate one workload on one machine; `step` replaces the engine's own step (a stored trace)."""
    from sim.config.load import load_runtime, model_of
    from sim.simulate import Case, simulate_case

    if isinstance(workload, Micro):
        return _simulate_micro(hardware, workload, fidelity, seed, what_if, verify)
    model = model_of(workload)
    if step is None and model.attention != "ssm":
        step = engine_step(workload, model, seed, hardware)
    runtime = load_runtime(workload.runtime) if workload.kind == "step" else None
    case = Case(hardware, workload, model, all_profiles(workload), step, seed, runtime=runtime)
    if verify and step is None:
        raise InputError("--verify: a state-space layer has no paged attention to replay")
    check = _replayer(step, seed) if verify and step is not None else None
    return simulate_case(case, fidelity=fidelity, what_if=what_if, verify=check)


def _simulate_micro(
    hardware: Hardware, spec: Micro, fidelity: str, seed: int, what_if: bool, verify: bool
) -> "Result":
    from sim.micro.simulate import simulate_micro

    if verify:
        raise InputError("--verify: a microbenchmark has no paged attention to replay")
    if fidelity == "sampled":
        raise InputError("--fidelity sampled: a microbenchmark is simulated whole; allowed: full, bound")
    return simulate_micro(hardware, spec, seed, bound_only=fidelity == "bound", what_if=what_if)


def all_profiles(workload: Workload) -> list[KernelProfile]:
    """Shipped kernel profiles by name, and the one that the workload gives by path."""
    from sim.config.catalog import looks_like_path
    from sim.config.load import load_profile

    if looks_like_path(workload.kernel):
        own = load_profile(workload.kernel)
        return [own.model_copy(update={"name": workload.kernel})]
    return list(_shipped_profiles())


@cache
def _shipped_profiles() -> "tuple[KernelProfile, ...]":
    """Read once per process: a sweep asks for them at every point."""
    from sim.config.catalog import shipped
    from sim.config.load import load_profile

    return tuple(load_profile(name) for name in shipped("kernel profile"))


def geometry_of(model: Model, parallel: int, causal: bool = True) -> "Geometry":
    """Attention shape on one of `parallel` devices. Raises InputError when the heads do not divide."""
    from kernels_ref.trace import Geometry

    if model.q_heads % parallel:
        raise InputError(
            f"workload.tensor_parallel: found {parallel}; allowed: a divisor of {model.q_heads} query heads"
        )
    latent = model.attention == "mla"
    return Geometry(
        q_heads=model.q_heads // parallel,
        kv_heads=max(1, model.kv_heads // parallel),
        head_dim=model.head_dim,
        value_dim=model.value_dim or model.head_dim,
        window=model.window or 0 if model.attention == "window" else 0,
        latent=latent,
        causal=causal,
    )


def contexts_of(workload: Workload, seed: int) -> "NDArray[np.int32]":
    """[batch] context lengths."""
    import numpy as np

    from kernels_ref.engine import snapshot
    from kernels_ref.request_trace import read_requests

    rng = np.random.default_rng(seed)
    wanted = workload.context
    if isinstance(wanted, int):
        return np.full(workload.batch, wanted, np.int32)
    if isinstance(wanted, UniformContext):
        low, high = wanted.uniform
        return rng.integers(low, high, workload.batch, dtype=np.int32, endpoint=True)
    if isinstance(wanted, TraceContext):
        return snapshot(read_requests(trace_path(wanted.trace)), wanted.at_s, workload.batch, rng)
    if len(wanted) != workload.batch:
        raise InputError(
            f"workload.context: found {len(wanted)} lengths; allowed: batch = {workload.batch} of them"
        )
    return np.array(wanted, np.int32)


def trace_path(name: str) -> Path:
    """A shipped request trace by name, or a path."""
    from importlib import resources

    shipped = resources.files("workloads") / "traces" / f"{name}.jsonl.gz"
    path = Path(str(shipped)) if shipped.is_file() else Path(name)
    if not path.is_file():
        raise InputError(
            f"workload.context.trace: found {name!r}; allowed: a shipped trace (sample_chat) or a file"
        )
    return path


def refuse_absurd_pool(contexts: "NDArray[np.int32]", workload: Workload) -> None:
    """Stop before tables are built that no machine could hold: more pages than 2^31 frame numbers."""
    pages = int((-(-contexts.astype("int64") // workload.page_tokens)).sum())
    if pages > MOST_PAGES:
        raise InputError(
            f"workload: {pages} KV blocks; allowed: up to {MOST_PAGES} (smaller batch or context, larger page_tokens)"
        )


def engine_step(workload: Workload, model: Model, seed: int, hardware: Hardware | None = None) -> "Step":
    """One step of the reference engine. A prefill with q_len 1 computes its whole context.

    With `hardware`, what cannot fit its memory is refused before tables are built. Raises InputError.
    """
    import numpy as np

    from kernels_ref.engine import Batch, make_step
    from sim.kv_report import check_tokens_fit

    contexts = contexts_of(workload, seed)
    refuse_absurd_pool(contexts, workload)
    geometry = geometry_of(model, workload.tensor_parallel, workload.causal)
    if hardware is not None:
        check_tokens_fit(int(contexts.sum(dtype=np.int64)), geometry, model, workload, hardware)
    whole = workload.phase == "prefill" and workload.q_len == 1
    q_len = contexts if whole else np.full(workload.batch, workload.q_len, np.int32)
    kv = workload.kv_format
    batch = Batch(
        phase=workload.phase,
        geometry=geometry,
        contexts=contexts,
        q_len=q_len,
        page_tokens=workload.page_tokens,
        page_order=workload.page_order if workload.has_table else "sequential",
        shared_prefix=workload.shared_prefix,
        formats=(kv.hot, kv.cold) if isinstance(kv, MixedFormat) else (kv,),
        hot_tokens=kv.hot_tokens if isinstance(kv, MixedFormat) else 0,
        tiers=(workload.tier.name,) if workload.tier else (),
        tier_fraction=workload.tier.fraction if workload.tier else 0.0,
    )
    return make_step(batch, seed)


def _replayer(step: "Step", seed: int) -> "Callable[[AttentionRun], dict[str, Any]]":
    def check(run: "AttentionRun") -> dict[str, Any]:
        import numpy as np

        from kernels_ref.replay import replay
        from kernels_ref.replay_events import Schedule
        from sim.schedule import replay_step, schedule_columns

        columns = schedule_columns(step, run)
        kinds = {"time_ps": np.int64, "kind": np.int8, "frame": np.int64}
        schedule = Schedule(**{k: v.astype(kinds.get(k, np.int32)) for k, v in columns.items()})
        report = replay(schedule, replay_step(step, run), seed=seed, head_dim=REPLAY_DIM)
        return {
            "checked": report.checked,
            "max_abs_error": report.max_abs_error,
            "ok": report.ok,
            "faults": report.faults,
        }

    return check


def run_named(
    workload: str,
    hardware: str,
    sets: tuple[str, ...],
    *,
    fidelity: str,
    seed: int,
    what_if: bool,
    verify: bool,
) -> "Result":
    """Load by name or path and simulate; a workload that ends in .npz is a stored engine trace."""
    from sim.config.load import load_any_workload, load_hardware
    from sim.config.placed import places_named

    machine = load_hardware(hardware, sets)
    run = partial(simulate, machine.spec, fidelity=fidelity, seed=seed, what_if=what_if, verify=verify)
    if workload.endswith(".npz"):
        from sim.cli.stored_trace import load_stored

        spec, step = load_stored(Path(workload), sets)
        with places_named(hw=machine):
            return run(spec, step=step)
    found = load_any_workload(workload, sets)
    with places_named(hw=machine, workload=found):
        return run(found.spec)
