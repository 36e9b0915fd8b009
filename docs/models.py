"""Writes the table of docs/models.md: `make models`. It takes a minute."""

from __future__ import annotations

import re
import sys
from importlib.metadata import version
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.model_support import TYPES, support  # noqa: E402

DOCUMENT = ROOT / "docs/models.md"
BLOCK = re.compile(r"(<!-- models -->\n).*?(<!-- /models -->)", re.S)


def main() -> None:
    rows = [{"type": f"`{family}`"} | support(family) for family in TYPES]
    packages = ", ".join(f"{name} {version(name)}" for name in ("transformers", "peft", "torch"))
    table = pd.DataFrame(rows).to_markdown(index=False)
    filled = f"\\1Measured with {packages}.\n\n{table}\n\\2"
    DOCUMENT.write_text(BLOCK.sub(filled, DOCUMENT.read_text()))


if __name__ == "__main__":
    main()
