"""Who wrote the answers that runs train on, and how good these are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pandas as pd

from workflow_scripts.answers.names import kind_of
from workflow_scripts.answers.records import REASONS
from workflow_scripts.config.answers import AnswerSettings
from workflow_scripts.config.conditions import PhaseSettings
from workflow_scripts.report.document import WRONG, Section, Table, cited, sources, text_of
from workflow_scripts.report.pair import Pair
from workflow_scripts.report.setup import how_answered
from workflow_scripts.results import formatting as fmt
from workflow_scripts.training.terms import trained_phases

_KEPT = "kept_accuracy_strict"


class Source(NamedTuple):
    """Where answers come from. teacher: empty for a student."""

    teacher: str
    kind: str


def answers_section(pair: Pair) -> Section:
    answers = pair.table("answers")
    taught = answers[answers["teacher"].notna()]
    own = answers[answers["teacher"].isna()]
    return Section(
        id=pair.id("answers"),
        title="Who wrote the answers that runs train on, and how good are they?",
        findings=[
            *(_teacher(pair, source, rows) for source, rows in _by_source(taught)),
            *(_student(pair, condition, rows) for condition, rows in _by_condition(own)),
        ],
        sources=sources("answers", answers),
        tables=[
            _authors(pair, taught, own),
            *(
                _examples(pair, str(teacher), rows)
                for teacher, rows in pair.table("answer_examples").groupby("teacher", sort=False)
            ),
        ],
    )


# --- findings -----------------------------------------------------------------------------


def _by_source(taught: pd.DataFrame) -> list[tuple[Source, pd.DataFrame]]:
    groups = taught.groupby(["teacher", "kind"], sort=False)
    return [(Source(*map(str, names)), rows) for names, rows in groups]


def _by_condition(own: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    return [(str(condition), rows) for condition, rows in own.groupby("condition", sort=False)]


def _teacher(pair: Pair, source: Source, rows: pd.DataFrame) -> str:
    """rows: of answers.csv, one for each draw of demonstrations."""
    who = f"The teacher {_named(pair, source)}"
    kept, right = int(rows["kept"].sum()), rows[_KEPT].dropna()
    taught = f"the {fmt.count(kept, 'answer')} that it teaches{_left_out(rows)}"
    drawn = f"{len(rows)} draws of demonstrations"
    if right.empty:
        over = f" over {drawn}" if len(rows) > 1 else ""
        return f"{who} has no gold to compare with {taught}{over}."
    first = rows.iloc[0]
    spread = fmt.between(first[f"{_KEPT}_low"], first[f"{_KEPT}_high"], fmt.share)
    if len(rows) > 1:
        spread = f"({fmt.share(right.min())} to {fmt.share(right.max())} % over {drawn})"
    return f"{who} {_is_right(pair)} {fmt.share(right.mean())} % {spread} {_of(pair)} {taught}."


def _student(pair: Pair, condition: str, rows: pd.DataFrame) -> str:
    """rows: of answers.csv, one for each round of each run."""
    of_round = rows.groupby("round")[_KEPT].mean().sort_index()
    runs = len(rows[["seed", "draw"]].drop_duplicates())
    mean = f", means over {runs} runs" if runs > 1 else ""
    who = f"The students of {pair.name(condition)}"
    if of_round.isna().all():
        return f"{who} have no gold to compare their own answers with{_left_out(rows)}."
    told = fmt.listed([fmt.share(share) for share in of_round])
    when = f"rounds 1 to {len(of_round)}" if len(of_round) > 1 else "their one round"
    verb = _is_right(pair).replace("is ", "are ").replace("has ", "have ")
    return f"{who} {verb} {told} % {_of(pair)} their own answers in {when}{mean}{_left_out(rows)}."


def _scores(pair: Pair) -> fmt.Scores:
    """Against gold of training items, even where test items have none."""
    return fmt.scores_of(pair.settings.tasks[pair.task].scoring.scorer)


def _is_right(pair: Pair) -> str:
    names = _scores(pair)
    return "is right on" if names == fmt.ACCURACIES else f"has a mean {names.strict} of"


def _of(pair: Pair) -> str:
    return "of" if _scores(pair) == fmt.ACCURACIES else "on"


def _left_out(rows: pd.DataFrame) -> str:
    """` (4 of 176 left out: 3 cut by max_new_tokens, 1 empty)`; empty where none is."""
    answered, dropped = rows["answers"].sum(), (rows["answers"] - rows["kept"]).sum()
    counts = {words: rows[reason].sum() for reason, words in REASONS.items()}
    counts["by the filter"] = dropped - sum(counts.values())
    why = sorted(counts.items(), key=lambda item: -item[1])
    told = ", ".join(f"{count} {words}" for words, count in why if count)
    return f" ({dropped:,} of {answered:,} left out: {told})" if dropped else ""


# --- tables -------------------------------------------------------------------------------


def _authors(pair: Pair, taught: pd.DataFrame, own: pd.DataFrame) -> Table:
    """A row for gold, for each way in which a teacher answers, and for each student."""
    gold = [name for name, phase in _phases(pair) if phase.answers.by == "gold"]
    rows = [{"author": "gold", "trained on by": _listed(pair, gold)}] if gold else []
    rows += [
        {
            "author": _named(pair, source),
            "trained on by": _listed(pair, _trained_on(pair, source)),
            **_cells(pair, of_source),
        }
        for source, of_source in _by_source(taught)
    ]
    rows += [
        {
            "author": "the student itself",
            "trained on by": pair.name(condition),
            **_cells(pair, of_student),
        }
        for condition, of_student in _by_condition(own)
    ]
    return Table.of("Answers that runs train on; means over draws, seeds and rounds", rows)


def _cells(pair: Pair, rows: pd.DataFrame) -> dict[str, str]:
    names = _scores(pair)
    scores = {"kept": _KEPT, "usable": "accuracy_strict"}
    return {
        "answers": fmt.whole(rows["answers"].sum()),
        "kept": fmt.whole(rows["kept"].sum()),
        **{
            f"{names.strict} of {whose} ones, % {pair.interval}": (
                fmt.with_interval(rows.iloc[0], column, fmt.share)
                if len(rows) == 1
                else fmt.or_blank(fmt.share)(rows[column].mean())
            )
            for whose, column in scores.items()
        },
        "tokens": fmt.or_blank(fmt.short)(rows["tokens"].mean()),
        "log-probability of a token, nats": fmt.or_blank(fmt.loss)(rows["logprob"].mean()),
        "agreement of samples, %": (
            # of one sample it is with itself
            fmt.share(rows["agreement"].mean()) if (rows["answers"] > rows["items"]).any() else ""
        ),
        **cited("answers", rows),
    }


def _examples(pair: Pair, teacher: str, rows: pd.DataFrame) -> Table:
    """rows: of answer_examples.csv."""
    cells = [
        {
            "question": text_of(row["question"]),
            "answer": text_of(row["answer"]),
            "gold": text_of(row["gold"]),
            "which is": _verdict(row),
            **cited("answer_examples", row),
        }
        for row in fmt.rows_of(rows)
    ]
    draw = rows["draw"].iloc[0]
    drawn = "" if pd.isna(draw) else f", draw {draw}"
    return Table.of(f"The first answers of the teacher {teacher}{drawn}", cells)


def _verdict(row: pd.Series) -> str:
    """Right or wrong, or its score; why it is not trained on, if it is not."""
    said = ""
    if pd.notna(row["strict"]):
        words = {1.0: "right", 0.0: WRONG}
        said = words.get(float(row["strict"])) or f"{fmt.share(row['strict'])} %"
    if pd.notna(row["unusable"]):
        return REASONS[str(row["unusable"])]
    return said if row["kept"] else ", ".join(filter(None, [said, "left out"]))


# --- who trains on what -------------------------------------------------------------------


def _phases(pair: Pair) -> Iterator[tuple[str, PhaseSettings]]:
    """Conditions that were trained here, with each of their phases."""
    present = set(pair.table("summary")["condition"])
    for name, condition in pair.settings.conditions.items():
        if name in present:
            yield from ((name, phase) for phase in trained_phases(condition))


def _of_source(pair: Pair, source: Source) -> Iterator[tuple[str, AnswerSettings]]:
    for name, phase in _phases(pair):
        teacher = pair.settings.conditions[name].teacher
        is_taught = phase.answers.by == "teacher" and teacher == source.teacher
        if is_taught and kind_of(phase.answers) == source.kind:
            yield name, phase.answers


def _trained_on(pair: Pair, source: Source) -> list[str]:
    return [name for name, _ in _of_source(pair, source)]


def _named(pair: Pair, source: Source) -> str:
    """`few-shot`, `few-shot (sampled 8 times at T = 0.7)`."""
    answers = next((own for _, own in _of_source(pair, source)), None)
    how = how_answered(answers) if answers is not None else []
    return f"{source.teacher} ({', '.join(how)})" if how else source.teacher


def _listed(pair: Pair, conditions: list[str]) -> str:
    return fmt.listed([pair.name(name) for name in dict.fromkeys(conditions)])
