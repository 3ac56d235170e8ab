"""`pagewalk trace`: what the reference engine does for a workload, as a file."""

from pathlib import Path

import click

from sim.cli.params import WORKLOAD, seed_option, set_option


@click.command()
@click.argument("workload", type=WORKLOAD)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The .npz file to write.")
@set_option
@seed_option
def trace(workload: str, out: Path, sets: tuple[str, ...], seed: int) -> None:
    """Write the reference engine's trace of WORKLOAD: lengths, block tables, formats, appended tokens.

    The same file runs on any machine, with the same blocks in the same places.

    \b
    Examples:
      pagewalk trace decode_chat --out chat.npz
      pagewalk run chat.npz --hw h200_sxm
    """
    from sim.cli.job import engine_step
    from sim.cli.stored_trace import write_stored
    from sim.config.load import load_workload, model_of
    from sim.config.overrides import workload_overrides
    from sim.config.placed import places_named
    from sim.errors import InputError

    if out.suffix != ".npz":
        raise InputError(f"--out {out}: allowed: a name that ends in .npz, as `pagewalk run` expects")
    loaded = load_workload(workload, workload_overrides(sets))
    spec = loaded.spec
    model = model_of(spec)
    if model.attention == "ssm":
        raise InputError(f"{workload}: a model without a KV cache has no block tables to trace")
    with places_named(workload=loaded):
        step = engine_step(spec, model, seed)
    write_stored(out, spec, step)
    click.echo(
        f"{out}: {step.sequences} sequences, {len(step.table)} table entries, {step.frames} blocks of "
        f"{step.page_tokens} tokens, {out.stat().st_size} bytes"
    )
