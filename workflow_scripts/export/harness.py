"""Results in the layout that lm-evaluation-harness writes, for tools that read its files.

Layout: lm_eval/result_schema.py of EleutherAI/lm-evaluation-harness (0.4). The prompts and scorers
are this workflow's; what differs is in docs/running.md.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from statistics import fmean, stdev
from typing import Any

import pandas as pd

from workflow_scripts.export.recipe import Recipe, named
from workflow_scripts.modeling.loading import LocalModel
from workflow_scripts.prompts.rendering import Renderer
from workflow_scripts.results.scorers import SCORERS
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.tasks.examples import Example


@dataclass(frozen=True)
class Answered:
    """A test item with what the checkpoint made of it.

    losses: of a choice task, label → nats summed over its tokens.
    """

    example: Example
    prompt: str
    completion: str
    losses: dict[str, float]
    prediction: str
    strict: float
    flexible: float


@dataclass(frozen=True)
class _Filter:
    """One way to read the answers: name of the filter, and metric → field of `Answered`."""

    name: str
    metrics: dict[str, str]


def answered(
    renderer: Renderer,
    choices: Sequence[str] | None,
    examples: Sequence[Example],
    predictions: pd.DataFrame,
) -> list[Answered]:
    """Every example with what was predicted for it, in the order of the examples.

    choices: labels of a choice task.
    predictions: one row for each item.
    Raises InputError when an example has no prediction.
    """
    rows = predictions.set_index("item")
    absent = [example.item for example in examples if example.item not in rows.index]
    if absent:
        raise InputError(
            f"item {absent[0]}: not among the run's predictions; delete them and rerun"
        )
    renderings = renderer.render(
        [e.question for e in examples], [e.required_answer for e in examples]
    )
    return [
        Answered(
            example=example,
            prompt=renderer.tokenizer.decode(
                rendering.prompt_ids, clean_up_tokenization_spaces=False
            ),
            completion=str(row["completion"]),
            losses=dict(zip(choices, map(float, row["choice_losses"]), strict=True))
            if choices is not None
            else {},
            prediction=str(row["prediction"]),
            strict=strict,
            flexible=flexible,
        )
        for example, rendering in zip(examples, renderings, strict=True)
        for row in [rows.loc[example.item]]
        for strict, flexible in [map(float, row[["strict", "flexible"]])]
    ]


def harness_samples(recipe: Recipe, items: Sequence[Answered]) -> list[dict[str, Any]]:
    """The lines of `samples_<task>_….jsonl`: every item under the first filter, then the next."""
    generated = _generation(recipe)
    return [
        {
            "doc_id": number,
            "doc": asdict(item.example),
            "target": item.example.required_answer,
            **_exchanged(recipe, item, chosen.name, generated),
            "filter": chosen.name,
            "metrics": list(chosen.metrics),
            "doc_hash": _sha256(json.dumps(asdict(item.example), indent=2, ensure_ascii=False)),
            "prompt_hash": _sha256(item.prompt),
            "target_hash": _sha256(item.example.required_answer),
            **{metric: float(getattr(item, field)) for metric, field in chosen.metrics.items()},
        }
        for chosen in _filters(recipe)
        for number, item in enumerate(items)
    ]


def harness_results(
    recipe: Recipe, model: LocalModel, items: Sequence[Answered], samples: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """The content of `results_….json`: accuracies with standard errors, and what they are of.

    samples: of `harness_samples`.
    """
    task, system = recipe.task, recipe.run.prompt.system
    hashes = [row["doc_hash"] + row["prompt_hash"] + row["target_hash"] for row in samples]
    return {
        "results": {
            task: {"name": task, "alias": task, "sample_len": len(items)}
            | dict(_accuracies(recipe, items))
        },
        "group_subtasks": {},
        "configs": {task: _task_config(recipe)},
        "versions": {task: recipe.data.revision},
        "n-shot": {task: 0},
        "higher_is_better": {task: dict.fromkeys(_metrics(recipe), True)},
        "n-samples": {task: {"original": len(items), "effective": len(items)}},
        "config": {
            "model": "hf",
            "model_args": _weights(recipe) | {"dtype": model.dtype},
            "model_num_parameters": model.parameters,
            "limit": None,
            "bootstrap_iters": 0,
            "gen_kwargs": None,
        },
        "task_hashes": {task: _sha256("".join(hashes))},
        "model_source": "hf",
        "model_name": recipe.name,
        "model_name_sanitized": recipe.name,
        "system_instruction": system,
        "system_instruction_sha": None if system is None else _sha256(system),
        "chat_template_sha": model.chat_template_sha256,
    }


def _weights(recipe: Recipe) -> dict[str, str | None]:
    if recipe.run.adapter.kind != "lora":
        return {"pretrained": recipe.name}
    return {
        "pretrained": named(recipe.base.source),
        "revision": recipe.base.revision,
        "peft": recipe.name,
    }


def _filters(recipe: Recipe) -> tuple[_Filter, ...]:
    strict, flexible = SCORERS[recipe.scoring.scorer].harness
    if strict == flexible:  # the harness's filters of GSM8K
        return (
            _Filter("strict-match", {strict: "strict"}),
            _Filter("flexible-extract", {flexible: "flexible"}),
        )
    return (_Filter("none", {strict: "strict", flexible: "flexible"}),)


def _metrics(recipe: Recipe) -> list[str]:
    return sorted({metric for chosen in _filters(recipe) for metric in chosen.metrics})


def _exchanged(
    recipe: Recipe, item: Answered, filter_name: str, generation: dict[str, Any]
) -> dict[str, Any]:
    """What was asked and answered: one request, or one for each label of a choice."""
    if SCORERS[recipe.scoring.scorer].ranks_labels:
        asked: list[tuple[str, Any]] = [(item.prompt, label) for label in item.losses]
        # whether a label is the greedy answer is not known
        answered: list[Any] = [[str(-nats), "None"] for nats in item.losses.values()]
        read = answered
    else:
        asked = [(item.prompt, generation)]
        answered = [item.completion]
        strict = filter_name == "strict-match"
        read = [item.completion.strip() if strict else item.prediction]
    return {
        "arguments": {
            f"gen_args_{number}": {"arg_0": prompt, "arg_1": rest}
            for number, (prompt, rest) in enumerate(asked)
        },
        "resps": [[response] for response in answered],
        "filtered_resps": read,
    }


def _accuracies(recipe: Recipe, items: Sequence[Answered]) -> Iterator[tuple[str, float | str]]:
    for chosen in _filters(recipe):
        for metric, field in chosen.metrics.items():
            values = [float(getattr(item, field)) for item in items]
            error = stdev(values) / sqrt(len(values)) if len(values) > 1 else "N/A"
            yield f"{metric},{chosen.name}", fmean(values)
            yield f"{metric}_stderr,{chosen.name}", error


def _task_config(recipe: Recipe) -> dict[str, Any]:
    data, scored = recipe.data, recipe.scoring
    config: dict[str, Any] = {
        "task": recipe.task,
        "dataset_path": named(data.source),
        "dataset_name": data.subset,
        "test_split": data.splits.test,
        "num_fewshot": 0,
        "metric_list": [
            {"metric": metric, "aggregation": "mean", "higher_is_better": True}
            for metric in _metrics(recipe)
        ],
        "metadata": {"scorer": scored.scorer, "revision": data.revision},
    }
    if SCORERS[scored.scorer].ranks_labels:
        assert scored.labels is not None
        return config | {"output_type": "multiple_choice", "doc_to_choice": list(scored.labels)}
    return config | {
        "output_type": "generate_until",
        "generation_kwargs": _generation(recipe),
        "filter_list": [{"name": chosen.name} for chosen in _filters(recipe)],
    }


def _generation(recipe: Recipe) -> dict[str, Any]:
    return {
        "until": list(recipe.generation.stop),
        "max_gen_toks": recipe.generation.max_new_tokens,
        "do_sample": False,
    }


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
