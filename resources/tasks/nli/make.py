"""Writes nli.jsonl and nli-heuristics.jsonl beside this file from a small grammar.

    python -m resources.tasks.nli.make

A grammar is cases of frames: a premise, and below it hypotheses whose mark is their label. A
slot `{person}` is a draw from the lexicon, the same in premise and hypothesis; `{person2}` is
another one than `{person}`; `{do.past}` is the field `past` of a draw.
"""

from __future__ import annotations

import json
import string
from collections.abc import Iterator, Mapping
from itertools import combinations, cycle, islice
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

SEED = 0
Row = dict[str, str]
Frame = tuple[str, str]  # premise, hypothesis

IN_DOMAIN_LABELS = {"+": "entailment", "-": "contradiction", "?": "neutral"}
IN_DOMAIN_ROWS = 18  # for each case and label
HEURISTICS_LABELS = {"+": "entailment", "-": "non-entailment"}
HEURISTICS_ROWS = 20

IN_DOMAIN = {
    "negation": """
        {person} {do.past} because {person2} {do2.past}
            + {person} {do.past}
            - {person} did not {do.base}
            - {person2} never {do2.past}
            ? {person2} {do.past}
        it is not true that {person} {do.past}
            + {person} did not {do.base}
            - {person} {do.past}
            ? {person} {do2.past}
        {person} {do.past} and nobody helped
            + {person} {do.past}
            - nobody {do.past}
            ? {person} {do2.past} and nobody helped
        {person} did not {do.base}
            ? {person2} did not {do.base}
    """,
    "quantifier": """
        every {group.one} {act.past}
            + some of the {group.many} {act.past}
            - some of the {group.many} did not {act.base}
            ? every {group2.one} {act.past}
        all of the {group.many} {act.past}
            + most of the {group.many} {act.past}
            - none of the {group.many} {act.past}
            ? all of the {group2.many} {act.past}
        most of the {group.many} {act.past}
            + at least one of the {group.many} {act.past}
            - not a single {group.one} {act.past}
            ? all of the {group2.many} {act.past}
        not all of the {group.many} {act.past}
            + some of the {group.many} did not {act.base}
            - every {group.one} {act.past}
            ? none of the {group.many} {act.past}
        at least two of the {group.many} {act.past}
            ? all of the {group.many} {act.past}
    """,
    "hypernym": """
        {person} drew {kind.member}
            + {person} drew {kind.name}
            - {person} did not draw {kind.name}
        {person} drew {kind.name}
            ? {person} drew {kind.member}
        the only thing in the picture is {kind.member}
            + the only thing in the picture is {kind.name}
            - the only thing in the picture is {kind.other}
        the only thing in the picture is {kind.name}
            ? the only thing in the picture is {kind.member}
        {person} drew {kind.member} and a circle
            + {person} drew {kind.name}
            - {person} drew nothing
            ? {person} drew {kind.other}
    """,
    "antonym": """
        {trait.thing} is {trait.word}
            + {trait.thing} is {trait.same}
            + {trait.thing} is not {trait.opposite}
            - {trait.thing} is {trait.opposite}
            - {trait.thing} is not {trait.same}
            ? {trait.thing} is {trait.other}
            ? {trait.thing} is not {trait.other}
        {trait.thing} is {trait.word} and {trait.other}
            + {trait.thing} is {trait.word}
            - {trait.thing} is {trait.opposite}
    """,
    "modifier": """
        {person} bought a {adjective} {object}
            + {person} bought a {object}
            - {person} did not buy a {object}
            ? {person} bought a {adjective2} {object}
        {person} {do.past} {how}
            + {person} {do.past}
            - {person} did not {do.base}
            - nobody {do.past}
        {person} from {city} {do.past}
            + {person} {do.past}
            - {person} from {city} did not {do.base}
            ? {person2} from {city} {do.past}
        {person} {do.past}
            ? {person} {do.past} {how}
    """,
    "passive": """
        {person} {meet.past} {person2}
            + {person2} was {meet.past} by {person}
            - {person2} was not {meet.past} by anyone
            ? {person2} was {meet.past} by {person3}
        {person2} was {meet.past} by {person}
            + {person} {meet.past} {person2}
            - {person} did not {meet.base} {person2}
            ? {person} {meet.past} {person3}
        {person2} was {meet.past} by {person} in {city}
            + {person2} was {meet.past} in {city}
            - nobody {meet.past} {person2}
        {person2} was {meet.past} in {city}
            ? {person2} was {meet.past} by {person} in {city}
    """,
    "conjunction": """
        {person} {do.past} and {do2.past}
            + {person} {do2.past}
            - {person} did not {do2.base}
            ? {person2} {do2.past}
        both {person} and {person2} {do.past}
            + {person} {do.past}
            - {person} did not {do.base}
            ? {person3} {do.past}
        {person} {do.past} but did not {do2.base}
            + {person} {do.past}
            - {person} {do2.past}
            ? {person} {do3.past}
        {person} {do.past} or {do2.past}
            ? {person} did not {do2.base}
    """,
    "number": """
        there are exactly {number.middle} {things} on the table
            + there are {number.middle} {things} on the table
            + there are more than {number.low} {things} on the table
            - there are no {things} on the table
            - there are exactly {number.high} {things} on the table
            ? there are exactly {number.middle} {things2} on the table
        {person} ordered more than {number.middle} {things}
            + {person} ordered more than {number.low} {things}
            - {person} ordered no {things}
            ? {person} ordered more than {number.high} {things}
    """,
    "time": """
        {person} arrived before {person2}
            + {person2} arrived after {person}
            - {person} arrived after {person2}
            ? {person} arrived before {person3}
        {person} {do.past} before {do2.gerund}
            + {person} {do.past}
            - {person} never {do.past}
            ? {person2} {do.past} before {do2.gerund}
        after {do.gerund}, {person} {do2.past}
            + {person} {do2.past}
            - {person} did not {do2.base}
            ? {person} {do2.past} before {do3.gerund}
    """,
    "comparison": """
        {person} is much {than.more} than {person2}
            + {person} is {than.more} than {person2}
            + {person2} is {than.less} than {person}
            - {person} is {than.less} than {person2}
            - {person} is not {than.more} than {person2}
            ? {person} is {than.more} than {person3}
            ? {person} is {than2.more} than {person2}
        {person} is {than.more} than {person2} and {person3}
            + {person} is {than.more} than {person3}
            - {person} is {than.less} than {person3}
            ? {person3} is {than.more} than {person2}
    """,
    "place": """
        the {object} is {where.here} the {object2}
            + the {object2} is {where.there} the {object}
            - the {object} is {where.there} the {object2}
            ? the {object} is {where.here} the {object3}
        the {small} is in the {container}, and the {container} is in the {room}
            + the {small} is in the {room}
            - the {small} is not in the {room}
            ? the {small2} is in the {room}
        the {small} is in the {container} behind the {object}
            + the {small} is in the {container}
            - the {container} behind the {object} is empty
            ? the {small2} is in the {container}
    """,
    "implicative": """
        {person} {succeeded} {do.base}
            + {person} {do.past}
            - {person} did not {do.base}
        {person} {succeeded} {do.base} and {do2.base}
            + {person} {do2.past}
            - {person} never {do2.past}
        {person} {failed} {do.base}
            + {person} did not {do.base}
            - {person} {do.past}
        {person} {intended} {do.base}
            ? {person} {do.past}
            ? {person} did not {do.base}
    """,
    "converse": """
        {person} {trade.gave} {goods} to {person2}
            + {person2} {trade.got} {goods} from {person}
            - {person2} {trade.got} nothing from {person}
            - {person} never {trade.gave} anything to {person2}
            ? {person2} {trade.got} {goods2} from {person}
        {person2} {trade.got} {goods} from {person}
            + {person} {trade.gave} {goods} to {person2}
            - {person} never {trade.gave} anything to {person2}
            ? {person2} {trade.gave} {goods} to {person}
        {person2} {trade.got} {goods} from {person} and {goods2} from {person3}
            + {person2} {trade.got} {goods} from {person}
            - {person2} {trade.got} nothing from {person}
            ? {person2} {trade.got} {goods2} from {person}
    """,
}

HEURISTICS = {
    "lexical_overlap": {
        "passive": """
            {role2} was {meet.past} by {role}
                + {role} {meet.past} {role2}
                - {role2} {meet.past} {role}
            in {city}, {role2} was {meet.past} by {role}
                + {role} {meet.past} {role2}
                - {role2} {meet.past} {role}
        """,
        "cleft": """
            it was {role2} that {role} {meet.past}
                + {role} {meet.past} {role2}
            it was {role2} that {meet.past} {role}
                - {role} {meet.past} {role2}
        """,
        "relative": """
            {role2} whom {role} {meet.past} {do.past}
                + {role} {meet.past} {role2}
            {role2} who {meet.past} {role} {do.past}
                - {role} {meet.past} {role2}
            {role3} {meet2.past} {role2} whom {role} {meet.past}
                + {role} {meet.past} {role2}
            {role3} {meet2.past} {role2} who {meet.past} {role}
                - {role} {meet.past} {role2}
        """,
        "coordination": """
            {role} and {role3} {meet.past} {role2}
                + {role} {meet.past} {role2}
                - {role3} {meet.past} {role}
            {role} {meet.past} {role3} and {role2}
                + {role} {meet.past} {role2}
                - {role3} {meet.past} {role2}
        """,
        "inversion": """
            {where.here} {role2} {stood} {role}
                + {role} {stood} {where.here} {role2}
                - {role2} {stood} {where.here} {role}
            {where.there} {role2} {stood} {role}
                + {role} {stood} {where.there} {role2}
                - {role2} {stood} {where.there} {role}
        """,
    },
    "subsequence": {
        "subject": """
            {role2} and {role} {do.past}
                + {role} {do.past}
            {role2} {near} {role} {do.past}
                - {role} {do.past}
        """,
        "clause": """
            {role} {meet.past} {role2} who {do.past}
                + {role} {meet.past} {role2}
            {role3} who {meet2.past} {role} {meet.past} {role2}
                - {role} {meet.past} {role2}
        """,
        "complement": """
            {role} {heard} {role2} from {city}
                + {role} {heard} {role2}
            {role} {heard} {role2} {state}
                - {role} {heard} {role2}
        """,
        "reduced": """
            {role} {offered} {goods} and {act.past}
                + {role} {offered} {goods}
            {role} {offered} {goods} {act.past}
                - {role} {offered} {goods}
        """,
        "compound": """
            {role} {part.whole} {when}
                + {role} {part.whole}
            {role} {part.whole} {part.head}
                - {role} {part.whole}
        """,
    },
    "constituent": {
        "conditional": """
            because {role} {do.past}, {role2} {state}
                + {role} {do.past}
            if {role} {do.past}, {role2} {state}
                - {role} {do.past}
            although {role} {do.past}, {role2} {state}
                + {role2} {state}
            unless {role} {do.past}, {role2} {state}
                - {role2} {state}
        """,
        "report": """
            {role2} {knew} that {role} {do.past}
                + {role} {do.past}
            {role2} {believed} that {role} {do.past}
                - {role} {do.past}
        """,
        "adverb": """
            {surely} {role} {do.past}
                + {role} {do.past}
            {perhaps} {role} {do.past}
                - {role} {do.past}
        """,
        "disjunction": """
            {role} {do.past} and {role2} {do2.past}
                + {role} {do.past}
                + {role2} {do2.past}
            {role} {do.past} or {role2} {do2.past}
                - {role} {do.past}
                - {role2} {do2.past}
        """,
        "judgement": """
            it is {true} that {role} {do.past}
                + {role} {do.past}
            it is {doubtful} that {role} {do.past}
                - {role} {do.past}
        """,
    },
}


class Verb(NamedTuple):
    base: str
    past: str
    gerund: str


class Group(NamedTuple):
    one: str
    many: str


class Kind(NamedTuple):
    member: str
    name: str
    other: str  # the name of a kind that excludes this one


class Trait(NamedTuple):
    thing: str
    word: str
    same: str
    opposite: str
    other: str  # neither follows from `word` nor excludes it


class Number(NamedTuple):
    low: str
    middle: str
    high: str


class Comparison(NamedTuple):
    more: str
    less: str


class Where(NamedTuple):
    here: str
    there: str


class Trade(NamedTuple):
    gave: str
    got: str


class Part(NamedTuple):
    whole: str
    head: str  # after `whole` it makes a compound noun: ate the apple | seeds


def _words(text: str) -> list[str]:
    return text.split()


def _verbs(text: str) -> list[Verb]:
    """One for each line `base past gerund| object`."""
    lines = (line.partition("|") for line in text.strip().splitlines())
    return [Verb(*(form + rest for form in forms.split())) for forms, _, rest in lines]


_KINDS = {
    "a bird": "a sparrow, a pigeon, a parrot, a swan",
    "a fish": "a trout, a shark, a salmon, a herring",
    "a tree": "a birch, a maple, a willow, a pine",
    "a flower": "a rose, a tulip, a daisy, a lily",
    "a tool": "a hammer, a saw, a wrench, a shovel",
    "a vehicle": "a truck, a bus, a tram, a taxi",
}
_NUMBERS = _words("two three four five six seven eight nine ten eleven twelve")
_ROLES = _words(
    "nurse pilot baker judge singer farmer clerk tailor guard poet doctor sailor teacher painter "
    "driver banker dancer cook"
)
_NAMES = _words("Anna Peter Maria Tom Laura David Nina Oscar")

LEXICON: Mapping[str, list[Any]] = {
    "person": [f"the {role}" for role in _ROLES] + _NAMES,
    "role": [f"the {role}" for role in _ROLES],
    "city": _words("Oslo Rome Paris Lisbon Cairo Boston Madrid Tokyo"),
    "do": _verbs("""
        open opened opening| the window
        close closed closing| the gate
        wash washed washing| the car
        paint painted painting| the fence
        clean cleaned cleaning| the kitchen
        sell sold selling| the horse
        repair repaired repairing| the roof
        lock locked locking| the door
        light lit lighting| the candle
        peel peeled peeling| the apples
        burn burned burning| the letter
        answer answered answering| the phone
        move moved moving| the piano
        fold folded folding| the map
        count counted counting| the coins
        water watered watering| the plants
        climb climbed climbing| the hill
        ring rang ringing| the bell
        feed fed feeding| the hens
        sign signed signing| the contract
    """),
    "act": _verbs("""
        dance danced dancing
        sing sang singing
        laugh laughed laughing
        sleep slept sleeping
        complain complained complaining
        smile smiled smiling
        wait waited waiting
        cry cried crying
        leave left leaving
        cough coughed coughing
    """),
    "meet": _verbs("""
        praise praised praising
        thank thanked thanking
        help helped helping
        follow followed following
        visit visited visiting
        invite invited inviting
        blame blamed blaming
        greet greeted greeting
        warn warned warning
        hire hired hiring
        admire admired admiring
        call called calling
    """),
    "group": [
        Group(name, name + "s")
        for name in _words("guest waiter pupil player tourist prisoner soldier neighbor")
    ],
    "kind": [
        Kind(member, name, other)
        for name, members in _KINDS.items()
        for member in members.split(", ")
        for other in _KINDS
        if other != name
    ],
    "trait": [
        Trait("the box", "big", "large", "small", "red"),
        Trait("the task", "hard", "difficult", "easy", "new"),
        Trait("the shop", "closed", "shut", "open", "famous"),
        Trait("the boy", "ill", "sick", "healthy", "tall"),
        Trait("the movie", "boring", "dull", "exciting", "long"),
        Trait("the merchant", "rich", "wealthy", "poor", "old"),
        Trait("the runner", "fast", "quick", "slow", "young"),
        Trait("the answer", "right", "correct", "wrong", "short"),
        Trait("the room", "tidy", "neat", "messy", "warm"),
        Trait("the soldier", "brave", "courageous", "cowardly", "tired"),
        Trait("the road", "dangerous", "unsafe", "safe", "narrow"),
        Trait("the shirt", "expensive", "costly", "cheap", "blue"),
        Trait("the speech", "short", "brief", "long", "funny"),
        Trait("the street", "noisy", "loud", "quiet", "wide"),
        Trait("the lake", "tiny", "very small", "huge", "frozen"),
        Trait("the song", "famous", "well known", "unknown", "slow"),
        Trait("the waiter", "courteous", "polite", "rude", "hungry"),
        Trait("the girl", "glad", "happy", "sad", "thirsty"),
        Trait("the lawyer", "smart", "clever", "stupid", "thin"),
        Trait("the bridge", "sturdy", "solid", "fragile", "beautiful"),
    ],
    "adjective": _words("small red heavy new cheap pretty"),
    "object": _words("box chair basket table drum ladder lamp bench kite bucket"),
    "how": ["in the morning", "with great care", "without any help", "for the first time"],
    "number": [Number(*words) for words in combinations(_NUMBERS, 3)],
    "things": _words("cups spoons lemons candles plates pears glasses bottles"),
    "than": [
        Comparison("older", "younger"),
        Comparison("taller", "shorter"),
        Comparison("richer", "poorer"),
        Comparison("faster", "slower"),
        Comparison("stronger", "weaker"),
        Comparison("heavier", "lighter"),
    ],
    "where": [
        Where("behind", "in front of"),
        Where("to the left of", "to the right of"),
        Where("above", "below"),
    ],
    "small": _words("ring key pencil stamp button needle"),
    "container": _words("drawer bag suitcase jar cupboard"),
    "room": _words("kitchen cellar garage attic bedroom"),
    "succeeded": ["managed to", "remembered to", "took the time to", "did not forget to"],
    "failed": ["failed to", "forgot to", "refused to", "did not manage to"],
    "intended": ["hoped to", "wanted to", "planned to", "promised to"],
    "trade": [
        Trade("sold", "bought"),
        Trade("lent", "borrowed"),
        Trade("gave", "got"),
    ],
    "goods": ["a map", "a ring", "a violin", "a clock", "a book", "a carpet"],
    "stood": ["stood", "sat", "slept", "waited"],
    "near": ["near", "behind", "next to", "in front of"],
    "heard": ["heard", "believed", "suspected", "feared", "doubted"],
    "state": ["was happy", "was ill", "was angry", "was late", "was hungry", "was bored"],
    "offered": ["offered", "sent", "sold", "lent", "promised"],
    "part": [
        Part("ate the apple", "seeds"),
        Part("found the car", "keys"),
        Part("moved the piano", "stool"),
        Part("stole the bus", "tickets"),
        Part("burned the letter", "box"),
        Part("bought the dog", "food"),
        Part("sold the horse", "saddle"),
        Part("lost the phone", "number"),
    ],
    "when": ["yesterday", "at noon", "last week", "after lunch"],
    "knew": ["knew", "realized", "forgot", "noticed", "regretted"],
    "believed": ["believed", "claimed", "hoped", "feared", "denied"],
    "surely": ["luckily", "sadly", "of course", "fortunately", "strangely"],
    "perhaps": ["perhaps", "maybe", "probably", "supposedly", "possibly"],
    "true": ["true", "a fact", "good", "a pity", "strange"],
    "doubtful": ["doubtful", "possible", "unlikely", "false", "uncertain"],
}


def in_domain(seed: int = SEED) -> list[Row]:
    """Rows of nli.jsonl, as many of each case and label as of any other."""
    return [
        {"id": f"{case}-{row.pop('id')}", **row, "case": case}
        for case, grammar in IN_DOMAIN.items()
        for row in _rows(grammar, IN_DOMAIN_LABELS, IN_DOMAIN_ROWS, Random(f"{seed} {case}"))
    ]


def heuristics(seed: int = SEED) -> list[Row]:
    """Rows of nli-heuristics.jsonl, as many of each case and label as of any other."""
    return [
        {"id": f"{heuristic}-{case}-{row.pop('id')}", **row, "heuristic": heuristic, "case": case}
        for heuristic, cases in HEURISTICS.items()
        for case, grammar in cases.items()
        for row in _rows(
            grammar, HEURISTICS_LABELS, HEURISTICS_ROWS, Random(f"{seed} {heuristic} {case}")
        )
    ]


def _rows(grammar: str, labels: Mapping[str, str], number: int, random: Random) -> Iterator[Row]:
    """`number` different rows of each label, its frames in turn."""
    for label, frames in _frames(grammar, labels).items():
        pairs: dict[Frame, None] = {}  # in the order of the draws
        for frame in islice(cycle(frames), 100 * number):  # ends where the frames have too few
            if len(pairs) < number:
                pairs[_fill(frame, random)] = None
        for n, (premise, hypothesis) in enumerate(pairs, start=1):
            yield {
                "id": f"{label}-{n}",
                "premise": premise,
                "hypothesis": hypothesis,
                "label": label,
            }


def _frames(grammar: str, labels: Mapping[str, str]) -> dict[str, list[Frame]]:
    frames: dict[str, list[Frame]] = {label: [] for label in labels.values()}
    premise = ""
    for line in map(str.strip, grammar.strip().splitlines()):
        mark, _, hypothesis = line.partition(" ")
        if mark in labels:
            frames[labels[mark]].append((premise, hypothesis))
        else:
            premise = line
    return frames


def _fill(frame: Frame, random: Random) -> Frame:
    """The two sentences; the slots of one word class get different words."""
    fields = (field for text in frame for _, field, _, _ in string.Formatter().parse(text))
    slots = dict.fromkeys(field.partition(".")[0] for field in fields if field)
    words: dict[str, Any] = {}
    for slot in slots:
        used = [words[other] for other in words if _word_class(other) == _word_class(slot)]
        words[slot] = random.choice([w for w in LEXICON[_word_class(slot)] if w not in used])
    premise, hypothesis = (_sentence(text.format(**words)) for text in frame)
    return premise, hypothesis


def _word_class(slot: str) -> str:
    return slot.rstrip(string.digits)


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


def main() -> None:
    folder = Path(__file__).parent
    for name, rows in (("nli", in_domain()), ("nli-heuristics", heuristics())):
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
