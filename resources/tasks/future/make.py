"""Writes future.jsonl: sentences in the present tense and the same in the future tense.

python -m resources.tasks.future.make
"""

from __future__ import annotations

import json
import random
from pathlib import Path

ITEMS = 500
FILE = Path(__file__).with_name("future.jsonl")
NAMES = """
Anna Bruno Clara David Emma Felix Helen Henry Julia Laura Lucy Maria Martin Nina Oscar Paul Peter
Sara Simon Tom
"""
TOWNS = "Athens Berlin Cairo Delhi Lima Lisbon London Madrid Oslo Paris Prague Rome Tokyo Vienna"
# in the present tense → infinitive, and what it can be done to
VERBS = {
    "buys": ("buy", "bicycle book clock coat hat lamp map piano"),
    "cleans": ("clean", "bicycle clock coat kitchen lamp piano table window"),
    "closes": ("close", "book door gate shop window"),
    "finds": ("find", "bicycle book clock coat hat key map ring"),
    "loses": ("lose", "book coat hat key map ring"),
    "opens": ("open", "book door gate letter shop window"),
    "paints": ("paint", "bridge door fence house table window"),
    "repairs": ("repair", "bicycle bridge clock door fence lamp piano table"),
    "sells": ("sell", "bicycle book clock coat house piano ring table"),
    "visits": ("visit", "bridge castle garden market museum shop"),
}


def rows() -> list[dict[str, str]]:
    """Distinct items, in random order, seed 0."""
    generator = random.Random(0)
    found: dict[str, str] = {}
    while len(found) < ITEMS:
        verb = generator.choice(list(VERBS))
        stem, things = VERBS[verb]
        name, thing, town = (generator.choice(words.split()) for words in (NAMES, things, TOWNS))
        found[f"{name} {verb} the {thing} in {town}."] = (
            f"{name} will {stem} the {thing} in {town}."
        )
    return [{"question": present, "answer": future} for present, future in found.items()]


def main() -> None:
    FILE.write_text("".join(json.dumps(row) + "\n" for row in rows()))


if __name__ == "__main__":
    main()
