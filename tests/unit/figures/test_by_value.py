"""Members of a group by the number that a sweep varies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol
from xml.etree import ElementTree

import pandas as pd
import pytest

from workflow_scripts.config.comparisons import ComparisonGroup
from workflow_scripts.figures import by_value
from workflow_scripts.figures.data import GroupData, GroupSubject
from workflow_scripts.figures.draw import drawing_of, main
from workflow_scripts.runtime.cli import call
from workflow_scripts.runtime.errors import InputError

WEIGHTS = {f"layerwise~weight={weight:g}": weight for weight in (0.1, 0.5, 2, 5)} | {"layerwise": 1}
FIGURES = ("accuracy_by_value", "memory_by_value")


class ResultTree(Protocol):
    folder: Path

    def inputs_of(self, figure: str, group: str, *, values: Mapping[str, float]) -> list[str]: ...


def draw(figure: str, tree: ResultTree, folder: Path, values: Mapping[str, float]) -> Path:
    """Through the entry point; the file's name without its ending."""
    files = [f"--{kind}={folder / figure}.{kind}" for kind in ("png", "svg", "csv")]
    call(main, [*tree.inputs_of(figure, "layerwise-sweep", values=values), *files])
    return folder / figure


@pytest.fixture(scope="module")
def drawn(swept: ResultTree, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("by-value")
    return {figure: draw(figure, swept, folder, WEIGHTS) for figure in FIGURES}


@pytest.fixture
def subject() -> GroupSubject:
    """In-context learning and fine-tuning on equally many examples, also on another task."""
    sizes = {"0-shot": 0, "4-shot": 4, "8-shot": 8, "sft~train_items=4": 4, "sft": 64}
    sizes |= {"sft~train_items=4@mnli": 4, "sft~train_items=4@mnli@8-shot": 4}
    members = (*sizes, "pbft")
    conditions = tuple(name for name in members if name not in ("0-shot", "4-shot", "8-shot"))
    group = ComparisonGroup(name="support", members=members, design="first")
    return GroupSubject("m", "t", conditions, ("0-shot", "8-shot"), group, {}, "sft", sizes)


def measured(subject: GroupSubject) -> pd.DataFrame:
    members = list(reversed(subject.group.members))
    table = pd.DataFrame({"member": members, "value": 0.5, "low": 0.4, "high": 0.6})
    return by_value.by_value(table, subject)


# --- what is on which line ----------------------------------------------------------------


def test_variants_are_on_the_line_of_their_condition_and_base_results_on_one(subject):
    table = measured(subject).dropna(subset="line")
    assert dict(zip(table["member"], table["line"], strict=True)) == {
        "4-shot": "in-context learning",
        "8-shot": "in-context learning",
        "sft~train_items=4": "sft",
        "sft": "sft",
        "sft~train_items=4@mnli": "sft@mnli",
        "sft~train_items=4@mnli@8-shot": "sft@mnli@8-shot",
    }


def test_no_demonstrations_and_members_without_a_number_are_level_lines(subject):
    table = measured(subject)
    assert table.loc[table["number"].isna(), "member"].tolist() == ["0-shot", "pbft"]
    labels = [line.get_label() for line in by_value.legend_of(table, subject)]
    lines = ["in-context learning", "sft", "sft@mnli", "sft@mnli@8-shot"]
    assert labels == [*lines, "0-shot", "pbft"]


def test_members_keep_the_order_of_the_group(subject):
    assert tuple(measured(subject)["member"]) == subject.group.members


# --- drawn --------------------------------------------------------------------------------


def test_accuracies_are_those_of_the_comparisons(drawn, swept):
    table = pd.read_csv(f"{drawn['accuracy_by_value']}.csv").set_index("member")
    compared = pd.read_csv(swept.folder / "comparisons.csv")
    row = compared[compared["first"] == "layerwise~weight=5"].iloc[0]
    shown = table.loc["layerwise~weight=5", ["number", "value", "low", "high"]]
    names = ["first_accuracy", "first_accuracy_low", "first_accuracy_high"]
    assert shown.tolist() == [5, *row[names]]


def test_memory_is_in_gigabytes_of_each_phase(drawn):
    table = pd.read_csv(f"{drawn['memory_by_value']}.csv")
    peaks = table[table["member"] == "layerwise"].set_index("phase")["value"]
    assert peaks.to_dict() == pytest.approx(
        {"training": 1310.5 * 2**20 / 1e9, "inference": 900 * 2**20 / 1e9}, rel=1e-5
    )
    assert set(table["memory"]) == {"resident memory"}


def test_gpu_memory_is_shown_where_one_was_used(subject):
    costs = pd.DataFrame({"condition": ["4-shot", "8-shot"], "phase": "inference"})
    costs = costs.assign(peak_rss_mb=900.0, peak_gpu_mb=[1000.0, 2000.0])
    data = GroupData(subject, {"cost": costs}, training_logs=pd.DataFrame())
    table = drawing_of("memory_by_value").table(data)
    assert set(table["memory"]) == {"GPU memory"}
    assert table["value"].tolist() == pytest.approx([1.048576, 2.097152])


def test_every_number_can_be_read_below_a_logarithmic_axis(drawn):
    root = ElementTree.parse(f"{drawn['accuracy_by_value']}.svg").getroot()
    texts = {"".join(node.itertext()).strip() for node in root.findall(".//{*}text")}
    assert {"0.1", "0.5", "1", "2", "5", "weight λ", "layerwise", "sft"} <= texts


@pytest.mark.parametrize(
    ("sizes", "scale"), [((2, 4, 128), "log"), ((0.1, 0.5, 0.9), "linear"), ((0, 64), "linear")]
)
def test_numbers_that_span_more_than_a_factor_of_ten_are_logarithmic(sizes, scale, subject):
    names = [f"sft~train_items={size}" for size in sizes]
    group = ComparisonGroup(name="sizes", members=tuple(names), design="first")
    values = dict(zip(names, sizes, strict=True))
    changed = replace(subject, group=group, conditions=tuple(names), values=values)
    figure = drawing_of("accuracy_by_value").draw(measured(changed), changed)
    assert figure.axes[0].get_xscale() == scale


@pytest.mark.parametrize("figure", FIGURES)
def test_a_group_without_numbers_is_refused(figure, swept, tmp_path):
    with pytest.raises(InputError, match="group layerwise-sweep: no member"):
        draw(figure, swept, tmp_path, {})
