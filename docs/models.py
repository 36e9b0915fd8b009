"""Writes the tables of docs/models.md: `make models`. It takes a minute.

Where vLLM is installed, that of the types whose adapters it serves, else that of this project.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.model_support import TYPES, served_by_vllm, support  # noqa: E402

DOCUMENT = ROOT / "docs/models.md"


def main() -> None:
    if find_spec("vllm"):
        import vllm

        fill("vllm", f"vLLM {vllm.__version__}: {served_by_vllm()}")
    else:
        rows = [{"type": f"`{family}`"} | support(family) for family in TYPES]
        names = ("transformers", "peft", "torch")
        packages = ", ".join(f"{name} {version(name)}" for name in names)
        table = pd.DataFrame(rows).to_markdown(index=False)
        fill("models", f"Measured with {packages}.\n\n{table}")


def fill(name: str, text: str) -> None:
    """Writes the text between `<!-- name -->` and `<!-- /name -->`."""
    block = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.S)
    DOCUMENT.write_text(
        block.sub(lambda found: f"{found[1]}{text}\n{found[2]}", DOCUMENT.read_text())
    )


if __name__ == "__main__":
    main()
