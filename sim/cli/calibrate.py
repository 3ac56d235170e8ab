"""`pagewalk calibrate`: fit a machine or a kernel profile to measured kernel times."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sim.cli.params import HARDWARE, ConfigName, json_option

if TYPE_CHECKING:
    from sim.calibration.run import Calibration
    from sim.calibration.targets import Target

RECIPE_SAYS = {
    "hardware": "--hw",
    "profile": "--profile",
    "rows": "--rows",
    "evaluations": "--evaluations",
    "fidelity": "--fidelity",
}
"""Options that a recipe overrules, by their name in the command."""


@click.command(epilog="Example: pagewalk calibrate mine.csv --hw h100_sxm --out my_h100.yaml")
@click.argument("truth", metavar="TRUTH.csv", type=click.Path(path_type=Path))
@click.option(
    "--hw",
    "hardware",
    multiple=True,
    metavar="HW",
    type=HARDWARE,
    help="Machine to fit, or to fit a profile on (then as often as needed).",
)
@click.option(
    "--profile",
    metavar="P",
    type=ConfigName("kernel profile"),
    help="Fit this kernel profile instead, on the rows that use it.",
)
@click.option(
    "--out",
    required=True,
    metavar="FILE.yaml",
    type=click.Path(path_type=Path),
    help="Write the config here, and the frameworks' overheads to FILE.overheads.yaml. With --recipe: a folder.",
)
@click.option(
    "--recipe",
    metavar="FILE.yaml",
    type=click.Path(path_type=Path),
    help="Fit all machines and profiles that this file names, in turn, in place of --hw.",
)
@click.option(
    "--blind", is_flag=True, help="With --recipe: also fit without each pair of machine and profile."
)
@json_option
@click.option(
    "--rows",
    type=click.IntRange(1, 10_000),
    default=30,
    show_default=True,
    help="Most rows of each GPU, kernel and KV type, spread over their times.",
)
@click.option(
    "--evaluations",
    type=click.IntRange(1, 100),
    default=6,
    show_default=True,
    help="Steps of the search; each tries every parameter once.",
)
@click.option(
    "--fidelity",
    type=click.Choice(["sampled", "tile"]),
    default="sampled",
    show_default=True,
    help="sampled: scale the fast tile-grain model to sampled runs at the starting values.",
)
def calibrate(
    truth: Path,
    hardware: tuple[str, ...],
    profile: str | None,
    out: Path,
    recipe: Path | None,
    blind: bool,
    as_json: bool,
    rows: int,
    evaluations: int,
    fidelity: str,
) -> None:
    """Fit bounded, physical parameters to the rows of TRUTH.csv that were measured on HW.

    Without --profile: bus time that is not for data, usable share and bandwidth of L2, bytes in flight per SM and
    CTA start, shared by all kernels. With it: costs per CTA, tile, run and split. The overhead of each framework
    is found beside them. Every third row is held back and judged.
    """
    from sim.calibration.output import as_json as to_json
    from sim.calibration.output import write
    from sim.calibration.run import Options
    from sim.calibration.run import calibrate as fit_rows
    from sim.calibration.targets import target_of
    from sim.cli.attention_case import sampled_ns, step_of
    from sim.cli.calibrate_out import check_file
    from sim.validation.names import shipped_names

    if recipe is not None:
        _refuse_beside_recipe()
        _calibrate_jointly(truth, recipe, out, blind, as_json)
        return
    if blind:
        raise click.UsageError("--blind needs --recipe: it leaves out each of its pairs")
    if not hardware:
        raise click.UsageError("--hw or --recipe is needed")
    target = target_of(hardware, profile)
    check_file(out, hardware, profile)
    reference = sampled_ns if fidelity == "sampled" else None
    result = fit_rows(truth, target, shipped_names(), step_of, Options(rows, evaluations, reference))
    write(result, target, out)
    if as_json:
        import json

        click.echo(json.dumps(to_json(result, target), allow_nan=False))
    else:
        click.echo(_text(result, target, out))


def _refuse_beside_recipe() -> None:
    """What the recipe says is not said twice: an option that it overrules would be ignored without a word."""
    context = click.get_current_context()
    given = [
        option
        for name, option in RECIPE_SAYS.items()
        if context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT
    ]
    if given:
        raise click.UsageError(f"--recipe takes no {', no '.join(given)}: the recipe says it")


def _calibrate_jointly(truth: Path, recipe: Path, out: Path, blind: bool, as_json: bool) -> None:
    from sim.calibration.joint_output import as_json as to_json
    from sim.calibration.joint_output import summary_text, write_joint
    from sim.calibration.recipe import read_recipe
    from sim.calibration.run_joint import calibrate_jointly
    from sim.cli.attention_case import sampled_ns, step_of
    from sim.cli.calibrate_out import check_folder
    from sim.out_folder import mark_out
    from sim.validation.names import shipped_names

    wanted = read_recipe(recipe)
    job = f"calibrate {recipe.name}"
    check_folder(out, wanted, job)
    result = calibrate_jointly(truth, wanted, shipped_names(), step_of, sampled_ns, blind, _tell, out)
    write_joint(result, out)
    mark_out(out, job)
    if as_json:
        import json

        click.echo(json.dumps(to_json(result), allow_nan=False))
    else:
        click.echo(f"{summary_text(result)}\nwritten: {out}")


def _tell(message: str) -> None:
    click.echo(message, err=True)


def _text(result: "Calibration", target: "Target", out: Path) -> str:
    from sim.validation.skipped import counts_text

    lines = [f"{target.name}: {result.fitted['n']} rows fitted, {result.held_back['n']} held back", ""]
    lines.append(f"{'parameter':<24} {'start':>10} {'fitted':>10}   range")
    for p in result.parameters:
        values = f"{result.start[p.path]:>10.4g} {result.values[p.path]:>10.4g}"
        lines.append(f"{p.path:<24} {values}   {p.low:g} to {p.high:g}: {p.why}")
    lines += ["", "overhead of framework, machine and KV class"]
    lines += [f"  {' / '.join(group):<48} {value:>6.2f} us" for group, value in result.overheads.items()]
    lines += ["", f"{'mean error (bias) of':<64} {'fitted':>22} {'held back':>22}"]
    everything = {"fitted": result.fitted, "held_back": result.held_back}
    for label, both in {**result.by_group, "all": everything}.items():
        cells = [f"{e['n']:>5} {e['mape']:>7.1%} ({e['bias']:+.1%})" for e in both.values()]
        lines.append(f"{label[:64]:<64} {cells[0]:>22} {cells[1]:>22}")
    lines.append(f"at the starting values: {result.before['mape']:.1%} of the fitted rows")
    if result.skipped:
        lines.append(f"rows left out: {counts_text(result.skipped)} (--json lists them)")
    return "\n".join([*lines, f"written: {out}"])
