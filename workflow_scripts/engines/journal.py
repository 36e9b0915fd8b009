"""Answers of an engine, kept across restarts of a job."""

from __future__ import annotations

import hashlib
import json
import zlib
from pathlib import Path
from typing import Any

from workflow_scripts.runtime.errors import writing
from workflow_scripts.runtime.files import atomic_file
from workflow_scripts.runtime.home import without_home


class AnswerJournal:
    """Answers by the key of their request, appended one per line as they arrive.

    A line is the CRC-32 of an entry in hexadecimal, a space, and the entry as JSON.
    """

    def __init__(self, path: Path) -> None:
        """Reads an existing file; drops what is damaged or was not written to its end.

        Prints how many answers are damaged; they are asked for again.
        """
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._answers: dict[str, Any] = {}
        content = path.read_bytes() if path.is_file() else b""
        # the last part is empty, or a line that was not written to its end
        lines = content.split(b"\n")[:-1]
        whole = [line for line in lines if _is_whole(line)]
        if len(whole) < len(lines):
            damaged = len(lines) - len(whole)
            print(
                without_home(f"{path}: {damaged} answers are damaged and asked for again"),
                flush=True,
            )
        for line in whole:
            entry = json.loads(line[9:])
            self._answers[entry["key"]] = entry["answer"]
        kept = b"".join(line + b"\n" for line in whole)
        if kept != content:
            with atomic_file(path, checksum=False) as partial:
                partial.write_bytes(kept)
        self._stream = path.open("a")

    def __contains__(self, key: str) -> bool:
        return key in self._answers

    def __getitem__(self, key: str) -> Any:
        return self._answers[key]

    def add(self, key: str, answer: Any) -> None:
        """answer: any JSON value. Raises InputError when the disk is full."""
        self._answers[key] = answer
        # json writes ASCII without line breaks
        entry = json.dumps({"key": key, "answer": answer})
        with writing(self._path):
            self._stream.write(f"{zlib.crc32(entry.encode()):08x} {entry}\n")
            self._stream.flush()

    def close(self) -> None:
        # retries what could not be written
        with writing(self._path):
            self._stream.close()


def _is_whole(line: bytes) -> bool:
    checksum, _, entry = line.partition(b" ")
    return checksum == b"%08x" % zlib.crc32(entry)


def request_key(*parts: Any) -> str:
    """A hash of everything that the answer depends on. parts: JSON values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
