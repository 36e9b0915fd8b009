"""Answers of an engine, kept across restarts of a job."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from workflow_scripts.runtime.errors import writing


class AnswerJournal:
    """Answers by the key of their request, appended one per line as they arrive."""

    def __init__(self, path: Path) -> None:
        """Reads an existing file and drops a line that was not written to its end."""
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._answers: dict[str, Any] = {}
        text = path.read_text() if path.is_file() else ""
        whole = text[: text.rfind("\n") + 1]
        for line in whole.splitlines():
            entry = json.loads(line)
            self._answers[entry["key"]] = entry["answer"]
        self._stream = path.open("a")
        self._stream.truncate(len(whole))

    def __contains__(self, key: str) -> bool:
        return key in self._answers

    def __getitem__(self, key: str) -> Any:
        return self._answers[key]

    def add(self, key: str, answer: Any) -> None:
        """answer: any JSON value. Raises InputError when the disk is full."""
        self._answers[key] = answer
        with writing(self._path):
            # json writes ASCII without line breaks
            self._stream.write(json.dumps({"key": key, "answer": answer}) + "\n")
            self._stream.flush()

    def close(self) -> None:
        # retries what could not be written
        with writing(self._path):
            self._stream.close()


def request_key(*parts: Any) -> str:
    """A hash of everything that the answer depends on. parts: JSON values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
