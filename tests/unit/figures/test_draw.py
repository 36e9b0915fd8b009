from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol
from xml.etree import ElementTree

import pandas as pd
import pytest
from matplotlib.image import imread

from workflow_scripts.config.figures import PAIR_FIGURES
from workflow_scripts.figures import style
from workflow_scripts.figures.data import Subject
from workflow_scripts.figures.draw import drawing_of, main, write_figure
from workflow_scripts.runtime.cli import call
from workflow_scripts.runtime.errors import InputError


class ResultTree(Protocol):
    def inputs(self, figure: str, **changes: object) -> list[str]: ...


Drawn = dict[str, tuple[Path, Path]]
BY_STEP = ["loss_curves", "accuracy_by_step", "answer_loss_by_step"]


def arguments_of(name: str, tree: ResultTree, folder: Path, **changes: object) -> list[str]:
    files = [f"--{kind}={folder / name}.{kind}" for kind in ("png", "svg", "csv")]
    return [*tree.inputs(name, **changes), *files]


def draw_all(tree: ResultTree, folder: Path, names: Iterable[str] = PAIR_FIGURES) -> Drawn:
    """Draws the figures through the entry point; PNG and SVG of each by name."""
    for name in names:
        call(main, arguments_of(name, tree, folder))
    return {name: (folder / f"{name}.png", folder / f"{name}.svg") for name in names}


@pytest.fixture(scope="module")
def drawn(one_seed: ResultTree, tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    return draw_all(one_seed, tmp_path_factory.mktemp("one-seed-figures"))


@pytest.fixture(scope="module")
def drawn_with_sweeps(swept: ResultTree, tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    return draw_all(swept, tmp_path_factory.mktemp("swept-figures"), BY_STEP)


def test_names_are_drawn_as_they_are_written(oddly_named, tmp_path):
    """Conditions named `null` and `NA`, a model `135`, a task `1e5`."""
    drawn = draw_all(oddly_named, tmp_path)
    assert {"null", "NA", "True"} <= texts(drawn["accuracy_by_step"][1])
    assert "135" in " ".join(texts(drawn["icl_gap"][1]))


def texts(svg: Path) -> set[str]:
    """Every piece of text in an SVG file."""
    root = ElementTree.parse(svg).getroot()
    return {"".join(node.itertext()).strip() for node in root.findall(".//{*}text")}


@pytest.mark.parametrize("name", PAIR_FIGURES)
def test_a_figure_is_drawn_as_png_and_svg(name, drawn):
    png, svg = drawn[name]
    height, width, _ = imread(png).shape
    assert width > height > 400
    assert any("smollm2-135m on plural" in text for text in texts(svg))


def test_figures_drawn_again_by_another_process_have_identical_bytes(drawn, one_seed, tmp_path):
    every = [arguments_of(name, one_seed, tmp_path) for name in PAIR_FIGURES]
    code = (
        "import json, sys; from workflow_scripts.figures.draw import main\n"
        "from workflow_scripts.runtime.cli import call\n"
        "for arguments in json.loads(sys.argv[1]): call(main, arguments)"
    )
    subprocess.run([sys.executable, "-c", code, json.dumps(every)], check=True)
    for paths in drawn.values():
        for path in paths:
            assert (tmp_path / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", PAIR_FIGURES)
def test_the_csv_is_all_that_a_figure_is_drawn_from(name, drawn):
    png, svg = drawn[name]
    table = pd.read_csv(png.with_suffix(".csv"))
    conditions = ("sft", "layerwise", "logit-kl", "answer-kl", "answer-kl-zero-shot")
    subject = Subject("smollm2-135m", "plural", conditions, ("0-shot", "8-shot"))
    again = png.with_name("again")
    with style.applied():
        style.save(drawing_of(name).draw(table, subject), again, again.with_suffix(".svg"))
    assert texts(again.with_suffix(".svg")) == texts(svg)


@pytest.mark.parametrize("name", ["icl_gap", "accuracy_by_step"])
def test_metrics_of_texts_are_called_by_their_names(name, one_seed, tmp_path):
    data = one_seed.data_of(one_seed.settings_of(name, scorer="bleu"))
    paths = {kind: tmp_path / f"figure.{kind}" for kind in ("png", "svg", "csv")}
    write_figure(name, data, **paths)
    shown = texts(paths["svg"])
    assert {"sentence BLEU", "chrF", "score"} <= shown
    assert not any("ccuracy" in text for text in shown)


@pytest.mark.parametrize("name", BY_STEP)
def test_every_condition_is_named_as_text(name, drawn):
    _, svg = drawn[name]
    assert {"sft", "layerwise", "logit-kl", "answer-kl", "answer-kl-zero-shot"} <= texts(svg)


@pytest.mark.parametrize("name", ["accuracy_by_step", "answer_loss_by_step"])
def test_the_untrained_model_is_named_beside_the_checkpoints(name, drawn):
    _, svg = drawn[name]
    assert {"0-shot", "8-shot"} <= texts(svg)


@pytest.mark.parametrize("name", ["accuracy_by_step", "answer_loss_by_step"])
def test_every_checkpoint_can_be_read_on_the_step_axis(name, drawn):
    _, svg = drawn[name]
    assert {"0", "2", "5", "10", "20", "40"} <= texts(svg)


def test_every_term_has_its_panel(drawn):
    _, svg = drawn["loss_curves"]
    assert {"cross_entropy", "hidden", "logit_kl"} <= texts(svg)


# --- sweeps, transfer, and models that are not trained --------------------------------------


@pytest.mark.parametrize("name", BY_STEP)
def test_figures_by_step_leave_out_variants_and_transferred_results(name, drawn_with_sweeps):
    _, svg = drawn_with_sweeps[name]
    found = texts(svg)
    assert {"sft", "layerwise", "answer-kl-zero-shot"} <= found
    assert not [text for text in found if "~" in text or "@" in text]


@pytest.mark.parametrize("tree", ["untrained", "transferred"])
def test_without_runs_the_gap_is_drawn(tree, request, tmp_path):
    drawn = draw_all(request.getfixturevalue(tree), tmp_path, ["icl_gap"])
    assert {"0", "8"} <= texts(drawn["icl_gap"][1])


@pytest.mark.parametrize("name", BY_STEP)
def test_a_figure_by_step_without_runs_is_refused(name, transferred, tmp_path):
    with pytest.raises(InputError, match="smollm2-135m plural: no run"):
        draw_all(transferred, tmp_path, [name])


def test_a_model_that_the_index_lacks_is_refused_in_one_line(one_seed, tmp_path):
    command = [sys.executable, "-m", "workflow_scripts.figures.draw"]
    arguments = arguments_of("icl_gap", one_seed, tmp_path, model="gpt")
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "error: index: holds no result of gpt on plural\n")
    assert not list(tmp_path.iterdir())
