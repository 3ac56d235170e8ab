"""Every block manager of these tests checks itself after everything that changes it, unless it is large."""

from collections.abc import Callable
from typing import Any

import pytest

from kernels_ref.block_manager import BlockManager
from kernels_ref.selfcheck import check_manager

LARGE = 1000
"""Blocks: a check looks at every block."""


@pytest.fixture(autouse=True)
def checked_managers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("allocate", "append", "fork", "free"):
        monkeypatch.setattr(BlockManager, name, _checked(getattr(BlockManager, name)))


def _checked(change: Callable[..., Any]) -> Callable[..., Any]:
    def changed(manager: BlockManager, *arguments: Any, **options: Any) -> Any:
        result = change(manager, *arguments, **options)
        if manager.num_blocks < LARGE:
            check_manager(manager)
        return result

    return changed
