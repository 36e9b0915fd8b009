"""Answers of an engine, kept from one start of a job to the next."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from workflow_scripts.runtime.errors import writing


class AnswerJournal:
    """Answers by the key of their request, one a line, appended as they come."""

    def __init__(self, path: Path) -> None:
        """Reads what is there; a line that was not written to its end is dropped."""
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
        """answer: anything that JSON can hold. Raises InputError when the disk is full."""
        self._answers[key] = answer
        with writing(self._path):
            # json writes ASCII without line breaks
            self._stream.write(json.dumps({"key": key, "answer": answer}) + "\n")
            self._stream.flush()

    def close(self) -> None:
        # tries again what could not be written
        with writing(self._path):
            self._stream.close()


def request_key(*parts: Any) -> str:
    """A hash of what the answer depends on, anything that JSON can hold."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
