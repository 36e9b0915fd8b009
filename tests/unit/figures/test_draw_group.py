from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol
from xml.etree import ElementTree

import pandas as pd
import pytest

from workflow_scripts.config.comparisons import ComparisonGroup
from workflow_scripts.figures.data import GroupSubject
from workflow_scripts.figures.draw import drawing_of, main
from workflow_scripts.figures.forest_plot import columns_of
from workflow_scripts.results.index import read_table
from workflow_scripts.runtime.cli import call
from workflow_scripts.runtime.errors import InputError

TEXTS = {"sft": "fine-tuning", "layerwise~weight=2": "λ = 2"}


class ResultTree(Protocol):
    folder: Path
    groups: tuple[ComparisonGroup, ...]

    def inputs_of(self, figure: str, group: str, texts: Mapping[str, str]) -> list[str]: ...


def arguments_of(
    figure: str, tree: ResultTree, group: str, folder: Path, texts: Mapping[str, str]
) -> list[str]:
    files = [f"--{kind}={folder / group}-{figure}.{kind}" for kind in ("png", "svg", "csv")]
    return [*tree.inputs_of(figure, group, texts), *files]


def draw(
    figure: str, tree: ResultTree, group: str, folder: Path, texts: Mapping[str, str] = TEXTS
) -> Path:
    """Draws through the entry point; the file's name without its ending."""
    call(main, arguments_of(figure, tree, group, folder, texts))
    return folder / f"{group}-{figure}"


def table_of(drawn: Path) -> pd.DataFrame:
    # several seeds may share a chosen step
    text = {"step": "string"} if drawn.name.endswith("forest_plot") else None
    return pd.read_csv(f"{drawn}.csv", dtype=text)


def texts(drawn: Path) -> Counter[str]:
    """How often each piece of text is in the SVG."""
    root = ElementTree.parse(f"{drawn}.svg").getroot()
    return Counter("".join(node.itertext()).strip() for node in root.findall(".//{*}text"))


def subject_of(tree: ResultTree, group: str) -> GroupSubject:
    own = next(each for each in tree.groups if each.name == group)
    ends = ("0-shot", "8-shot")
    trained = tuple(name for name in own.members if name not in ends)
    return GroupSubject("smollm2-135m", "plural", trained, ends, own, TEXTS, baseline="sft")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("group-figures")


@pytest.fixture(scope="module")
def main_forest_plot(three_seeds: ResultTree, folder: Path) -> Path:
    return draw("forest_plot", three_seeds, "main", folder)


@pytest.fixture(scope="module")
def swept_forest_plot(swept: ResultTree, folder: Path) -> Path:
    return draw("forest_plot", swept, "layerwise-sweep", folder)


@pytest.fixture(scope="module")
def distances(three_seeds: ResultTree, folder: Path) -> Path:
    return draw("teacher_distance", three_seeds, "causes", folder)


@pytest.fixture(scope="module")
def drifts(three_seeds: ResultTree, folder: Path) -> Path:
    return draw("drift", three_seeds, "causes", folder)


# --- every figure -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "group", "fixture"),
    [
        ("forest_plot", "main", "main_forest_plot"),
        ("teacher_distance", "causes", "distances"),
        ("drift", "causes", "drifts"),
    ],
)
def test_the_csv_is_all_that_a_figure_is_drawn_from(name, group, fixture, three_seeds, request):
    drawn = request.getfixturevalue(fixture)
    figure = drawing_of(name).draw(table_of(drawn), subject_of(three_seeds, group))
    written = [text.get_text() for axes in figure.axes for text in axes.texts]
    titles = [axes.get_title("left") for axes in figure.axes]
    lines = {line for text in [*written, *titles] for line in text.splitlines() if line}
    assert lines <= set(texts(drawn))


def test_a_figure_drawn_again_by_another_process_has_identical_bytes(
    distances, three_seeds, tmp_path
):
    arguments = arguments_of("teacher_distance", three_seeds, "causes", tmp_path, TEXTS)
    command = [sys.executable, "-m", "workflow_scripts.figures.draw"]
    subprocess.run([*command, *arguments], check=True)
    for kind in ("png", "svg"):
        again = (tmp_path / f"{distances.name}.{kind}").read_bytes()
        assert again == distances.with_name(f"{distances.name}.{kind}").read_bytes()


@pytest.mark.parametrize("name", ["forest_plot", "teacher_distance", "drift"])
def test_members_are_drawn_by_the_names_that_they_have(name, oddly_named, tmp_path):
    """Conditions named `null` and `NA`, a model `135`, a task `1e5`."""
    drawn = draw(name, oddly_named, "main", tmp_path)
    shown = {"null", "NA", "True"} & {word for text in texts(drawn) for word in text.split()}
    assert shown == {"null", "NA", "True"}


# --- forest plot ----------------------------------------------------------------------------


def test_members_stand_in_the_order_of_the_group(main_forest_plot, three_seeds):
    table = table_of(main_forest_plot)
    chosen = table[table["shown"] == "chosen"]
    assert tuple(chosen["member"]) == subject_of(three_seeds, "main").group.members


def test_the_last_checkpoint_is_that_of_the_last_step_on_test(main_forest_plot, three_seeds):
    summary = read_table(three_seeds.folder / "summary.csv")
    rows = summary[(summary["split"] == "test") & (summary["step"] == 40)]
    expected = rows[rows["seed"] == "all"].set_index("condition")["accuracy_strict"]
    table = table_of(main_forest_plot)
    shown = table[table["shown"] == "last"].set_index("member")["value"]
    assert len(shown) == 5
    assert shown.to_dict() == expected.loc[shown.index].to_dict()


def test_verdicts_and_differences_are_those_of_the_comparisons(main_forest_plot, three_seeds):
    compared = read_table(three_seeds.folder / "comparisons.csv")
    compared = compared[(compared["seed"] == "all") & (compared["group"] == "main")]
    row = compared[(compared["first"] == "layerwise") & (compared["second"] == "sft")].iloc[0]
    table = table_of(main_forest_plot)
    shown = table[(table["member"] == "layerwise") & (table["rival"] == "sft")].iloc[0]
    names = ["difference", "difference_low", "difference_high", "verdict"]
    assert shown[["value", "low", "high", "verdict"]].tolist() == row[names].tolist()
    assert texts(main_forest_plot)[row["verdict"]] > 0


def test_all_pairs_are_read_against_the_baseline_and_the_most_shots(three_seeds):
    columns = columns_of(subject_of(three_seeds, "main"))
    assert [set(column.rivals.values()) for column in columns] == [{"sft"}, {"8-shot"}]
    assert all(len(column.rivals) == 6 for column in columns)


def test_tuned_members_are_read_against_the_tuned_baseline(three_seeds):
    members = ("0-shot", "layerwise~tuned", "sft~tuned")
    group = ComparisonGroup(name="fair", members=members, design="pairs")
    subject = GroupSubject(**vars(subject_of(three_seeds, "main")) | {"group": group})
    (column,) = columns_of(subject)
    assert column.rivals == {"0-shot": "sft~tuned", "layerwise~tuned": "sft~tuned"}


def test_without_baseline_and_shots_all_pairs_are_read_against_the_first(three_seeds):
    group = ComparisonGroup(name="kl", members=("answer-kl", "logit-kl"), design="pairs")
    names = subject_of(three_seeds, "main")
    subject = GroupSubject(**vars(names) | {"group": group})
    assert [column.rivals for column in columns_of(subject)] == [{"logit-kl": "answer-kl"}]


def test_steps_are_read_against_the_row_above_and_as_a_whole(three_seeds):
    steps, whole = columns_of(subject_of(three_seeds, "causes"))
    assert steps.rivals == {"layerwise": "sft", "answer-kl-zero-shot": "layerwise"}
    assert whole.rivals == {"answer-kl-zero-shot": "sft"}


def test_members_are_called_by_their_texts(swept_forest_plot):
    found = texts(swept_forest_plot)
    assert {"fine-tuning", "λ = 2", "layerwise~weight=5"} <= set(found)
    assert "sft" not in found


def test_a_difference_that_was_not_tested_says_why(transferred, folder):
    found = texts(draw("forest_plot", transferred, "elsewhere", folder))
    assert found["too few seeds"] == 6
    assert found["not shown"] == 0


def test_the_base_model_alone_is_compared_by_its_shots(untrained, folder):
    found = texts(draw("forest_plot", untrained, "main", folder))
    assert {"against", "8-shot", "0-shot", "worse"} <= set(found)
    assert not [text for text in found if text.startswith("step")]


# --- by layer -----------------------------------------------------------------------------


def test_each_trained_member_has_a_panel_at_each_position(distances):
    found = texts(distances)
    assert found["layer, at query"] == found["layer, at answer"] == 1
    # two panels and the legend
    assert found["layerwise"] == found["answer-kl-zero-shot"] == 3
    assert found["0-shot"] == 0


def test_every_checkpoint_can_be_read_below_a_panel(distances):
    assert {"0", "2", "5", "10", "20", "40"} <= set(texts(distances))


def test_the_data_of_drift_hold_the_other_measures(drifts, three_seeds):
    table = table_of(drifts)
    measured = read_table(three_seeds.folder / "drift.csv")
    trained = subject_of(three_seeds, "causes").trained
    assert len(table) == measured["condition"].isin(trained).sum()
    assert {"drift", "drift_low", "drift_high", "cka", "svcca"} <= set(table.columns)


@pytest.mark.parametrize(("furthest", "limits"), [(1.4, (0.6, 1.4)), (3.5, (0, 2))])
def test_colours_are_centred_on_the_base_model_and_end_at_twice_its_distance(
    furthest, limits, distances, three_seeds
):
    table = table_of(distances)
    table.loc[5, "teacher_distance"] = furthest
    kept = table[table["teacher_distance"].between(0.7, furthest)]
    figure = drawing_of("teacher_distance").draw(kept, subject_of(three_seeds, "causes"))
    norm = figure.axes[0].collections[0].norm
    assert (norm.vmin, norm.vmax) == pytest.approx(limits)


def test_a_group_without_measured_states_is_refused(transferred, tmp_path):
    with pytest.raises(InputError, match="group elsewhere: no drift of its members was measured"):
        draw("drift", transferred, "elsewhere", tmp_path)


# --- draws of demonstrations ------------------------------------------------------------------


def test_each_seed_and_draw_has_a_tick_beside_the_mean_of_all(in_draws, tmp_path):
    table = table_of(draw("forest_plot", in_draws, "main", tmp_path))
    kl = table[table["member"] == "answer-kl"]
    each, chosen = kl[kl["shown"] == "each"], kl[kl["shown"] == "chosen"].iloc[0]
    assert len(each) == 9
    assert (chosen["seed"], chosen["draw"]) == ("all", "all")
    assert chosen["value"] == pytest.approx(each["value"].mean(), abs=1e-5)


def test_one_draw_has_no_ticks(main_forest_plot):
    table = table_of(main_forest_plot)
    assert "each" not in set(table["shown"])
    assert table["draw"].isna().all()
