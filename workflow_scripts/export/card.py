"""The model card of an exported checkpoint: what it is, what it can do, how it came about."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import yaml
from huggingface_hub import EvalResult, ModelCard, ModelCardData

from workflow_scripts.config.analysis import ChooseBy
from workflow_scripts.config.answers import Author
from workflow_scripts.config.slices import PhaseSlice, RunSlice, TeacherTarget
from workflow_scripts.config.teachers import Answers
from workflow_scripts.export.recipe import Recipe, hub_id, named
from workflow_scripts.modeling.loading import BIASES
from workflow_scripts.report.document import Table, render
from workflow_scripts.report.sections.results import difference_cells
from workflow_scripts.results import formatting as fmt
from workflow_scripts.results.index import ALL, REPLICATE
from workflow_scripts.results.scorers import SCORERS
from workflow_scripts.results.table_rows import is_pooled
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.home import without_home
from workflow_scripts.tables.verdicts import against

# the hub's name for the work of a model's head
_WORK = {"language": "text-generation", "classification": "text-classification"}
# what follows the items of a phase, by who answered them
_ANSWERS: dict[Author, str] = {
    "gold": "",
    "teacher": " answered by the teacher",
    "student": " answered by the student itself",
}

# of the teacher's system text
_SHOWN_LINES = 12
# what follows demonstrations, by their answers
_SHOWN: dict[Answers, str] = {
    "correct": "",
    "shuffled": ", their answers exchanged among each other",
    "none": ", only their questions",
}
_CHOSEN: dict[ChooseBy, str] = {
    "accuracy": "was the run's best on {items} validation items",
    "agreement": "agreed most with the task's reference teacher on {items} validation items",
    "last": "is the run's last",
}


@dataclass(frozen=True)
class Shown:
    """What a card shows beside its recipe.

    step: of the checkpoint.
    summary, comparisons: the tables of the model and task.
    folder, base_folder: where the workflow keeps the export and the base model.
    dtype: of the base model, as it was fetched.
    prompt: of a test item.
    tokens_saved: by which the teacher's prompts are longer, mean over the test items.
    ends: tokens that end an answer, as the run learned it.
    """

    step: int
    summary: pd.DataFrame
    comparisons: pd.DataFrame
    folder: Path
    base_folder: Path
    dtype: str
    prompt: str
    tokens_saved: float
    ends: Sequence[int]
    results_file: str
    samples_file: str
    inspect_file: str


def model_card(recipe: Recipe, shown: Shown, template: Path) -> ModelCard:
    """The card, with metadata as the hub reads them and results in their `model-index`.

    Raises InputError when the summary lacks a result that the card shows.
    """
    own = _row(shown.summary, recipe.condition, str(recipe.run.seed), recipe.draw, shown.step)
    base, kind = hub_id(recipe.base.source), recipe.run.adapter.kind
    beside = kind == "full" or base is not None
    return ModelCard(
        render(
            template,
            card_data=_metadata(recipe, shown, own).to_yaml(),
            recipe=recipe,
            shown=shown,
            run=recipe.run,
            kind=kind,
            base=base,
            items=own["items"],
            agreement=_agreement(recipe, own),
            taught=_taught(recipe),
            system=_beginning(recipe.taught.system if recipe.taught else None),
            tokens_saved=f"{shown.tokens_saved:.0f}",
            scored=_scored(recipe),
            chosen=_CHOSEN[recipe.choose_by].format(items=recipe.data.items.validation),
            teachers=_teachers(recipe),
            results=_results(recipe, shown, own),
            draw="" if recipe.draw is None else f", draw {recipe.draw}",
            repetitions=_repetitions(recipe, shown.summary),
            comparisons=_comparisons(recipe, shown.comparisons),
            data=_data(recipe.run),
            source_details=_source_details(recipe),
            settings=_settings(recipe),
            biases=BIASES,
            named=named,
            literal=_literal,
            percent=fmt.percent,
            capital=fmt.capital,
            scores=recipe.scores,
            folder="." if beside else without_home(str(shown.folder)),
            base_folder=without_home(str(shown.base_folder)),
        )
    )


# --- metadata -----------------------------------------------------------------------------


def _metadata(recipe: Recipe, shown: Shown, own: pd.Series) -> ModelCardData:
    kind, data = recipe.run.adapter.kind, hub_id(recipe.data.source)
    work = _WORK[recipe.run.head]
    names = recipe.scores
    return ModelCardData(
        base_model=hub_id(recipe.base.source),
        datasets=[data] if data else None,
        library_name="peft" if kind == "lora" else "transformers",
        pipeline_tag=work,
        tags=["few-shot-distillation", *([] if kind == "full" else [kind])],
        model_name=recipe.name,
        prompt_tokens_saved=round(shown.tokens_saved, 1) if _taught(recipe) else None,
        eval_results=[
            EvalResult(
                task_type=work,
                # the hub refuses other characters here
                dataset_type=data or re.sub(r"[^\w.-]+", "-", recipe.task),
                dataset_name=recipe.task,
                dataset_config=recipe.data.subset,
                dataset_split=recipe.data.splits.test if data else "test",
                dataset_revision=recipe.data.revision,
                metric_type=SCORERS[recipe.scoring.scorer].hub,
                metric_name=name,
                metric_value=float(own[f"accuracy_{kind}"]),
            )
            for kind, name in (("strict", names.strict), ("flexible", names.flexible))
        ],
    )


def _scored(recipe: Recipe) -> str:
    """What is counted, in a sentence, and with whose answers it is compared."""
    names = fmt.scores_of(recipe.scoring.scorer)
    graded = f"Strict: {names.strict}; flexible: {names.flexible}; means over items, in per cent."
    scored = SCORERS[recipe.scoring.scorer].card or graded
    if recipe.judge is None:
        return scored
    judge = f"the answers of teacher `{recipe.judge}` stand for them"
    return f"{scored} Test items have no labels: {judge}."


# --- numbers ------------------------------------------------------------------------------


def _row(
    summary: pd.DataFrame, condition: str, seed: str | None, draw: int | None, step: int
) -> pd.Series:
    """The summary's row of a result on test; a base result has no seed.

    draw: of the exported run. The row is of that draw, or of what is the same in each; for a run
    that is the same in each, over all draws.
    """
    of_seed = summary["seed"].isna() if seed is None else summary["seed"] == seed
    of_draw = summary["draw"].isna() | (summary["draw"] == (ALL if draw is None else str(draw)))
    rows = summary[
        of_seed
        & of_draw
        & (summary["condition"] == condition)
        & (summary["step"] == step)
        & (summary["split"] == "test")
    ]
    if rows.empty:
        run = f"{condition}, seed {seed}{'' if draw is None else f', draw {draw}'}, step {step}"
        whose = condition if seed is None else run
        raise InputError(f"summary.csv: no test results of {whose}; delete it and rerun")
    return rows.iloc[0]


def _results(recipe: Recipe, shown: Shown, own: pd.Series) -> str:
    """The base model at 0 and the most shots, the checkpoint, the mean over seeds and draws."""
    results = {
        f"base, {shots} shots": _row(shown.summary, f"{shots}-shot", None, recipe.draw, 0)
        for shots in sorted({0, recipe.shots})
    } | {f"this checkpoint (step {shown.step})": own}
    rows = [
        {
            "result": name,
            "strict": fmt.with_interval(row, "accuracy_strict", fmt.share),
            "flexible": fmt.with_interval(row, "accuracy_flexible", fmt.share),
            "answer loss": fmt.with_interval(row, "answer_loss", fmt.loss),
        }
        for name, row in results.items()
    ]
    mean = _over_all(recipe.condition, shown.comparisons)
    if mean is not None:
        over = "seeds" if recipe.draw is None else "seeds and draws"
        rows.append({"result": f"mean over {over} (steps {mean[0]})", "strict": mean[1]})
    return Table.of("Results", rows).markdown


def _agreement(recipe: Recipe, own: pd.Series) -> str:
    """How often the checkpoint answers as the reference does; empty for a task with labels."""
    if recipe.judge is None:
        return ""
    names = SCORERS[recipe.scoring.scorer].names
    scores = [
        f"{name} {fmt.share(own[column])} % "
        f"{fmt.between(own[f'{column}_low'], own[f'{column}_high'], fmt.share)}"
        for name, column in (
            (names.strict, "accuracy_strict"),
            (names.flexible, "accuracy_flexible"),
        )
    ]
    return f"Agreement with the {recipe.judge} model: {', '.join(scores)}"


def _over_all(condition: str, comparisons: pd.DataFrame) -> tuple[str, str] | None:
    """Chosen steps and mean accuracy over seeds and draws; None where there are not several."""
    rows = comparisons[is_pooled(comparisons)]
    for side in ("first", "second"):
        own = rows[rows[side] == condition]
        if len(own):
            accuracy = fmt.with_interval(own.iloc[0], f"{side}_accuracy", fmt.share)
            return str(own[f"{side}_step"].iloc[0]), accuracy
    return None


def _repetitions(recipe: Recipe, summary: pd.DataFrame) -> str:
    own = summary.loc[summary["condition"] == recipe.condition, REPLICATE]
    return fmt.repetitions(*(len(set(own[name].dropna()) - {ALL}) for name in REPLICATE))


def _comparisons(recipe: Recipe, comparisons: pd.DataFrame) -> str:
    """What is shown about the condition against the baseline and the base model; may be empty."""
    seeds = [str(recipe.run.seed), ALL]
    draws = [str(recipe.draw), ALL]
    rivals = dict.fromkeys((recipe.baseline, f"{recipe.shots}-shot", "0-shot"))
    turned = pd.concat([against(comparisons, rival) for rival in rivals])
    of_run = turned["seed"].isin(seeds) & (turned["draw"].isna() | turned["draw"].isin(draws))
    rows = [
        {"against": row["second"], "group": row["group"], "seed": row["seed"]}
        | {"draw": "" if pd.isna(row["draw"]) else row["draw"]}
        | difference_cells(row, f"[{fmt.percent(recipe.confidence)} CI]")
        for row in fmt.rows_of(turned[of_run & (turned["first"] == recipe.condition)])
    ]
    return Table.of("Comparisons", rows).markdown if rows else ""


# --- training -----------------------------------------------------------------------------


def _taught(recipe: Recipe) -> str:
    """What the teacher saw before each question; empty if that was what the student sees."""
    if recipe.taught is None:
        return ""
    shown = recipe.taught.context
    parts = {
        "a system text": recipe.taught.system is not None,
        fmt.count(shown.shots, "demonstration"): shown.shots > 0,
        f"the item's `{shown.item}`": shown.item is not None,
    }
    return fmt.listed([part for part, is_shown in parts.items() if is_shown])


def _beginning(text: str | None) -> str:
    """The first lines of a text, as an indented block."""
    lines = (text or "").splitlines()
    cut = [*lines[:_SHOWN_LINES], *(["…"] if len(lines) > _SHOWN_LINES else [])]
    return textwrap.indent("\n".join(cut), "    ")


def _data(run: RunSlice) -> str:
    """What was trained on, one phase after another."""
    phases = [_examples(phase) for phase in run.phases]
    if run.phases[0].author == "student" and len(phases) > 1:
        return f"{len(phases)} rounds, each of {phases[0]}"
    return ", then ".join(phases)


def _examples(phase: PhaseSlice) -> str:
    kind = "items" if phase.demonstrations is None else "demonstrations"
    return f"{phase.train_items} {kind}{_ANSWERS[phase.author]}"


def _source_details(recipe: Recipe) -> str:
    data = recipe.data
    details = {"subset": data.subset, "revision": data.revision, "split": data.splits.train}
    if hub_id(data.source) is None:
        details["split"] = None
    told = [f"{name} `{value}`" for name, value in details.items() if value is not None]
    return "".join(f", {detail}" for detail in [*told, f"drawn with seed {data.seed}"])


def _teachers(recipe: Recipe) -> dict[str, str]:
    """Teacher → what is in its context."""
    reads = {read.teacher: read for phase in recipe.run.phases for read in phase.reads}
    return {name: _context(read) for name, read in reads.items()}


def _context(read: TeacherTarget) -> str:
    context, shown = read.context, []
    if read.system is not None:
        shown.append("a system text of its own")
    if context.item is not None:
        shown.append(f"the item's column `{context.item}`")
    if context.shots:
        shown.append(f"{context.shots} demonstrations")
    if not shown:
        return "without demonstrations"
    return (
        f"with {fmt.listed(shown)} in its context{_SHOWN[context.answers] if context.shots else ''}"
    )


def _settings(recipe: Recipe) -> str:
    """Terms, adapter and training as a config file would write them."""
    run = recipe.run
    phases = [
        {
            "terms": [term.model_dump(mode="json") for term in phase.terms],
            "answers": phase.author,
            "steps": phase.steps,
        }
        for phase in run.phases
    ]
    settings = {
        **({"phases": phases} if len(phases) > 1 else {"terms": phases[0]["terms"]}),
        "adapter": run.adapter.model_dump(mode="json"),
        "training": run.training.model_dump(
            mode="json", exclude={"adapter", "resume_every", "keep_state"}, exclude_none=True
        ),
    }
    return str(yaml.safe_dump(settings, sort_keys=False, default_flow_style=None, width=90)).strip()


def _literal(value: object) -> str:
    """Text as Python source, in double quotes."""
    return json.dumps(value, ensure_ascii=False)
