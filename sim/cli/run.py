"""`pagewalk run`: one simulation, its first screen or one JSON object."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sim.cli.params import HARDWARE, WORKLOAD, json_option, seed_option, set_option

if TYPE_CHECKING:
    from sim.result import Result


@click.command()
@click.argument("workload", type=WORKLOAD)
@click.option("--hw", "hardware", required=True, type=HARDWARE, help="The machine: a shipped name or a path.")
@set_option
@click.option(
    "--fidelity",
    type=click.Choice(["full", "sampled", "bound"]),
    default="full",
    show_default=True,
    help="full: every line simulated; sampled: a part, the rest extrapolated; bound: the analytic floor, at once.",
)
@click.option(
    "--what-if",
    is_flag=True,
    help="Run again with one resource ideal, or twice as fast, at a time; docs/reports.md lists the cases.",
)
@click.option(
    "--verify", is_flag=True, help="Replay the simulated order on real data and check every output."
)
@seed_option
@click.option("--out", type=click.Path(path_type=Path), help="Run folder to write (whole or not at all).")
@json_option
def run(
    workload: str,
    hardware: str,
    sets: tuple[str, ...],
    fidelity: str,
    what_if: bool,
    verify: bool,
    seed: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """Simulate WORKLOAD (a shipped name, a YAML file, or a .npz trace) on one machine.

    Exits with 1 when --verify finds a wrong output.

    \b
    Examples:
      pagewalk run decode_64x8k --hw h100_sxm
      pagewalk run decode_16x8k --hw h200_sxm --set hw.sm.sram_kib=512 --what-if
      pagewalk run decode_1x8k_warm --hw h100_sxm --verify --json
      pagewalk run decode_64x8k --hw h100_sxm --fidelity sampled
    """
    if fidelity == "bound" and (what_if or verify):
        raise click.UsageError("--what-if and --verify simulate: they need --fidelity full.")
    if fidelity == "sampled" and verify:
        raise click.UsageError("--verify replays every tile: it needs --fidelity full.")
    from sim.cli.job import run_named

    if out is not None:
        _check_folder(out)
    result = run_named(workload, hardware, sets, fidelity=fidelity, seed=seed, what_if=what_if, verify=verify)
    if out is not None:
        _write_folder(out, result)
    if as_json:
        click.echo(result.to_json())
    else:
        from sim.cli.run_screen import screen

        click.echo(screen(result, out, sets))
    if result.verify is not None and not result.verify["ok"]:
        sys.exit(1)


def _check_folder(out: Path) -> None:
    """Refuse a place that cannot take the run folder before the simulation, not after it."""
    from sim.errors import InputError
    from sim.out_folder import check_writable

    if out.exists() and not (out / "result.json").is_file() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"--out {out}: exists and is not a run folder; allowed: a new or an old run folder")
    check_writable(out, out.parent)


def _write_folder(out: Path, result: "Result") -> None:
    """The run folder appears by rename, so that it is whole or absent."""
    import os
    import shutil
    import tempfile

    import yaml

    from sim.errors import InputError

    out.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    resolved: dict[str, Any] = {"hardware": result.hardware, "workload": result.workload}
    try:
        (fresh / "result.json").write_text(result.to_json())
        (fresh / "config.resolved.yaml").write_text(yaml.safe_dump(resolved, sort_keys=False))
        fresh.chmod(0o755)
        if out.exists():
            shutil.rmtree(out)
        os.replace(fresh, out)
    except OSError as error:
        raise InputError(f"--out {out}: cannot be written: {error.strerror}") from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
