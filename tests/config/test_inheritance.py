"""`base:`: mappings merge, lists replace, and a problem names the file that set the value."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sim.config.load import load_hardware, load_workload, model_of
from sim.errors import InputError
from sim.kv_report import weight_bytes

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    monkeypatch.chdir(tmp_path)

    def put(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return put


def problems(name: str, sets: tuple[str, ...] = ()) -> list[str]:
    with pytest.raises(InputError) as caught:
        load_hardware(name, sets)
    return list(caught.value.problems)


def test_overriding_one_leaf_leaves_its_siblings(write: Write) -> None:
    write("mine.yaml", "base: h100_sxm\nname: mine\nsm: {sram_kib: 512}\n")
    mine, base = load_hardware("mine.yaml").spec, load_hardware("h100_sxm").spec
    assert mine.sm == base.sm.model_copy(update={"sram_kib": 512})
    assert mine.hbm == base.hbm
    assert (mine.name, base.name) == ("mine", "h100_sxm")


def test_a_file_without_a_name_is_called_after_itself_not_after_its_base(write: Write) -> None:
    write("mine.yaml", "base: h100_sxm\n")
    write("work.yaml", "base: decode_64x8k\n")
    assert load_hardware("mine.yaml").spec.name == "mine"
    assert load_workload("work.yaml").spec.name == "work"


def test_lists_replace_and_mappings_by_name_merge(write: Write) -> None:
    write(
        "a.yaml",
        "base: h100_sxm\nunpack: {native: [fp8_e4m3, int8]}\n"
        "tiers: {host: {kind: host, capacity_gib: 64, bandwidth_gb_s: 50, latency_ns: 800}}\n",
    )
    write(
        "b.yaml",
        "base: a.yaml\nunpack: {native: [int4]}\n"
        "tiers:\n"
        "  cxl0: {kind: cxl, capacity_gib: 64, bandwidth_gb_s: 50, latency_ns: 300}\n"
        "  host: {latency_ns: 9}\n",
    )
    spec = load_hardware("b.yaml").spec
    assert spec.unpack.native == ["int4"]
    assert set(spec.tiers) == {"host", "cxl0"}
    assert (spec.tiers["host"].latency_ns, spec.tiers["host"].bandwidth_gb_s) == (9, 50)


def test_null_takes_an_inherited_key_back_to_its_default(write: Write) -> None:
    write("a.yaml", "base: h100_sxm\nhbm: {queue_depth: 7}\nlink: {bandwidth_gb_s: 1, latency_ns: 1}\n")
    write("b.yaml", "base: a.yaml\nhbm: {queue_depth: null}\nlink: null\n")
    spec = load_hardware("b.yaml").spec
    assert spec.hbm.queue_depth == 64
    assert spec.link is None


def test_null_for_a_required_key_is_missing_at_the_line_that_took_it_away(write: Write) -> None:
    write("b.yaml", "base: h100_sxm\nsm:\n  count: null\n")
    assert problems("b.yaml") == [
        "b.yaml:3:3: sm.count: missing; needed: a whole number from 1 to 4096 (SMs on the device)"
    ]


def test_a_problem_names_the_file_that_set_the_value(write: Write) -> None:
    write("chips/a.yaml", "base: h100_sxm\nsm:\n  clock_ghz: -1\n")
    write("b.yaml", "base: chips/a.yaml\nhbm:\n  stacks: 0\n")
    assert problems("b.yaml", ("l2.ways=1000",)) == [
        "b.yaml:3:3: hbm.stacks: found 0; allowed: a whole number from 1 to 64",
        "chips/a.yaml:3:3: sm.clock_ghz: found -1; allowed: a number above 0, at most 10",
        "command line: --set l2.ways=1000: l2.ways: found 1000; allowed: a whole number from 1 to 128",
    ]


def test_a_rule_between_keys_blames_the_one_that_was_set_last(write: Write) -> None:
    # 96 slices x 16 ways x 128 B = 192 KiB is one set per slice; the L2 of the base is far larger.
    write("a.yaml", "base: h100_sxm\nl2: {slices: 96, ways: 16, line_bytes: 128, partitions: 1}\n")
    write("b.yaml", "base: a.yaml\nl2:\n  capacity_mib: 0.1\n")
    assert problems("b.yaml") == [
        "b.yaml:3:3: l2.capacity_mib: found 0.1 MiB; allowed: at least one set per slice, "
        "96 slices x 16 ways x 128 B = 0.1875 MiB"
        " (l2.slices is set at a.yaml:2:6, l2.ways is set at a.yaml:2:18, l2.line_bytes is set at a.yaml:2:28)"
    ]
    write("c.yaml", "base: a.yaml\nl2:\n  capacity_mib: 1\n")
    assert problems("c.yaml", ("l2.slices=4096",)) == [
        "command line: --set l2.slices=4096: l2.slices: found 1 MiB; allowed: at least one set per slice, "
        "4096 slices x 16 ways x 128 B = 8 MiB"
        " (l2.ways is set at a.yaml:2:18, l2.line_bytes is set at a.yaml:2:28, l2.capacity_mib is set at c.yaml:3:3)"
    ]


def test_a_description_is_not_inherited(write: Write) -> None:
    write("mine.yaml", "base: h200_sxm\n")
    write("other.yaml", "base: ./mine.yaml\n")
    write("said.yaml", "base: h200_sxm\ndescription: ours\n")
    found = [load_hardware(f"{name}.yaml").spec.description for name in ("mine", "other", "said")]
    assert found == ["based on h200_sxm", "based on mine", "ours"]


def test_circles_are_refused(write: Write) -> None:
    write("a.yaml", "base: b.yaml\n")
    write("b.yaml", "\nbase: ./a.yaml\n")
    assert problems("a.yaml") == [
        "b.yaml:2:1: base: a.yaml inherits from itself; remove one base: of the circle"
    ]


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ("h200", "base: h200: no such hardware; shipped: "),
        ("./gone.yaml", "base: gone.yaml: no such file"),
        (
            "../../etc/passwd",
            'base: found "../../etc/passwd", which is not a YAML file; allowed: a path that ends in',
        ),
        ("../secrets.txt", 'base: found "../secrets.txt", which is not a YAML file'),
        (
            "[h100_sxm]",
            'base: found ["h100_sxm"]; allowed: the name of a shipped hardware or the path of a YAML',
        ),
        ("12", "base: found 12; allowed: the name of a shipped hardware"),
        ("bin.yaml", "base: bin.yaml: is a binary file; expected YAML text"),
        ("folder.yaml", "base: folder.yaml: is a directory; expected a YAML file"),
    ],
)
def test_a_base_that_cannot_be_used_is_refused(write: Write, tmp_path: Path, base: str, message: str) -> None:
    (tmp_path / "bin.yaml").write_bytes(b"\x00\x01")
    (tmp_path / "folder.yaml").mkdir()
    write("a.yaml", f"name: a\nbase: {base}\n")
    (problem,) = problems("a.yaml")
    assert problem.startswith(f"a.yaml:2:1: {message}")


def test_a_context_is_one_value_that_replaces_the_base_whole(write: Write) -> None:
    write("a.yaml", "base: decode_64x8k\ncontext: {trace: sample, at_s: 60}\n")
    write("b.yaml", "base: a.yaml\ncontext: {uniform: [10, 20]}\n")
    context = load_workload("b.yaml").spec.context
    assert not isinstance(context, int | list)
    assert context.model_dump() == {"uniform": (10, 20)}


def test_paths_in_a_workload_are_relative_to_the_file_that_gives_them(write: Write) -> None:
    write("w/m.yaml", "base: llama3_8b\nlayers: 3\n")
    write("w/a.yaml", "base: decode_64x8k\nmodel: ./m.yaml\nbatch: 2\ncontext: {trace: ./t.csv, at_s: 1}\n")
    write("b.yaml", "base: w/a.yaml\nbatch: 4\n")
    spec = load_workload("b.yaml").spec
    assert not isinstance(spec.model, str)
    assert (spec.model.layers, spec.model.head_dim, spec.batch) == (3, 128, 4)
    assert not isinstance(spec.context, int | list)
    assert spec.context.model_dump()["trace"] == "w/t.csv"


def test_a_model_written_in_place_may_inherit_from_a_shipped_one(write: Write) -> None:
    write("a.yaml", "base: decode_64x8k\nmodel: {base: llama3_70b, layers: 2}\n")
    model = load_workload("a.yaml").spec.model
    assert not isinstance(model, str)
    assert (model.layers, model.q_heads) == (2, 64)


@pytest.mark.parametrize("how", ["inline", "file", "command line"])
def test_an_inherited_number_of_weights_does_not_outlive_the_shape_that_it_counts(
    write: Write, how: str
) -> None:
    """Four layers of Llama 3 70B: 4 x (8192 x (2 x 8192 + 2 x 1024) + 3 x 8192 x 28672) + 2 x 128256 x 8192."""
    step = "kind: step\nphase: decode\nbatch: 1\ncontext: 64\nmodel: "
    write("four.yaml", "base: llama3_70b\nlayers: 4\n")
    write("inline.yaml", step + "{base: llama3_70b, layers: 4}\n")
    write("file.yaml", step + "four.yaml\n")
    write("command line.yaml", step + "llama3_70b\n")
    sets = ("workload.model.layers=4",) if how == "command line" else ()
    model = model_of(load_workload(f"{how}.yaml", sets).spec)
    layer = 8192 * (2 * 8192 + 2 * 1024) + 3 * 8192 * 28672
    assert (model.layers, model.weights_g) == (4, None)
    assert weight_bytes(model) == 2 * (4 * layer + 2 * 128256 * 8192)


def test_a_number_of_weights_stays_with_a_shape_that_is_kept_or_where_it_is_given(write: Write) -> None:
    step = "kind: step\nphase: decode\nbatch: 1\ncontext: 64\nmodel: "
    write("format.yaml", step + "{base: jamba_like, weight_bytes: 1}\n")
    write("given.yaml", step + "{base: mistral_7b, layers: 4, weights_g: 7}\n")
    assert model_of(load_workload("format.yaml").spec).weights_g == 51.6
    assert model_of(load_workload("given.yaml").spec).weights_g == 7
    assert model_of(load_workload("format.yaml", ("workload.model.weights_g=9",)).spec).weights_g == 9
