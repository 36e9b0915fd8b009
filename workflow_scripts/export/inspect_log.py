"""Results as a log of Inspect, for its viewer and data frames.

Layout: the `.eval` format of `inspect_ai.log` (version 2), a zip of JSON files: a header, a sample
for each item, and a summary of each. It has no time and no random ids: the same results make the
same bytes.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Sequence
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from workflow_scripts.export.harness import Answered
from workflow_scripts.export.recipe import Recipe

SCORERS = ("strict", "flexible")
# Inspect asks for a time; that of a run is not kept
_CREATED = "1970-01-01T00:00:00+00:00"
_SUMMARY = ("id", "epoch", "input", "target", "scores", "metadata")


def write_inspect_log(path: Path, recipe: Recipe, items: Sequence[Answered]) -> None:
    """Write a `.eval` log of a checkpoint's answers, with both scores of each."""
    samples = [_sample(recipe, item) for item in items]
    summaries = [{name: sample[name] for name in _SUMMARY} for sample in samples]
    members: list[tuple[str, Any]] = [
        *((f"samples/{sample['id']}_epoch_1.json", sample) for sample in samples),
        ("summaries.json", summaries),
        ("header.json", _header(recipe, items)),
    ]
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members:
            # without the time of day
            member = zipfile.ZipInfo(name)
            text = json.dumps(content, ensure_ascii=False)
            archive.writestr(member, text, compress_type=zipfile.ZIP_DEFLATED)


def _id(recipe: Recipe) -> str:
    """Of the evaluation; data frames of several logs keep one row of each id."""
    return f"{recipe.experiment}-{recipe.name}"


def _header(recipe: Recipe, items: Sequence[Answered]) -> dict[str, Any]:
    return {
        "version": 2,
        "status": "success",
        "eval": {
            **dict.fromkeys(("eval_id", "run_id", "task_id"), _id(recipe)),
            "created": _CREATED,
            "task": recipe.task,
            "task_version": 0,
            "dataset": {"name": recipe.task, "samples": len(items)},
            "model": recipe.name,
            "config": {"epochs": 1},
        },
        "plan": {"name": "plan", "steps": [], "config": {}},
        "results": {
            "total_samples": len(items),
            "completed_samples": len(items),
            "scores": list(_scores(items)),
        },
        "stats": {"started_at": _CREATED, "completed_at": _CREATED},
    }


def _scores(items: Sequence[Answered]) -> Iterator[dict[str, Any]]:
    for scorer in SCORERS:
        values = [float(getattr(item, scorer)) for item in items]
        metrics = {"accuracy": fmean(values)}
        if len(values) > 1:
            metrics["stderr"] = stdev(values) / sqrt(len(values))
        yield {
            "name": scorer,
            "scorer": scorer,
            "scored_samples": len(values),
            "unscored_samples": 0,
            "params": {},
            "metrics": {
                name: {"name": name, "value": value, "params": {}}
                for name, value in metrics.items()
            },
        }


def _sample(recipe: Recipe, item: Answered) -> dict[str, Any]:
    name = item.example.item
    asked, answer = (
        {"id": f"{_id(recipe)}-{name}-{role}", "role": role, "source": source, "content": text}
        for role, source, text in (
            ("user", "input", item.prompt),
            ("assistant", "generate", item.completion),
        )
    )
    output = {
        "model": recipe.name,
        "choices": [{"message": answer, "stop_reason": "stop"}],
        "completion": item.completion,
    }
    # the call of the model: Inspect's data frames take messages from it alone
    call = {
        "uuid": f"{_id(recipe)}-{name}",
        "timestamp": _CREATED,
        "working_start": 0,
        "event": "model",
        "model": recipe.name,
        "input": [asked],
        "tools": [],
        "tool_choice": "none",
        "config": {},
        "output": output,
    }
    return {
        "id": name,
        "epoch": 1,
        "input": item.example.question,
        "target": item.example.required_answer,
        "messages": [asked, answer],
        "output": output,
        "events": [call],
        "scores": {
            scorer: {"value": float(getattr(item, scorer)), "answer": item.prediction}
            for scorer in SCORERS
        },
        "metadata": {},
    }
