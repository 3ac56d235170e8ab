"""`python -m gpu_harness.attention SECTION` runs one PyTorch section and prints its rows as JSON lines."""

import importlib
import sys

from gpu_harness.attention.rows import skip


def main() -> int:
    section = sys.argv[1]
    try:
        torch = importlib.import_module("torch")
    except ImportError as error:
        skip(section, f"no PyTorch here: {error}")
        return 0
    if not torch.cuda.is_available():
        skip(section, f"PyTorch {torch.__version__} sees no CUDA device")
        return 0
    torch.manual_seed(1)
    importlib.import_module(f"gpu_harness.attention.{section}").run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
