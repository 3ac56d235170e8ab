"""A joint calibration from file to fitted values and their errors."""

import hashlib
from pathlib import Path

from sim.calibration.blind import anchored, judged, left_out
from sim.calibration.joint import Tell, first_state, fit_in_turn, overheads_of, to_fit
from sim.calibration.joint_output import Joint
from sim.calibration.recipe import Recipe
from sim.calibration.rows import MakeStep, Reference, hold_back, usable
from sim.calibration.written import provenance
from sim.config.load import load_profile
from sim.error_summary import summary
from sim.errors import InputError
from sim.sweep.facts import engine
from sim.sweep.finished import Finished
from sim.validation.attention import map_rows
from sim.validation.cases import Mapped
from sim.validation.names import Names
from sim.validation.overheads import shipped_overhead_us
from sim.validation.skipped import in_file_order, not_covered
from sim.validation.truth import read_truth


def calibrate_jointly(
    truth: Path,
    recipe: Recipe,
    names: Names,
    make_step: MakeStep,
    sampled_ns: Reference,
    blind: bool,
    tell: Tell,
    folder: Path | None = None,
) -> Joint:
    """Fit what the recipe names to two thirds of its rows and judge the rest. `sampled_ns`: time of a sampled run, for
    recipes that ask for it. `blind`: also leave out each pair of machine and profile. `folder`: where finished steps
    are kept, so that an interrupted run goes on where it was. Raises InputError for unusable files and where nothing
    can be fitted."""
    rows = read_truth(truth)
    cases, skipped = map_rows(rows, names.without_stand_ins)
    skipped += [not_covered(c.row) for c in cases if not _covers(recipe, c)]
    ours = [c for c in cases if _covers(recipe, c)]
    kept, held = hold_back(ours)
    profiles = {name: load_profile(name) for name in recipe.profiles}
    reference = sampled_ns if recipe.fidelity == "sampled" else None
    (fitted, dropped), (judge, dropped_held) = (
        usable(part, lambda c: c.hw, lambda c: profiles[c.names.kernel.profile], make_step, reference)
        for part in (kept, held)
    )
    skipped += dropped + dropped_held
    chosen = to_fit(fitted, recipe)
    if not chosen:
        raise InputError(f"{truth}: found no usable row of the recipe's machines and profiles")
    tell(
        f"{len(chosen)} of {len(fitted)} rows take part, {len(judge)} are held back, {len(skipped)} left out"
    )
    arch_of, known = names.arch_of, None
    if recipe.overheads == "shipped":
        known = {r.group: shipped_overhead_us(r.case, names.overheads, arch_of) for r in fitted + judge}
    finished = Finished(folder, _decides(truth, recipe, names))
    if len(finished):
        tell(f"{len(finished)} steps were finished before")
    state = fit_in_turn(chosen, recipe, first_state(fitted + judge, known), tell, finished)
    overheads = overheads_of(fitted, state) if known is None else known
    parts = {
        "fitted": judged(fitted, state, overheads, arch_of),
        "held_back": judged(judge, state, overheads, arch_of),
    }
    parts["anchored"] = anchored(parts["fitted"] + parts["held_back"])
    if blind:
        parts["left_out"] = left_out(fitted + judge, chosen, recipe, state, arch_of, tell, finished)
    held_back = summary(e.error for e in parts["held_back"])
    source = f"{provenance(truth)}, MAPE {held_back['mape']:.1%} held back"
    return Joint(source, state, {} if known else overheads, parts, in_file_order(skipped, rows))


def _decides(truth: Path, recipe: Recipe, names: Names) -> str:
    """Digest of all that the fitted values follow from."""
    texts = (recipe.model_dump_json(), names.model_dump_json(), engine())
    return hashlib.sha256(truth.read_bytes() + "\n".join(texts).encode()).hexdigest()


def _covers(recipe: Recipe, case: Mapped) -> bool:
    """A row of one of these very chips, not of a relative that its config stands for."""
    gpu, kernel = case.names.gpu, case.names.kernel
    known = gpu.hw in recipe.machines and kernel.profile in recipe.profiles
    return known and not gpu.set and case.row.phase == recipe.phase
