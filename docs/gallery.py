"""Puts the figure and the summary of the demo's results into the README: `make gallery`."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "results" / "demo"
FIGURE = RESULTS / "figures" / "smollm2-135m" / "plural" / "accuracy_by_step.png"


def main() -> None:
    images = ROOT / "docs" / "images"
    images.mkdir(exist_ok=True)
    shutil.copy(FIGURE, images)
    readme = ROOT / "README.md"
    summary = (RESULTS / "summary.md").read_text().strip()
    block = f"<!-- demo -->\n{summary}\n<!-- /demo -->"
    text = re.sub("<!-- demo -->.*<!-- /demo -->", lambda _: block, readme.read_text(), flags=re.S)
    readme.write_text(text)


if __name__ == "__main__":
    main()
