"""Text of a trace file, plain or gzip, with damage named as such."""

import csv
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from kernels_ref.errors import InputError


@contextmanager
def open_text(path: Path) -> Iterator[TextIO]:
    """The file's text without a byte order mark. Raises InputError for a missing, damaged or non-text file."""
    try:
        if path.suffix == ".gz":
            with gzip.open(path, "rt", encoding="utf-8-sig", newline="") as stream:
                yield stream
        else:
            with path.open("r", encoding="utf-8-sig", newline="") as stream:
                yield stream
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"{path}: cannot be read: {reason}") from None
    except EOFError:
        raise InputError(f"{path}: truncated: the gzip stream ends early") from None
    except zlib.error as error:
        raise InputError(f"{path}: damaged gzip stream: {error}") from None
    except csv.Error as error:
        raise InputError(f"{path}: not a CSV table: {error}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file in UTF-8") from None
