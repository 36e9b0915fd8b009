from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Protocol
from xml.etree import ElementTree

import pytest
from matplotlib.image import imread

from workflow_scripts.figures.draw import main
from workflow_scripts.figures.registry import FIGURES


class ResultTree(Protocol):
    inputs: list[str]


Drawn = dict[str, tuple[Path, Path]]


def arguments_of(name: str, tree: ResultTree, folder: Path) -> list[str]:
    files = ["--png", str(folder / f"{name}.png"), "--svg", str(folder / f"{name}.svg")]
    return ["--figure", name, *tree.inputs, *files]


def draw_all(tree: ResultTree, folder: Path) -> Drawn:
    """Draws every figure through the entry point; its PNG and SVG by name."""
    with pytest.MonkeyPatch.context() as patch:
        for name in FIGURES:
            patch.setattr(sys, "argv", ["draw", *arguments_of(name, tree, folder)])
            main()
    return {name: (folder / f"{name}.png", folder / f"{name}.svg") for name in FIGURES}


@pytest.fixture(scope="module")
def drawn(one_seed: ResultTree, tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    return draw_all(one_seed, tmp_path_factory.mktemp("one-seed-figures"))


@pytest.fixture(scope="module")
def drawn_over_seeds(three_seeds: ResultTree, tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    return draw_all(three_seeds, tmp_path_factory.mktemp("three-seeds-figures"))


def texts(svg: Path) -> set[str]:
    """Every piece of text in an SVG file."""
    root = ElementTree.parse(svg).getroot()
    return {"".join(node.itertext()).strip() for node in root.findall(".//{*}text")}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_drawn_as_png_and_svg(name, drawn):
    png, svg = drawn[name]
    height, width, _ = imread(png).shape
    assert width > height > 400
    assert any("smollm2-135m on plural" in text for text in texts(svg))


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_drawn_again_by_another_process_has_identical_bytes(
    name, drawn_over_seeds, three_seeds, tmp_path
):
    command = [sys.executable, "-m", "workflow_scripts.figures.draw"]
    subprocess.run([*command, *arguments_of(name, three_seeds, tmp_path)], check=True)
    again = [(tmp_path / f"{name}.{kind}").read_bytes() for kind in ("png", "svg")]
    assert again == [path.read_bytes() for path in drawn_over_seeds[name]]


@pytest.mark.parametrize(
    "name", ["loss_curves", "accuracy_by_step", "answer_loss_by_step", "condition_comparison"]
)
def test_every_condition_is_named_as_text(name, drawn):
    _, svg = drawn[name]
    named = {text.split(",")[0] for text in texts(svg)}
    assert {"sft", "layerwise", "logit-kl", "answer-kl", "answer-kl-zero-shot"} <= named


@pytest.mark.parametrize("name", ["accuracy_by_step", "answer_loss_by_step"])
def test_the_untrained_model_is_named_beside_the_checkpoints(name, drawn):
    _, svg = drawn[name]
    assert {"0-shot", "8-shot"} <= texts(svg)


@pytest.mark.parametrize("name", ["accuracy_by_step", "answer_loss_by_step"])
def test_every_checkpoint_can_be_read_on_the_step_axis(name, drawn):
    _, svg = drawn[name]
    assert {"0", "2", "5", "10", "20", "40"} <= texts(svg)


def test_verdicts_are_written_in_words(drawn):
    _, svg = drawn["condition_comparison"]
    found = texts(svg)
    assert {"against sft", "against 8-shot"} <= found
    words = {match[1] for text in found if (match := re.match(r"(.+) \([+-]\d", text))}
    assert words == {"better", "worse", "not shown"}


def test_every_term_has_its_panel(drawn):
    _, svg = drawn["loss_curves"]
    assert {"cross_entropy", "hidden", "logit_kl"} <= texts(svg)


def test_a_model_that_the_index_lacks_is_refused_in_one_line(one_seed, tmp_path):
    command = [sys.executable, "-m", "workflow_scripts.figures.draw"]
    arguments = arguments_of("icl_gap", one_seed, tmp_path)
    done = subprocess.run(
        [*command, *arguments, "--model", "gpt"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (2, "error: index: holds no result of gpt on plural\n")
    assert not list(tmp_path.iterdir())
