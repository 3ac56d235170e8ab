"""What is measured on: the device, its driver, the clocks as found, the date and the revision of this code.

Read-only: nothing here changes a setting of the card.
"""

import datetime
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from gpu_harness.rows import Record

_STATIC = "name,driver_version,compute_cap"
_CLOCKS = "clocks.sm,clocks.mem,clocks_event_reasons.applications_clocks_setting"


def run_quietly(command: list[str], timeout_s: float = 20.0, cwd: Path | None = None) -> str | None:
    """Standard output of a command, None if it is missing, fails or hangs."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout_s, check=False, cwd=cwd
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def query(fields: str) -> list[str] | None:
    """One line of `nvidia-smi --query-gpu` for the first GPU, None without a GPU."""
    text = run_quietly(["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits", "-i", "0"])
    if not text or not text.strip():
        return None
    cells = [cell.strip() for cell in text.strip().splitlines()[0].split(",")]
    return cells if len(cells) == len(fields.split(",")) else None


def git_hash(folder: Path) -> str:
    """Revision of the checkout, `+changes` where tracked files differ; `unknown` outside of one."""
    head = run_quietly(["git", "rev-parse", "--short=12", "HEAD"], cwd=folder)
    if head is None:
        return "unknown"
    changes = run_quietly(["git", "status", "--porcelain", "--untracked-files=no"], cwd=folder)
    return head.strip() + ("+changes" if changes and changes.strip() else "")


@dataclass(frozen=True)
class Device:
    """The first CUDA GPU. `capability` is 90 for compute capability 9.0."""

    name: str
    driver: str
    capability: int
    cuda: str
    git: str
    date: str = field(
        default_factory=lambda: datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    )

    def record(self) -> Record:
        """The device columns of a row, the clocks as the driver reports them now."""
        clocks = query(_CLOCKS)
        sm, mem, reason = clocks if clocks else ("", "", "")
        locked = {"Active": "application clocks set", "Not Active": "not set by us, none reported"}
        return {
            "device": self.name,
            "driver": self.driver,
            "cuda": self.cuda,
            "date": self.date,
            "git": self.git,
            "sm_clock_mhz": sm,
            "mem_clock_mhz": mem,
            "clocks_locked": locked.get(reason, "unknown"),
        }


def find_device(cuda: str, revision: str) -> Device | None:
    """The first GPU that the driver reports, None without one."""
    cells = query(_STATIC)
    if cells is None:
        return None
    name, driver, capability = cells
    return Device(name, driver, int(capability.replace(".", "")), cuda, revision)
