"""Samples of lm-evaluation-harness: `samples_<task>_<date>.jsonl` of `--log_samples`.

A line is a document under one filter. Its metrics are named in `metrics`; in old versions, which
know neither this field nor hashes, they are the keys of no other field. A metric that is computed
from all documents together (BLEU, perplexity) leaves there what it is computed from: a list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from workflow_scripts.foreign.scores import (
    ScoredItems,
    chosen_metric,
    hash_of,
    hash_of_question,
    scored_items,
)
from workflow_scripts.runtime.errors import InputError

_FIELDS = {
    *("doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics"),
    *("doc_hash", "prompt_hash", "target_hash"),
}
# of the documents of common tasks, the field that holds the question
_QUESTIONS = ("question", "input", "problem", "query", "prompt", "goal", "sentence", "ctx", "text")
_CORPUS = {"perplexity", "word_perplexity", "byte_perplexity", "bits_per_byte"}
# exported results have the step in place of the date
_NAME = re.compile(r"samples_(?P<task>.+)_(?P<date>\d{4}-\d\d-\d\dT[\d.-]+|step-\d+)\.jsonl")
Line = Mapping[str, Any]


def is_samples(path: Path) -> bool:
    """Whether it begins with a sample of the harness."""
    if path.suffix != ".jsonl":
        return False
    with path.open(encoding="utf-8", errors="replace") as file:
        return '"doc_id"' in file.read(100)


def read_samples(path: Path, metrics: Sequence[str]) -> list[ScoredItems]:
    """The result of a file of samples.

    metrics: wanted, `<metric>,<filter>` or either alone where that leaves one.
    Raises InputError if the file is cut, or the metric is not clear or has no score per document.
    """
    lines = list(json_lines(path))
    names = _NAME.fullmatch(path.name)
    task = names["task"] if names else None
    summary = _summary(path, names)
    _refuse_fewer(path, summary, task, lines)
    known, corpus = _metrics(lines)
    wanted = [_completed(metric, known, corpus) for metric in metrics]
    chosen = chosen_metric(path, wanted, known, corpus)
    own, _, chosen_filter = chosen.rpartition(",")
    rows = [_row(line, own) for line in lines if _filter_of(line) == chosen_filter]
    name = path.parent.name if names else path.stem
    return [scored_items("harness", path, name, task, chosen, rows, _asked(summary, task))]


def json_lines(path: Path) -> Iterator[Line]:
    """The objects of a JSON Lines file, or of one that holds a list.

    Raises InputError naming the line that is none.
    """
    text = path.read_text(encoding="utf-8", errors="replace")
    # as lm-evaluation-harness wrote its `.jsonl` before 0.4.3
    lines = [text] if text.startswith("[") else text.split("\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            cut = "the file was cut inside it" if number == len(lines) else "it is not valid JSON"
            raise InputError(
                f"{path}: line {number}: {cut}; copy the file again or repeat the evaluation"
            ) from None
        rows = row if isinstance(row, list) else [row]
        if not all(isinstance(own, dict) for own in rows):
            raise InputError(f"{path}: line {number} is not a JSON object")
        yield from rows


def _summary(path: Path, names: re.Match[str] | None) -> Line:
    """What `results_<date>.json` beside the samples holds; empty where it is not there."""
    if names is None:
        return {}
    try:
        content = json.loads(path.with_name(f"results_{names['date']}.json").read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _asked(summary: Line, task: str | None) -> dict[str, str]:
    """How the task was asked, as far as the summary says it."""
    config = summary.get("configs", {}).get(task, {})
    told = {
        "version": summary.get("versions", {}).get(task),
        "shots": summary.get("n-shot", {}).get(task),
        "doc_to_text": config.get("doc_to_text"),
        "system instruction (SHA-256)": summary.get("system_instruction_sha"),
        "chat template (SHA-256)": summary.get("chat_template_sha"),
    }
    return {name: str(value) for name, value in told.items() if summary}


def _refuse_fewer(path: Path, summary: Line, task: str | None, lines: list[Line]) -> None:
    """Refuses a file with fewer documents than the summary counts."""
    expected = summary.get("n-samples", {}).get(task, {}).get("effective", 0)
    found = len({line["doc_id"] for line in lines})
    if found < expected:
        raise InputError(
            f"{path}: holds {found} of {expected} documents, so it was cut; copy the file again or "
            "repeat the evaluation"
        )


def _filter_of(line: Line) -> str:
    return str(line.get("filter", "none"))


def _metrics(lines: list[Line]) -> tuple[list[str], list[str]]:
    """`<metric>,<filter>` with a score for each document, and without."""
    found: dict[str, bool] = {}
    for line in lines:
        for name in line.get("metrics") or [key for key in line if key not in _FIELDS]:
            per_item = name not in _CORPUS and not isinstance(line.get(name), list | dict)
            key = f"{name},{_filter_of(line)}"
            found[key] = found.get(key, True) and per_item
    return [key for key, per_item in found.items() if per_item], [
        key for key, per_item in found.items() if not per_item
    ]


def _completed(asked: str, known: list[str], corpus: list[str]) -> str:
    """`exact_match` or `strict-match` as `exact_match,strict-match` where that is the only one."""
    if "," in asked:
        return asked
    fits = [key for key in [*known, *corpus] if asked in key.split(",")]
    per_item = [key for key in fits if key in known]
    if len(per_item) == 1:
        return per_item[0]
    return fits[0] if fits and not per_item else asked


def _row(line: Line, metric: str) -> dict[str, Any]:
    doc = line.get("doc")
    fields = doc if isinstance(doc, dict) else {}
    question = next((fields[key] for key in _QUESTIONS if isinstance(fields.get(key), str)), None)
    # not `doc_hash` and its like, which older versions do not write
    return {
        "item": line["doc_id"],
        "score": line.get(metric),
        "question": hash_of_question(question),
        "content": hash_of(json.dumps(doc, sort_keys=True)),
        "prompt": _prompt(line),
        "target": hash_of(str(line.get("target"))),
        "answer": _first_text(_first(line.get("resps"))),
        "read": _first_text(line.get("filtered_resps")),
        "doc": doc,
    }


def _first(responses: Any) -> Any:
    return responses[0] if isinstance(responses, list) and responses else None


def _first_text(responses: Any) -> str | None:
    """The first response; None where it is no text, but the likelihood of a continuation."""
    first = _first(responses)
    return first if isinstance(first, str) else None


def _prompt(line: Line) -> str | None:
    """Hash of the first request's text: those of a document differ in their continuations."""
    requests = line.get("arguments")
    try:
        if isinstance(requests, dict):
            return hash_of(str(requests["gen_args_0"]["arg_0"]))
        return hash_of(str(requests[0][0])) if requests else None
    except (KeyError, IndexError, TypeError):
        return None
