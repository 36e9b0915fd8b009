from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Protocol

import pytest


class ResultTree(Protocol):
    folder: Path


def write_summary(tree: ResultTree, output: Path) -> str:
    """summary.md through its entry point."""
    command = [sys.executable, "-m", "workflow_scripts.figures.summary_markdown"]
    for name in ("summary", "comparisons", "crossover", "cost", "icl_gap"):
        command += [f"--{name.replace('_', '-')}", str(tree.folder / f"{name}.csv")]
    page = output.with_suffix(".html")
    subprocess.run([*command, "--settings", "{}", "--output", output, "--page", page], check=True)
    return output.read_text()


@pytest.fixture(scope="module")
def page(one_seed: ResultTree, tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_summary(one_seed, tmp_path_factory.mktemp("page") / "summary.md")


def test_the_demo_experiment_fits_one_page(page):
    lines = page.splitlines()
    assert len(lines) <= 55
    assert max(map(len, lines)) <= 110


def test_the_in_context_gap_comes_with_its_interval(page):
    assert re.search(r"In-context gap: \+65\.0 points, 95 % CI \[\+\d+\.0, \+\d+\.0\]", page)


def test_each_condition_is_held_against_the_baseline_and_both_references(page):
    verdicts = re.findall(r"^- (\S+) vs (\S+): (better|worse|not shown) \(", page, re.MULTILINE)
    rivals = [rival for first, rival, _ in verdicts if first == "answer-kl"]
    assert rivals == ["sft", "8-shot", "0-shot"]
    assert len(verdicts) == 4 + 5 + 5


def test_a_verdict_states_difference_interval_and_corrected_p(page):
    sentence = (
        r"- layerwise vs sft: (better|worse|not shown) "
        r"\([+-]\d+\.\d points, 95 % CI \[[+-]\d+\.\d, [+-]\d+\.\d\], Holm p [=<] [\d.e-]+\)"
    )
    assert re.search(sentence, page)


def test_accuracy_is_tabled_by_step_with_the_chosen_checkpoint(page):
    row = next(line for line in page.splitlines() if line.startswith("| sft"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:2] == ["sft", "0.0"]
    assert len(cells) == 8
    assert re.fullmatch(r"40: \d+\.\d \[\d+\.\d, \d+\.\d\]", cells[-1])


def test_a_run_that_never_reaches_the_reference_says_so(page):
    rows = [line for line in page.splitlines() if line.startswith("| answer-kl-zero-shot")]
    assert rows[1].rstrip(" |").endswith("never")


def test_each_condition_has_a_line_of_cost(page):
    assert re.search(r"^- sft: \d+ s, 1,310 MiB, 12,345 tokens$", page, re.MULTILINE)


def test_several_seeds_are_one_row_and_one_verdict(three_seeds, tmp_path):
    page = write_summary(three_seeds, tmp_path / "summary.md")
    assert len(re.findall(r"^\| sft ", page, re.MULTILINE)) == 2
    assert len(re.findall(r"^- sft vs 8-shot", page, re.MULTILINE)) == 1
    assert len(re.findall(r"^- sft: \d+ s", page, re.MULTILINE)) == 1
