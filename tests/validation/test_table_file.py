"""CSV files: what cannot be read as it stands is an error with its line, never a row less or another value."""

from pathlib import Path

import pytest

from sim.errors import InputError
from sim.table_file import read_rows

ROOT = Path(__file__).parents[2]
BAD = {
    "a quote that is not closed": ('a,b\n1,2\n3,"x\n5,6\n', ":3: not a CSV file: unexpected end of data"),
    "a quote that the next one seems to close": ('a,b\n1,"x\n3,"y"\n', ":2: not a CSV file: "),
    "text after a quote": ('a,b\n1,"x" y\n', ":2: not a CSV file: "),
    "a column twice": ("a,b,a\n1,2,3\n", ":1: columns: found a more than once; allowed: once"),
    "a long row": ("a,b\n1,2\n1,2,3\n", ":3: found 3 cells; allowed: 2, as in the header"),
    "a short row": ("a,b\n1,2\n\n1\n", ":4: found 1 cells; allowed: 2, as in the header"),
    "nothing": ("", ":1: columns: a missing"),
    "a header alone": ("a,b\n", ": no rows"),
    "a huge cell": (f"a,b\n1,{'x' * 200_000}\n", ":2: not a CSV file: field larger than"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_read_is_named_with_its_line(name: str, tmp_path: Path) -> None:
    text, message = BAD[name]
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_rows(path, ("a",))
    assert len(caught.value.problems) == 1
    assert str(caught.value).startswith(f"{path}{message}")


@pytest.mark.parametrize(("encoding", "line"), [("utf-16", 1), ("latin-1", 3)])
def test_another_encoding_is_named_with_its_line_and_without_the_words_of_a_codec(
    encoding: str, line: int, tmp_path: Path
) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes("a,b\n1,2\n3,\u00b5s\n".encode(encoding))
    with pytest.raises(InputError) as caught:
        read_rows(path, ("a",))
    assert str(caught.value) == f"{path}:{line}: is not UTF-8 text; expected a CSV file in UTF-8"


def test_all_rows_of_another_width_are_named(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1\n1,2\n1,2,3\n")
    with pytest.raises(InputError) as caught:
        read_rows(path, ("a",))
    assert [problem.split(":")[1] for problem in caught.value.problems] == ["2", "4"]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_byte_order_mark_and_cells_of_two_lines_are_fine(newline: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    text = newline.join(["a,b,", '1,"x', 'y",', "", '2,"",3', ""])
    path.write_bytes(text.encode("utf-8-sig"))
    rows = read_rows(path, ("a", "b"))
    assert [row.cells for row in rows] == [{"a": "1", "b": f"x{newline}y"}, {"a": "2", "b": ""}]
    # A row stands where it begins.
    assert [row.where for row in rows] == [f"{path}:2", f"{path}:5"]


def test_shipped_tables_can_be_read() -> None:
    found = sorted(ROOT.glob("validation/**/*.csv"))
    assert found
    for path in found:
        assert read_rows(path, ()), path
