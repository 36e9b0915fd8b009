"""Puts figures, summaries and the README's table of results into the documents: `make gallery`.

`<!-- results: NAME -->` … `<!-- /results -->` becomes the summary of `results/NAME`,
`<!-- table: NAME -->` … `<!-- /table -->` one row per result: its accuracy and how it compares with
the `REFERENCES`, over all seeds and draws. Experiments without results here keep their blocks.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from workflow_scripts.results.formatting import (  # noqa: E402
    markdown_table,
    points,
    rows_of,
    share,
    with_interval,
)
from workflow_scripts.results.index import read_table  # noqa: E402
from workflow_scripts.results.table_rows import is_pooled  # noqa: E402

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
    "instruction.png": "demo-instruction/figures/smollm2-135m/future/instruction/forest_plot.png",
    "document.png": "demo-document/figures/smollm2-135m/village/document/forest_plot.png",
    "label_free.png": "demo-label-free/figures/smollm2-135m/plural/teacher/forest_plot.png",
    "uld_methods.png": "demo-uld/figures/smollm2-135m/collection/methods/forest_plot.png",
    "uld_context.png": "demo-uld/figures/smollm2-135m/plural/context/forest_plot.png",
}
BLOCK = re.compile(r"(<!-- (results|table): (\S+) -->\n).*?(<!-- /\2 -->)", re.S)
# results that a table compares all others with, and those of some experiments
REFERENCES = ("sft", "8-shot")
REFERENCES_OF = {"demo-instruction": ("instructed",)}


def main(root: Path = ROOT) -> None:
    for image, figure in FIGURES.items():
        if (root / "results" / figure).exists():
            shutil.copy(root / "results" / figure, root / "docs/images" / image)
    for document in DOCUMENTS:
        path = root / document
        path.write_text(BLOCK.sub(lambda block: filled(block, root / "results"), path.read_text()))


def filled(block: re.Match[str], results: Path) -> str:
    """The block with new content; as it was where its experiment has no results here."""
    begin, kind, name, end = block.groups()
    if not (results / name / "summary.md").exists():
        print(f"results/{name} is not here: its block stays as it is")
        return block[0]
    content = summary(results / name) if kind == "results" else table(results / name)
    return f"{begin}{content}\n{end}"


def summary(experiment: Path) -> str:
    return (experiment / "summary.md").read_text().strip()


def table(experiment: Path) -> str:
    """One row per result, for an experiment with one model and task."""
    references = REFERENCES_OF.get(experiment.name, REFERENCES)
    accuracy: dict[str, str] = {}
    verdicts: dict[str, dict[str, str]] = {reference: {} for reference in references}
    comparisons = read_table(experiment / "comparisons.csv")
    pooled = is_pooled(comparisons)
    for pair in rows_of(comparisons[pooled] if pooled.any() else comparisons):
        first, second = pair["first"], pair["second"]
        accuracy[second] = with_interval(pair, "second_accuracy", share)
        accuracy[first] = with_interval(pair, "first_accuracy", share)
        if second in verdicts:
            difference = with_interval(pair, "difference", points)
            verdicts[second][first] = f"{pair['verdict']}: {difference}"
    columns = {f"difference from {reference}": verdicts[reference] for reference in references}
    rows = pd.DataFrame({"accuracy, % [95 % CI]": accuracy} | columns)
    return markdown_table(rows.rename_axis("result"))


if __name__ == "__main__":
    main()
