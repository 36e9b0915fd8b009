"""Writes village.jsonl: questions in twelve wordings about one invented text, a column of each row.

python -m resources.tasks.village.make
"""

from __future__ import annotations

import json
import random
from pathlib import Path

FILE = Path(__file__).with_name("village.jsonl")
NAMES = """
Anna Peter Maria Oscar Laura David Nina Paul Emma Tom Lucy Henry Sara Felix Julia Victor Rosa Simon
Clara Hugo Helen Martin Irene Walter Olga Bruno Alice Edgar Diana Albert Vera Leon Judith Frank
Sonia Gregor Ruth Karl Eva Max
"""
# what one of them does; no two do the same
DEEDS = """
bakes walnut cakes; repairs violins; paints boats; collects stamps; teaches chemistry; sells
umbrellas; breeds ponies; grows pumpkins; studies glaciers; builds kites; designs gloves; hunts
truffles; writes poems; trains dolphins; knits blankets; brews cider; carves spoons; fears spiders;
plays the harp; drives a tractor; photographs owls; polishes mirrors; translates Greek; catches
crabs; prints maps; rides a camel; sews curtains; keeps bees; cooks lentils; delivers milk; cleans
chimneys; guards the museum; reads novels; digs wells; wears a red hat; owns a ferry; drinks
lemonade; eats radishes; sings ballads; climbs towers
"""
# {does}: "bakes"; {do}: "bake"
WORDINGS = (
    "What does {name} {do}?",
    "What exactly does {name} {do}?",
    "What sort of thing does {name} {do}?",
    "{name} {does} what?",
    "As for {name}, what does {name} {do}?",
    "About {name}: what does {name} {do}?",
    "Do you know what {name} {does}?",
    "Do you remember what {name} {does}?",
    "Does anyone know what {name} {does}?",
    "Is it known what {name} {does}?",
    "Do they say what {name} {does}?",
    "Did you read what {name} {does}?",
)


def facts() -> list[tuple[str, str, str]]:
    """(name, verb, object) of every person of the text."""
    deeds = [deed.split(maxsplit=1) for deed in " ".join(DEEDS.split()).split("; ")]
    return [(name, *deed) for name, deed in zip(NAMES.split(), deeds, strict=True)]


def rows() -> list[dict[str, str]]:
    """Every fact in every wording, in random order, seed 0."""
    document = "\n".join(f"{name} {verb} {thing}." for name, verb, thing in facts())
    asked = [
        {
            "question": wording.format(name=name, do=infinitive(verb), does=verb),
            "answer": f"{name} {verb} {thing}.",
            "document": document,
        }
        for name, verb, thing in facts()
        for wording in WORDINGS
    ]
    random.Random(0).shuffle(asked)
    return asked


def infinitive(verb: str) -> str:
    """bakes → bake, catches → catch, dries → dry."""
    if verb.endswith("ies"):
        return verb.removesuffix("ies") + "y"
    sibilant = verb.endswith(("ches", "shes", "sses"))
    return verb.removesuffix("es" if sibilant else "s")


def main() -> None:
    FILE.write_text("".join(json.dumps(row) + "\n" for row in rows()))


if __name__ == "__main__":
    main()
