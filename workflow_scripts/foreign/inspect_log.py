"""Logs of Inspect (`inspect_ai`): `.eval`, a zip of JSON files, and `.json`.

Inspect compresses the members of `.eval` by Zstandard (zip method 93), which Python's `zipfile`
reads from 3.14 on; pyarrow decompresses them here.
"""

from __future__ import annotations

import json
import math
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from workflow_scripts.foreign.scores import (
    ScoredItems,
    chosen_metric,
    hash_of,
    hash_of_question,
    scored_items,
)
from workflow_scripts.runtime.errors import InputError

_ZSTANDARD = 93
# grades of Inspect's scorers: correct, partially, incorrect, no answer
_GRADES = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
_ATTACHMENT = "attachment://"
Json = Mapping[str, Any]


def is_log(path: Path) -> bool:
    """Whether it is a log of Inspect."""
    if path.suffix == ".eval":
        return True
    if path.suffix != ".json":
        return False
    with path.open(encoding="utf-8", errors="replace") as file:
        return '"eval"' in file.read(2000)


def read_log(path: Path, metrics: Sequence[str]) -> list[ScoredItems]:
    """The result of a log; epochs are its seeds where there are several.

    metrics: wanted, the scorer or `<scorer>.<key>` of a scorer with several values.
    Raises InputError if the log is cut or unfinished, or the scorer is not clear.
    """
    header, samples = (_read_zip if path.suffix == ".eval" else _read_json)(path)
    status = header.get("status", "started")
    if status != "success":
        raise InputError(
            f"{path}: the evaluation did not finish (status {status}); finish it with "
            "`inspect eval-retry`"
        )
    _refuse_fewer(path, header, samples)
    known = list(dict.fromkeys(key for sample in samples for key in _values(sample)))
    chosen = chosen_metric(path, metrics, known, [])
    several = len({sample["epoch"] for sample in samples}) > 1
    rows = [_row(sample, chosen, several) for sample in samples]
    evaluated = header["eval"]
    name, task = str(evaluated["model"]), str(evaluated["task"])
    return [scored_items("inspect", path, name, task, chosen, rows, _asked(header))]


def _asked(header: Json) -> dict[str, str]:
    """How the task was asked."""
    evaluated = header["eval"]
    steps = (header.get("plan") or {}).get("steps") or []
    return {
        "version": str(evaluated.get("task_version")),
        "task arguments": json.dumps(evaluated.get("task_args"), sort_keys=True),
        "solvers": json.dumps([[step["solver"], step.get("params")] for step in steps]),
    }


def _read_json(path: Path) -> tuple[Json, list[Json]]:
    try:
        log = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        raise _cut(path) from None
    return log, list(log.get("samples") or [])


def _read_zip(path: Path) -> tuple[Json, list[Json]]:
    try:
        with zipfile.ZipFile(path) as archive:
            # of a sample that was written again, both are in the archive, and the last counts
            names = list(dict.fromkeys(archive.namelist()))
            if "header.json" not in names:
                return {}, []
            header = json.loads(_member(path, archive, "header.json"))
            return header, [
                json.loads(_member(path, archive, name))
                for name in names
                if name.startswith("samples/")
            ]
    except (zipfile.BadZipFile, zlib.error, ValueError, OSError, struct.error, EOFError):
        raise _cut(path) from None


def _member(path: Path, archive: zipfile.ZipFile, name: str) -> bytes:
    info = archive.getinfo(name)
    if info.compress_type != _ZSTANDARD:
        return archive.read(name)
    with path.open("rb") as file:
        file.seek(info.header_offset)
        # of the local header: 30 bytes, the last four of which are the lengths of what follows
        file.seek(sum(struct.unpack("<HH", file.read(30)[26:])), 1)
        packed = pa.BufferReader(file.read(info.compress_size))
    content: bytes = pa.CompressedInputStream(packed, "zstd").read()
    if zlib.crc32(content) != info.CRC:
        raise zipfile.BadZipFile(name)
    return content


def _cut(path: Path) -> InputError:
    return InputError(
        f"{path}: the log was cut or is damaged; copy the file again or repeat the evaluation"
    )


def _refuse_fewer(path: Path, header: Json, samples: Sequence[Json]) -> None:
    expected = (header.get("results") or {}).get("total_samples", len(samples))
    if len(samples) < expected:
        raise InputError(
            f"{path}: holds {len(samples)} of {expected} samples; copy the whole log, and evaluate "
            "with `log_samples` on"
        )


def _values(sample: Json) -> dict[str, Any]:
    """Scorer, or `<scorer>.<key>`, → value of a sample; none where its evaluation failed."""
    found: dict[str, Any] = {}
    for scorer, score in (sample.get("scores") or {}).items():
        value = score["value"]
        if isinstance(value, dict):
            found |= {f"{scorer}.{key}": part for key, part in value.items()}
        else:
            found[scorer] = value
    return found


def _row(sample: Json, metric: str, several: bool) -> dict[str, Any]:
    question, target = _question(sample), sample.get("target")
    return {
        "item": sample["id"],
        "seed": sample["epoch"] if several else None,
        "score": _score(_values(sample).get(metric)),
        "question": hash_of_question(question),
        "content": hash_of(json.dumps([sample["input"], sample.get("choices")])),
        "prompt": _prompt(sample),
        "target": hash_of(json.dumps(target)),
        "answer": _whole((sample.get("output") or {}).get("completion"), sample),
        "read": _whole((_score_of(sample, metric) or {}).get("answer"), sample),
    }


def _score_of(sample: Json, metric: str) -> Json | None:
    """The score that a metric is, or is a value of."""
    scores = sample.get("scores") or {}
    return scores.get(metric) or scores.get(metric.rpartition(".")[0])


def _score(value: Any) -> Any:
    if isinstance(value, str):
        return _GRADES.get(value, value)
    # Inspect marks what was not scored by NaN
    return None if isinstance(value, float) and math.isnan(value) else value


def _question(sample: Json) -> str | None:
    """The text of the input, or of its last message."""
    asked = sample["input"]
    if isinstance(asked, list):
        asked = asked[-1]["content"] if asked else None
    return _whole(asked, sample) if isinstance(asked, str) else None


def _prompt(sample: Json) -> str | None:
    """Hash of the messages before the first answer."""
    shown = []
    for message in sample.get("messages") or []:
        if message["role"] == "assistant":
            break
        shown.append([message["role"], _whole(message["content"], sample)])
    return hash_of(json.dumps(shown)) if shown else None


def _whole(text: Any, sample: Json) -> Any:
    """A text that the log keeps once, under the hash that stands in its place."""
    if isinstance(text, str) and text.startswith(_ATTACHMENT):
        return (sample.get("attachments") or {}).get(text.removeprefix(_ATTACHMENT), text)
    return text
