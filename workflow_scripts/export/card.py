"""The model card of an exported checkpoint: what it is, what it can do, how it came about."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import yaml
from huggingface_hub import EvalResult, ModelCard, ModelCardData

from workflow_scripts.config.models import ModelSource
from workflow_scripts.config.slices import ContextSettings
from workflow_scripts.config.training import BitFitSettings, LoraSettings
from workflow_scripts.export.recipe import Recipe, hub_id, named
from workflow_scripts.modeling.loading import BIASES
from workflow_scripts.results import formatting as fmt
from workflow_scripts.results.index import ALL_SEEDS
from workflow_scripts.results.scorers import SCORERS
from workflow_scripts.runtime.errors import InputError, without_home
from workflow_scripts.tables.verdicts import against

_ANSWERS = {
    "correct": "",
    "shuffled": ", their answers exchanged among each other",
    "none": ", only their questions",
}
# by the head of the model: what the hub calls its work, and the class of transformers
_WORK = {"language": "text-generation", "classification": "text-classification"}
_CLASS = {
    "language": "AutoModelForCausalLM",
    "classification": "AutoModelForSequenceClassification",
}


@dataclass(frozen=True)
class Shown:
    """What a card shows beside its recipe.

    step: of the checkpoint.
    summary, comparisons: the tables of the model and task.
    folder, base_folder: where the workflow keeps the export and the base model.
    dtype: of the base model, as it was fetched.
    prompt: of a test item.
    ends: tokens that end an answer, as the run learned it.
    """

    step: int
    summary: pd.DataFrame
    comparisons: pd.DataFrame
    folder: Path
    base_folder: Path
    dtype: str
    prompt: str
    ends: Sequence[int]
    results_file: str
    samples_file: str


def model_card(recipe: Recipe, shown: Shown, template: str) -> ModelCard:
    """The card, with metadata as the hub reads them and results in their `model-index`.

    template: Jinja, with a place for everything that is filled in here.
    Raises InputError when the summary lacks a result that the card shows.
    """
    own = _row(shown.summary, recipe.condition, str(recipe.run.seed), shown.step)
    card: ModelCard = ModelCard.from_template(
        _metadata(recipe, own),
        template_str=template,
        recipe=recipe,
        what=_what(recipe),
        base=_pinned(recipe.base),
        head=_head(recipe),
        items=own["items"],
        scored=_scored(recipe.scoring.scorer),
        confidence=fmt.percent(recipe.confidence),
        results=_results(recipe, shown, own),
        seeds=_seeds(recipe, shown.summary),
        comparisons=_comparisons(recipe, shown.comparisons),
        source=named(recipe.data.source),
        source_details=_source_details(recipe),
        teachers=_teachers(recipe),
        settings=_settings(recipe),
        snippet=_snippet(recipe, shown),
        weights=_weights(recipe),
        results_file=shown.results_file,
        samples_file=shown.samples_file,
    )
    return card


# --- metadata -----------------------------------------------------------------------------


def _metadata(recipe: Recipe, own: pd.Series) -> ModelCardData:
    kind, data = recipe.run.adapter.kind, hub_id(recipe.data.source)
    work = _WORK[recipe.run.head]
    names = fmt.scores_of(recipe.scoring.scorer)
    return ModelCardData(
        base_model=hub_id(recipe.base.source),
        datasets=[data] if data else None,
        library_name="peft" if kind == "lora" else "transformers",
        pipeline_tag=work,
        tags=["few-shot-distillation", *([] if kind == "full" else [kind])],
        model_name=recipe.name,
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


def _scored(scorer: str) -> str:
    """What is counted, in a sentence."""
    names = fmt.scores_of(scorer)
    graded = f"Strict: {names.strict}; flexible: {names.flexible}; means over items, in per cent."
    return SCORERS[scorer].card or graded


# --- numbers ------------------------------------------------------------------------------


def _row(summary: pd.DataFrame, condition: str, seed: str | None, step: int) -> pd.Series:
    """The summary's row of a result on test; a base result has no seed."""
    of_seed = summary["seed"].isna() if seed is None else summary["seed"] == seed
    rows = summary[
        of_seed
        & (summary["condition"] == condition)
        & (summary["step"] == step)
        & (summary["split"] == "test")
    ]
    if rows.empty:
        whose = condition if seed is None else f"{condition}, seed {seed}, step {step}"
        raise InputError(f"summary.csv: no test results of {whose}; delete it and rerun")
    return rows.iloc[0]


def _results(recipe: Recipe, shown: Shown, own: pd.Series) -> str:
    """The base model at 0 and the most shots, the checkpoint, the mean over seeds."""
    results = {
        f"base, {shots} shots": _row(shown.summary, f"{shots}-shot", None, 0)
        for shots in sorted({0, recipe.shots})
    } | {f"this checkpoint (step {shown.step})": own}
    table = pd.DataFrame.from_dict(
        {
            name: [
                fmt.with_interval(row, "accuracy_strict", fmt.share),
                fmt.with_interval(row, "accuracy_flexible", fmt.share),
                fmt.with_interval(row, "answer_loss", fmt.loss),
            ]
            for name, row in results.items()
        },
        orient="index",
        columns=["strict", "flexible", "answer loss"],
    )
    mean = _over_seeds(recipe.condition, shown.comparisons)
    if mean is not None:
        steps, accuracy = mean
        table.loc[f"mean over seeds (steps {steps})"] = [accuracy, "", ""]
    return fmt.markdown_table(table)


def _over_seeds(condition: str, comparisons: pd.DataFrame) -> tuple[str, str] | None:
    """Chosen steps and mean accuracy of all seeds; None where there are not several."""
    rows = comparisons[comparisons["seed"] == ALL_SEEDS]
    for side in ("first", "second"):
        own = rows[rows[side] == condition]
        if len(own):
            accuracy = fmt.with_interval(own.iloc[0], f"{side}_accuracy", fmt.share)
            return str(own[f"{side}_step"].iloc[0]), accuracy
    return None


def _seeds(recipe: Recipe, summary: pd.DataFrame) -> str:
    own = summary.loc[summary["condition"] == recipe.condition, "seed"]
    return fmt.count(len(set(own) - {ALL_SEEDS}), "seed")


def _comparisons(recipe: Recipe, comparisons: pd.DataFrame) -> str:
    """What is shown about the condition: against the baseline, then the base model."""
    seeds = [str(recipe.run.seed), ALL_SEEDS]
    rivals = dict.fromkeys((recipe.baseline, f"{recipe.shots}-shot", "0-shot"))
    turned = pd.concat([against(comparisons, rival) for rival in rivals])
    own = turned[(turned["first"] == recipe.condition) & turned["seed"].isin(seeds)]
    if own.empty:
        return "The experiment compares this condition with neither a baseline nor the base model."
    table = pd.DataFrame(
        {
            "group": own["group"],
            "seed": own["seed"],
            "difference": [
                fmt.with_interval(row, "difference", fmt.points) for _, row in own.iterrows()
            ],
            # where nothing was tested, why
            "evidence": own["p_holm"].map(fmt.holm, na_action="ignore").fillna(own["note"]),
            "verdict": own["verdict"].where(own["p_holm"].notna(), "no test"),
        }
    ).set_axis(own["second"].rename("against"))
    title = (
        f"{fmt.capital(fmt.scores_of(recipe.scoring.scorer).strict)} minus that of others on "
        "the same items, points "
        f"[{fmt.percent(recipe.confidence)} CI]. p-values are corrected for all comparisons of "
        "a group."
    )
    return f"{title}\n\n{fmt.markdown_table(table)}"


# --- training -----------------------------------------------------------------------------


def _what(recipe: Recipe) -> str:
    adapter = recipe.run.adapter
    if isinstance(adapter, LoraSettings):
        return f"A LoRA adapter (rank {adapter.rank})"
    if isinstance(adapter, BitFitSettings):
        return "The trained bias terms (BitFit)"
    return "A full fine-tuning"


def _head(recipe: Recipe) -> str:
    if recipe.run.head == "language":
        return ""
    return f" with a classification head for {', '.join(f'`{name}`' for name in _labels(recipe))}"


def _labels(recipe: Recipe) -> list[str]:
    """What a classification head chooses among."""
    assert recipe.run.labels is not None
    return list(recipe.run.labels)


def _pinned(model: ModelSource) -> str:
    revision = "" if model.revision is None else f" at revision `{model.revision}`"
    return f"`{named(model.source)}`{revision}"


def _source_details(recipe: Recipe) -> str:
    data = recipe.data
    details = {"subset": data.subset, "revision": data.revision, "split": data.splits.train}
    if hub_id(data.source) is None:
        details["split"] = None
    told = [f"{name} `{value}`" for name, value in details.items() if value is not None]
    return "".join(f", {detail}" for detail in [*told, f"drawn with seed {data.seed}"])


def _teachers(recipe: Recipe) -> str:
    contexts = {read.teacher: read.context for read in recipe.run.reads}
    if not contexts:
        return "There was no teacher: it was trained on the answers alone."
    return "\n".join(
        f"Teacher `{name}`: {_teaching_model(recipe, name)} {_context(context)}."
        for name, context in contexts.items()
    )


def _teaching_model(recipe: Recipe, teacher: str) -> str:
    other = recipe.teachers.get(teacher)
    return "the base model" if other is None else f"the base {_pinned(other)}"


def _context(context: ContextSettings) -> str:
    if context.shots == 0:
        return "without demonstrations"
    return f"with {context.shots} demonstrations in its context{_ANSWERS[context.answers]}"


def _settings(recipe: Recipe) -> str:
    """Terms, adapter and training as a config file would write them."""
    run = recipe.run
    settings = {
        "terms": [term.model_dump(mode="json") for term in run.terms],
        "adapter": run.adapter.model_dump(mode="json"),
        "training": run.training.model_dump(
            mode="json", exclude={"adapter", "resume_every", "keep_state"}, exclude_none=True
        ),
    }
    return str(yaml.safe_dump(settings, sort_keys=False, default_flow_style=None, width=90)).strip()


def _weights(recipe: Recipe) -> str:
    if recipe.run.adapter.kind == "lora":
        return "`adapter_model.safetensors` is a PEFT adapter;"
    if recipe.run.adapter.kind == "bitfit":
        return f"`{BIASES}` holds the trained tensors by their names in the model;"
    return "The safetensors are the whole model;"


# --- use ----------------------------------------------------------------------------------


def _snippet(recipe: Recipe, shown: Shown) -> str:
    """Loads the checkpoint and answers a test item.

    Run in the folder of the export, or, where the base model is not on the hub, where the workflow
    keeps both.
    """
    hub, folder = hub_id(recipe.base.source), "."
    kind = recipe.run.adapter.kind
    if kind == "full":
        where, base, pinned = "in this folder", folder, ""
    elif hub is not None:
        where, base, pinned = "in this folder", hub, f", revision={_literal(recipe.base.revision)}"
    else:
        folder, base = (without_home(str(path)) for path in (shown.folder, shown.base_folder))
        where, pinned = "where the command below was run: it makes the base model", ""
    auto_class = _CLASS[recipe.run.head]
    options = f"{pinned}, dtype={_literal(shown.dtype)}"
    if recipe.run.head == "classification" and kind != "full":
        options += f", num_labels={len(_labels(recipe))}"
    imports, trained = _attached(kind, folder)
    lines = [
        f"# run {where}",
        *imports,
        f"from transformers import {auto_class}, AutoTokenizer",
        "",
        f"base = {_literal(base)}",
        f"tokenizer = AutoTokenizer.from_pretrained(base{pinned})",
        f"model = {auto_class}.from_pretrained(base{options})",
        *trained,
        "",
        f"prompt = {_literal(shown.prompt)}",
        'inputs = tokenizer(prompt, add_special_tokens=False, return_tensors="pt")',
        *(_generated(recipe, shown.ends) if recipe.run.head == "language" else _chosen(recipe)),
    ]
    return "\n".join(lines)


def _attached(kind: str, folder: str) -> tuple[list[str], list[str]]:
    """Lines that import, and lines that put what was trained into `model`."""
    if kind == "lora":
        line = f"model = PeftModel.from_pretrained(model, {_literal(folder)})"
        return ["from peft import PeftModel"], [line]
    if kind == "bitfit":
        biases = _literal(f"{folder}/{BIASES}")
        line = f"model.load_state_dict(load_file({biases}), strict=False)"
        return ["from safetensors.torch import load_file"], [line]
    return [], []


def _generated(recipe: Recipe, ends: Sequence[int]) -> list[str]:
    return [
        "output = model.generate(",
        f"    **inputs, do_sample=False, max_new_tokens={recipe.generation.max_new_tokens},",
        f"    eos_token_id={list(ends)},",
        ")",
        'answer = output[0, inputs["input_ids"].shape[1] :]',
        "print(tokenizer.decode(answer, skip_special_tokens=True))",
    ]


def _chosen(recipe: Recipe) -> list[str]:
    return [
        f"labels = {_literal(_labels(recipe))}",
        "print(labels[model(**inputs).logits[0].argmax()])",
    ]


def _literal(value: object) -> str:
    """Text as Python source, in double quotes."""
    return json.dumps(value, ensure_ascii=False)
