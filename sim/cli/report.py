"""`pagewalk report`: a folder of results as one self-contained page and plots."""

from pathlib import Path

import click

from sim.cli.params import FiniteRange


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="The page.  [default: DIR/report.html]")
@click.option(
    "--model-error",
    type=FiniteRange(0, 1),
    help="Relative error of the model below which a difference is a tie.  [default: the stated one]",
)
def report(folder: Path, out: Path | None, model_error: float | None) -> None:
    """Write a self-contained HTML page about DIR, and its plots as PNG and SVG beside it.

    DIR is the folder of a sweep, of a comparison (`compare --out`) or of one run (`run --out`).

    \b
    Examples:
      pagewalk report out/demo
      pagewalk report out/demo --out review.html
    """
    from reports.model_error import ModelError
    from reports.report import write_report
    from reports.study import ReportError
    from sim.errors import InputError

    if out is not None and not out.absolute().parent.is_dir():
        raise InputError(f"--out {out}: the folder {out.absolute().parent} does not exist")
    if out is not None and out.is_dir():
        raise InputError(f"--out {out}: is a folder; give the name of an HTML file")
    model = None if model_error is None else ModelError(model_error, "the value given as --model-error")
    try:
        written = write_report(folder, out, model)
    except ReportError as error:
        raise InputError(str(error)) from None
    except OSError as error:
        raise InputError(f"{error.filename or out or folder}: cannot be written: {error.strerror}") from None
    click.echo(written.said.headline)
    for sentence in written.said.sentences:
        click.echo(f"- {sentence}")
    click.echo(f"\nreport: {written.html}\nplots:  {written.html.parent / 'plots'}")
