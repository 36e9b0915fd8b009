"""Puts figures and summaries of results into the documents: `make gallery`.

A block `<!-- results: NAME -->` … `<!-- /results -->` of a document becomes the summary of
`results/NAME`. Experiments that were not run here keep their blocks.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCUMENTS = ("README.md", "docs/results.md")
# image in docs/images → figure in results/
FIGURES = {
    "accuracy_by_step.png": "demo/figures/smollm2-135m/plural/accuracy_by_step.png",
    "gsm8k_answer_loss.png": "smollm2-gsm8k/figures/smollm2-135m/gsm8k/answer_loss_by_step.png",
    "full_sites.png": "demo-full/figures/smollm2-135m/plural/sites/forest_plot.png",
    "full_causes.png": "demo-full/figures/smollm2-135m/plural/causes-answers/forest_plot.png",
    "full_distance.png": "demo-full/figures/smollm2-135m/plural/layers/teacher_distance.png",
    "full_drift.png": "demo-full/figures/smollm2-135m/plural/main/drift.png",
    "nli_accuracy.png": "demo-nli/figures/smollm2-135m/nli/support/accuracy_by_value.png",
    "nli_memory.png": "demo-nli/figures/smollm2-135m/nli/support/memory_by_value.png",
    "nli_alpha.png": "demo-nli/figures/smollm2-135m/nli/alpha/accuracy_by_value.png",
    "uld_methods.png": "demo-uld/figures/smollm2-135m/collection/methods/forest_plot.png",
    "uld_context.png": "demo-uld/figures/smollm2-135m/plural/context/forest_plot.png",
}
BLOCK = re.compile(r"(<!-- results: (\S+) -->\n).*?(<!-- /results -->)", re.S)


def main() -> None:
    for image, figure in FIGURES.items():
        if (ROOT / "results" / figure).exists():
            shutil.copy(ROOT / "results" / figure, ROOT / "docs/images" / image)
    for document in DOCUMENTS:
        path = ROOT / document
        path.write_text(BLOCK.sub(filled, path.read_text()))


def filled(block: re.Match[str]) -> str:
    summary = ROOT / "results" / block[2] / "summary.md"
    if not summary.exists():
        print(f"results/{block[2]} is not here: its block stays as it is")
        return block[0]
    return f"{block[1]}{summary.read_text().strip()}\n{block[3]}"


if __name__ == "__main__":
    main()
