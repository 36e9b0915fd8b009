"""Simulated result trees, and the tables that analysis makes of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest

from tests.outputs import save
from tests.target_manifests import save_target_manifest
from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.config.comparisons import ComparisonGroup
from workflow_scripts.config.figures import FIGURES, TRAINING_LOG
from workflow_scripts.config.slices import ComparisonSlice, FigureSlice
from workflow_scripts.config.teachers import TargetSettings
from workflow_scripts.figures.data import FigureData, read_figure_data
from workflow_scripts.results.index import ResultIndex, read_predictions, write_table
from workflow_scripts.results.names import is_main, recipe_of, shots_after
from workflow_scripts.study.comparison_groups import pairs_of
from workflow_scripts.tables.comparisons import compare
from workflow_scripts.tables.cost import cost_table
from workflow_scripts.tables.crossover import crossover
from workflow_scripts.tables.icl_gap import icl_gap_table
from workflow_scripts.tables.noise import noise
from workflow_scripts.tables.qualify import with_smallest
from workflow_scripts.tables.summary import summarise
from workflow_scripts.tables.targets import TargetEntry, target_table

MODEL, TASK = "smollm2-135m", "plural"
STEPS = (0, 2, 5, 10, 20, 40)
ITEMS = {"validation": 40, "test": 100}
FINAL_ACCURACY = {
    "sft": 0.72,
    "layerwise": 0.66,
    "logit-kl": 0.74,
    "answer-kl": 0.80,
    "answer-kl-zero-shot": 0.40,
}
SWEPT = {
    **{f"layerwise~weight={weight:g}": 0.5 + weight / 10 for weight in (0.1, 0.5, 2, 5)},
    "layerwise~reduction=mean": 0.6,
    **{f"answer-kl~learning_rate={rate:g}": 0.7 for rate in (5e-5, 1e-4, 4e-4)},
}
TRANSFERRED = {f"{name}@gsm8k": accuracy - 0.3 for name, accuracy in FINAL_ACCURACY.items()}
TRANSFERRED["layerwise~weight=0.1@gsm8k"] = 0.2
ODDLY_NAMED = {"sft": 0.72, "null": 0.6, "NA": 0.8, "True": 0.5}
TERMS = {
    "sft": ["cross_entropy"],
    "layerwise": ["cross_entropy", "hidden"],
    "logit-kl": ["cross_entropy", "logit_kl"],
    "answer-kl": ["cross_entropy", "logit_kl"],
    "answer-kl-zero-shot": ["cross_entropy", "logit_kl"],
}
SETTINGS = AnalysisSettings(bootstrap_samples=1200)
LAYERS = 4
# what every cost was measured on
SETUP = {"processor": "AMD EPYC", "threads": "2", "processes": 1, "dtype": "bfloat16"}


@dataclass(frozen=True)
class ResultTree:
    """The index of a simulated experiment and the folder of the tables made from it."""

    index: str
    folder: Path
    groups: tuple[ComparisonGroup, ...]
    model: str
    task: str

    def settings_of(self, figure: str, **changes: object) -> FigureSlice:
        names = {"figure": figure, "model": self.model, "task": self.task, "scorer": "word"}
        return FigureSlice.model_validate(names | changes)

    def data_of(self, settings: FigureSlice) -> FigureData:
        index = ResultIndex.model_validate_json(self.index)
        return read_figure_data(settings, index, self._tables(settings.figure), index)

    def inputs(self, figure: str, **changes: object) -> list[str]:
        """Arguments of `draw` that name its inputs."""
        settings = self.settings_of(figure, **changes).model_dump_json()
        tables = map(str, self._tables(figure))
        names = ["--settings", settings, "--results", self.index, "--logs", self.index]
        return [*names, "--tables", *tables]

    def inputs_of(
        self,
        figure: str,
        group: str,
        texts: Mapping[str, str] = MappingProxyType({}),
        values: Mapping[str, float] = MappingProxyType({}),
    ) -> list[str]:
        """The same for a figure of a group."""
        own = next(own for own in self.groups if own.name == group)
        of_group = {"group": own, "texts": dict(texts), "values": dict(values)}
        return self.inputs(figure, baseline="sft", **of_group)

    def _tables(self, figure: str) -> list[Path]:
        tables = FIGURES[figure].tables
        return [self.folder / f"{name}.csv" for name in tables if name != TRAINING_LOG]


@pytest.fixture(scope="session")
def one_seed(tmp_path_factory: pytest.TempPathFactory) -> ResultTree:
    return simulate_results(tmp_path_factory.mktemp("one-seed"), seeds=(0,))


@pytest.fixture(scope="session")
def three_seeds(tmp_path_factory: pytest.TempPathFactory) -> ResultTree:
    return simulate_results(tmp_path_factory.mktemp("three-seeds"), seeds=(0, 1, 2))


@pytest.fixture(scope="session")
def in_draws(tmp_path_factory: pytest.TempPathFactory) -> ResultTree:
    """Three seeds and three draws of demonstrations, which reach all but `sft`."""
    return simulate_results(tmp_path_factory.mktemp("in-draws"), seeds=(0, 1, 2), draws=3)


@pytest.fixture(scope="session")
def swept(tmp_path_factory: pytest.TempPathFactory) -> ResultTree:
    """The same conditions, variants of two of them, and runs that were trained on GSM8K."""
    return simulate_results(
        tmp_path_factory.mktemp("swept"), (0,), FINAL_ACCURACY | SWEPT, TRANSFERRED
    )


@pytest.fixture(scope="session")
def oddly_named(tmp_path_factory: pytest.TempPathFactory) -> ResultTree:
    """Names that a reader of tables could take for numbers or missing values."""
    return simulate_results(
        tmp_path_factory.mktemp("oddly-named"), (0, 1), ODDLY_NAMED, model="135", task="1e5"
    )


@pytest.fixture(scope="session")
def transferred(tmp_path_factory: pytest.TempPathFactory) -> ResultTree:
    """Nothing was trained on the task itself."""
    return simulate_results(tmp_path_factory.mktemp("transferred"), (0, 1), {}, TRANSFERRED)


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> ResultTree:
    return simulate_results(tmp_path_factory.mktemp("untrained"), (), {})


def simulate_results(
    folder: Path,
    seeds: tuple[int, ...],
    trained: Mapping[str, float] = FINAL_ACCURACY,
    transferred: Mapping[str, float] = MappingProxyType({}),
    model: str = MODEL,
    task: str = TASK,
    draws: int = 0,
) -> ResultTree:
    """Predictions, logs and costs of such an experiment, and every table made from them.

    trained, transferred: final accuracy of each condition. Transferred results hold step 0 and
    one other, which is not the same for every seed. draws: of the demonstrations of all but `sft`
    and zero shots; 0 for one.
    """
    generator = np.random.default_rng(0)
    difficulty = {split: generator.uniform(size=count) for split, count in ITEMS.items()}
    entries = []
    several = tuple(range(draws)) or (None,)
    for shots, accuracy, loss in ((0, 0.0, 4.7), (8, 0.68, 0.54)):
        for draw in several if shots else (None,):
            path = folder / f"{shots}-shot-{draw}.parquet"
            save(_predictions({0: (accuracy, loss)}, difficulty, generator), path)
            inference = _inference(folder / f"{shots}-shot.json", shots)
            entry = _entry(f"{shots}-shot", None, shots, path, inference=inference)
            entries.append(entry | {"draw": draw})
    for condition, accuracy in trained.items():
        for draw, seed in product((None,) if condition == "sft" else several, seeds):
            run = folder / condition / f"seed-{seed}-{draw}"
            run.mkdir(parents=True)
            curve = {step: _reached(step, accuracy) for step in STEPS}
            save(_predictions(curve, difficulty, generator), run / "predictions.parquet")
            save(_training_log(condition, generator), run / "training_log.csv")
            save(_cost(generator), (run / "cost.json"))
            entries.append(
                _entry(
                    condition,
                    seed,
                    None,
                    run / "predictions.parquet",
                    run / "training_log.csv",
                    run / "cost.json",
                    _inference(run / "inference.json"),
                )
                | {"draw": draw}
            )
    for condition, accuracy in transferred.items():
        for seed in seeds:
            path = folder / f"{condition}-{seed}.parquet"
            curve = {0: _reached(0, accuracy), 20 + seed: (accuracy, 1.0)}
            own = _predictions(curve, difficulty, generator)
            save(own.assign(task=task, shots=shots_after(condition)), path)
            entries.append(_entry(condition, seed, None, path))
    names = {"model": model, "task": task}
    index = json.dumps([names | entry for entry in entries])
    tree = ResultTree(index, folder, _groups(list(trained), list(transferred)), **names)
    _make_tables(tree)
    drift = _drift(list(trained), generator).assign(**names)
    write_table(drift, folder / "drift.csv")
    return tree


def _groups(trained: Sequence[str], transferred: Sequence[str]) -> tuple[ComparisonGroup, ...]:
    """The main conditions, each sweep, a decomposition, and what was trained elsewhere."""
    base, main = ["0-shot", "8-shot"], [name for name in trained if is_main(name)]
    swept = dict.fromkeys(recipe_of(name) for name in trained if not is_main(name))
    groups = {
        "main": ([*base, *main], "pairs"),
        "causes": ([name for name in main if not name.endswith("-kl")], "steps"),
        "elsewhere": (["0-shot", *transferred], "first"),
    }
    for recipe in swept:
        variants = [name for name in trained if recipe_of(name) == recipe]
        groups[f"{recipe}-sweep"] = (["sft", *variants], "first")
    return tuple(
        ComparisonGroup(name=name, members=tuple(members), design=design)
        for name, (members, design) in groups.items()
        if len(members) > 1
    )


def _with_pairs(groups: Sequence[ComparisonGroup]) -> list[ComparisonSlice]:
    return [
        ComparisonSlice(**group.model_dump(), pairs=pairs_of(group.members, group.design))
        for group in groups
    ]


def _drift(trained: Sequence[str], generator: np.random.Generator) -> pd.DataFrame:
    """A drift table over seeds: states move with the steps, at the last layer to the teacher's."""
    places = product(trained, ("query", "answer"), STEPS, range(LAYERS))
    table = pd.DataFrame(places, columns=["condition", "position", "step", "layer"])
    reached = table["step"] / (table["step"] + 10)
    drift = 0.3 * reached * generator.uniform(0.9, 1.1, size=len(table))
    distance = 1 - 0.5 * reached * (table["layer"] == LAYERS - 1)
    columns = {"drift": drift, "teacher_distance": distance}
    for name, values in columns.items():
        ends = {f"{name}_low": 0.9 * values, f"{name}_high": 1.1 * values}
        table = table.assign(**{name: values}, **ends)
    alike = {"cka": 1 - drift, "svcca": 1 - drift / 2}
    return table.assign(seed="all", draw=None, items=ITEMS["test"], **alike)


def _make_tables(tree: ResultTree) -> None:
    index = ResultIndex.model_validate_json(tree.index)
    predictions = read_predictions(index)
    base = predictions[predictions["shots"].notna()]
    for name, table in {
        "summary": summarise(predictions, SETTINGS),
        "comparisons": compare(predictions, _with_pairs(tree.groups), SETTINGS),
        "crossover": crossover(predictions, SETTINGS),
        "cost": cost_table(index),
        "icl_gap": with_smallest(icl_gap_table(base, 134_515_008, "bfloat16", SETTINGS)),
        "noise": noise(predictions, _evaluated_again(predictions)),
        "targets": target_table(_targets(tree) if index.runs else []),
    }.items():
        write_table(table, tree.folder / f"{name}.csv")


def _evaluated_again(predictions: pd.DataFrame) -> pd.DataFrame:
    """The last checkpoint of the first run on test, two of whose answers differ."""
    runs = predictions[predictions["seed"].notna() & (predictions["split"] == "test")]
    if runs.empty:
        return runs
    first = runs.iloc[0]
    own = (runs["condition"] == first["condition"]) & (runs["seed"] == first["seed"])
    again = runs[own & (runs["step"] == runs["step"].max())].copy()
    again.loc[again.index[:2], "prediction"] += "?"
    return again


def _targets(tree: ResultTree) -> list[TargetEntry]:
    """A logit target at answers."""
    mass = {
        kind: {"positions": count, "mean": 0.9991, "min": 0.871, "share_above_999": 0.75}
        for kind, count in {"all": 300, "first": 100, "later": 100, "end": 100}.items()
    }
    manifest = tree.folder / "manifest.json"
    target = TargetSettings(kind="logits", position="answer", top_k=256, temperature=2)
    name = save_target_manifest(manifest, target, mass)
    names = {"model": tree.model, "task": tree.task, "teacher": "few-shot", "target": name}
    return [TargetEntry(**names, manifest=manifest)]


def _entry(
    condition: str,
    seed: int | None,
    shots: int | None,
    predictions: Path,
    training_log: Path | None = None,
    cost: Path | None = None,
    inference: Path | None = None,
) -> dict[str, object]:
    return {
        "condition": condition,
        "seed": seed,
        "shots": shots,
        "support": 64 if shots is None else shots,
        "predictions": str(predictions),
        "training_log": training_log and str(training_log),
        "cost": cost and str(cost),
        "inference": inference and str(inference),
    }


def _reached(step: int, final: float) -> tuple[float, float]:
    """Accuracy and loss of the base model at step 0, near `final` at step 40."""
    share = step**2 / (step**2 + 100)
    return final * share, 4.7 * (1 - share) + 0.2 * share


def _predictions(
    curve: dict[int, tuple[float, float]],
    difficulty: dict[str, np.ndarray],
    generator: np.random.Generator,
) -> pd.DataFrame:
    rows = []
    for step, (accuracy, loss) in curve.items():
        for split, hard in difficulty.items():
            luck = generator.uniform(size=len(hard))
            strict = 0.8 * hard + 0.2 * luck < accuracy
            rows.append(
                pd.DataFrame(
                    {
                        "split": split,
                        "item": [f"{split}-{i}" for i in range(len(hard))],
                        "step": step,
                        "completion": "words",
                        "answer_loss": loss * generator.gamma(4, 0.25, size=len(hard)),
                        "prediction": "word",
                        "strict": strict,
                        "flexible": strict | (luck < 0.1),
                        "selection": strict,
                        "selection_loss": loss,
                    }
                )
            )
    return pd.concat(rows, ignore_index=True)


def _training_log(condition: str, generator: np.random.Generator) -> pd.DataFrame:
    steps = np.arange(1, 41)
    terms = TERMS.get(recipe_of(condition), ["cross_entropy"])
    curve = {
        term: scale * np.exp(-steps / 12) * generator.lognormal(sigma=0.15, size=40)
        for term, scale in zip(terms, (4.0, 12.0), strict=False)
    }
    table = pd.DataFrame({"step": steps, "loss": sum(curve.values()), **curve})
    return table.assign(grad_norm=1.0, learning_rate=2e-4)


def _inference(path: Path, shots: int = 0) -> Path:
    cost = SETUP | {"wall_seconds": 5.0, "cpu_seconds": 10.0, "peak_gpu_mb": None}
    memory = {"peak_rss_mb": 900.0 + 50 * shots, "mean_rss_mb": 800.0}
    save(cost | memory | {"answers": 200}, path)
    return path


def _cost(generator: np.random.Generator) -> dict[str, object]:
    return SETUP | {
        "wall_seconds": float(generator.uniform(60, 120)),
        "cpu_seconds": 154.0,
        "peak_rss_mb": 1310.5,
        "mean_rss_mb": 1100.0,
        "peak_gpu_mb": None,
        "tokens": 12345,
    }
