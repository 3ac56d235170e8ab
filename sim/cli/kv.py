"""`pagewalk kv`: prefix-cache hit rate against capacity, by tier and policy."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from kernels_ref.hit_curves import CurvePoint
    from kernels_ref.kvcache import Workload

SCHEMA = "pagewalk.kv/1"
JOB = "kv"
"""Whose folder --out is: curves of any trace take the place of earlier ones."""


MOST_BLOCKS = 2**31 - 1
"""Block tables number blocks in 32 bit."""


class Sizes(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4 only
    """Whole numbers of at least `least`, separated by commas."""

    name = "N[,N...]"

    def __init__(self, least: int) -> None:
        self.least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        try:
            sizes = [int(part) for part in value.split(",")]
        except ValueError:
            self.fail(f"{value[:80]!r} is not a list of whole numbers such as 1000,3000", param, ctx)
        for size in sizes:
            if not self.least <= size <= MOST_BLOCKS:
                self.fail(f"found {str(size)[:80]}; allowed: from {self.least} to {MOST_BLOCKS}", param, ctx)
        return sizes


@click.command(
    epilog="Example: pagewalk kv conversation.jsonl.gz --blocks 1000,10000 --policy lru,slru --tier 0,30000"
)
@click.argument("trace", metavar="TRACE", type=click.Path(path_type=Path))
@click.option(
    "--blocks",
    required=True,
    type=Sizes(1),
    metavar="N[,N...]",
    help="Capacities of the cache, in blocks.",
)
@click.option(
    "--policy",
    "policies",
    default="lru",
    show_default=True,
    metavar="P[,P...]",
    help="lru_tail_first (lru), lru_head_first, lru_leaf, fifo_tail_first (fifo), lfu, slru, 2q, priority, "
    "cost_aware, optimum.",
)
@click.option(
    "--tier",
    "tiers",
    default="0",
    type=Sizes(0),
    metavar="N[,N...]",
    help="Sizes of a second tier, in blocks; 0 is none.",
)
@click.option(
    "--inclusion",
    default="exclusive",
    show_default=True,
    type=click.Choice(["exclusive", "inclusive"]),
    help="Of the tier.",
)
@click.option(
    "--write",
    default="back",
    show_default=True,
    type=click.Choice(["back", "through", "selective"]),
    help="Into the tier.",
)
@click.option(
    "--admission",
    default="all",
    show_default=True,
    type=click.Choice(["all", "frequent"]),
    help="To the tier; frequent: used twice.",
)
@click.option(
    "--block-tokens",
    type=int,
    metavar="B",
    help="Tokens per block; a divisor of the trace's, which is the default.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the table.")
@click.option(
    "--out", metavar="DIR", type=click.Path(path_type=Path), help="Folder for hit_rate.png, .svg and kv.json."
)
def kv(
    trace: Path,
    blocks: list[int],
    policies: str,
    tiers: list[int],
    inclusion: str,
    write: str,
    admission: str,
    block_tokens: int | None,
    as_json: bool,
    out: Path | None,
) -> None:
    """Hit rate of a request trace against cache capacity, with the infinite cache and the offline optimum.

    Requests run one after the other in file order. The optimum bounds the hit blocks of every policy that
    has the same number of blocks in all (both tiers together). Needs a trace that records prefix ids.
    """
    from kernels_ref.hit_curves import TierRules, hit_curves, policy_names
    from kernels_ref.kvcache import prepare
    from kernels_ref.request_trace import read_requests
    from sim.out_folder import check_out

    if out is not None:
        check_out(out, JOB)
    names = policy_names(policies.split(","))
    requests = read_requests(trace)
    load = prepare(requests, block_tokens)
    points = list(hit_curves(load, blocks, names, tiers, TierRules(inclusion, write, admission)))
    document = _document(requests.name, load, points)
    if out is not None:
        _write(out, document, points)
    if as_json:
        import json

        click.echo(json.dumps(document, indent=2, allow_nan=False))
    else:
        _print_table(requests.name, load, points)
        if out is not None:
            click.echo(f"written: {out}/kv.json, {out}/hit_rate.png, {out}/hit_rate.svg")


def _document(name: str, load: "Workload", points: "list[CurvePoint]") -> dict[str, Any]:
    from dataclasses import asdict

    rows = [
        asdict(point) | {"block_hit_rate": point.block_hit_rate, "token_hit_rate": point.token_hit_rate}
        for point in points
    ]
    return {
        "schema": SCHEMA,
        "trace": name,
        "requests": load.requests,
        "block_tokens": load.page_tokens,
        "unique_blocks": load.unique,
        "rows": rows,
    }


def _write(out: Path, document: dict[str, Any], points: "list[CurvePoint]") -> None:
    import json

    from sim.cli.kv_plot import draw_hit_rates
    from sim.errors import InputError
    from sim.out_folder import mark_out

    try:
        mark_out(out, JOB)
        (out / "kv.json").write_text(json.dumps(document, indent=2, allow_nan=False) + "\n")
        draw_hit_rates(points, f"{document['trace']}, {document['block_tokens']} tokens per block", out)
    except OSError as error:
        raise InputError(f"{out}: --out: cannot be written: {error.strerror}") from None


def _print_table(name: str, load: "Workload", points: "list[CurvePoint]") -> None:
    click.echo(
        f"{name}: {load.requests} requests, {len(load.ids)} blocks of {load.page_tokens} tokens, "
        f"{load.unique} distinct"
    )
    click.echo(
        f"{'policy':<16} {'blocks':>9} {'tier':>9} {'tokens hit':>11} {'blocks hit':>11} {'by the tier':>11} "
        f"{'hit blocks':>11} {'evictions':>10} {'offloaded':>10}"
    )
    for point in points:
        in_tier = point.tier_hit_blocks
        tier_rate = "-" if in_tier is None else f"{in_tier / point.asked_blocks:.2%}"
        evictions, offloaded = ("-" if n is None else n for n in (point.evictions, point.offloaded_blocks))
        click.echo(
            f"{point.policy:<16} {point.blocks:>9} {point.tier or '-':>9} {point.token_hit_rate:>11.2%} "
            f"{point.block_hit_rate:>11.2%} {tier_rate:>11} {point.hit_blocks + (in_tier or 0):>11} "
            f"{evictions:>10} {offloaded:>10}"
        )
