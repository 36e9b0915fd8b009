"""Study files with random mistakes: each is refused in one line a problem, or can be planned.

Every study of `config/` is changed in one or two places, read and planned in process; a few of
those that pass are planned by Snakemake itself.
"""

from __future__ import annotations

import copy
import json
import random
import re
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import yaml

from benchmarks.faults.counts import Counts
from benchmarks.faults.planned import plan_all
from workflow_scripts.config import base, conditions, data, models, study, tasks, terms, training
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.study.load import load_study

ROOT = Path(__file__).parents[2]
# one in this number of plans that pass is planned by Snakemake too
SAMPLED = 40
SECONDS = 20
# letters of a line
LONGEST_LINE = 1200

STRANGE = [
    "",
    " ",
    ".",
    "..",
    "/",
    "a b",
    "a\nb",
    "tab\there",
    "null\0byte",
    "x" * 300,
    "name-" * 18,
    "{x}",
    "{question}",
    "{{}}",
    "$HOME",
    "$x^2$",
    "%s",
    "~",
    "~/x",
    "-x",
    "a:b",
    "a/b",
    "../a",
    "ä",
    "日本",
    "\ud800",
    "'",
    '"',
    "`",
    "*",
    "a@b",
    "8-shot",
    "0-shot",
    "x-draw-1",
    "report.html",
    "icl_gap.csv",
    "forest_plot.png",
    "tasks",
    "logs",
    "true",
    "1e-4",
    "nan",
    "hub:x",
    "mixture",
    "wheel:x==1",
    "scratch:gpt2",
    "file:no-such-file",
    "file:README.md",
    "None",
]
NUMBERS = [0, -1, 1, 2, 0.5, -0.5, 1e-300, 1e300, 10**6, 10**9, 10**18, 10**400, 2**32, 1e-7]
NUMBERS += [float("inf"), float("nan"), 0.1234567, 0.1234568, 1000000.5, True, False]
# words that no message may have: of the validation library and of Python
INTERNAL = re.compile(
    r"pydantic|constrained|Input should|validation error|type=|Traceback|<class|"
    r"\b(tuple|dict|list|literal|union|function-\w+|is-instance)\[|\bNoneType\b|Annotated|"
    r"object at 0x"
)
CLASSES = re.compile(
    r"\b("
    + "|".join(
        name
        for module in (base, conditions, data, models, study, tasks, terms, training)
        for name, found in vars(module).items()
        if isinstance(found, type) and issubclass(found, base.BaseModel)
    )
    + r")\b"
)

Path_ = tuple[Any, ...]


def run(count: int, seed: int) -> Counts:
    """Tries this many study files with mistakes."""
    chosen = random.Random(seed)
    studies = list(_studies())
    refused = same = 0
    faults: list[str] = []
    for number in range(count):
        name, config = chosen.choice(studies)
        changed, changes = _changed(config, studies, chosen)
        told, fault = outcome(changed)
        if fault is None and not told and chosen.random() < 1 / SAMPLED:
            told, fault = _planned_by_snakemake(changed)
        if fault is not None:
            faults.append(f"{number}: {name}: {'; '.join(changes)}: {fault}")
        elif told:
            refused += 1
        else:
            same += 1
    return Counts(count, refused, same, faults)


def _studies() -> Iterator[tuple[str, dict[str, Any]]]:
    for file in [
        ROOT / "config/config.yaml",
        *sorted((ROOT / "config/experiments").glob("*.yaml")),
    ]:
        config = yaml.safe_load(file.read_text(encoding="utf-8"))
        config["seeds"] = config.get("seeds", [0])[:1]
        yield file.stem, config


# --- one study file ---------------------------------------------------------------------------


def outcome(config: dict[str, Any]) -> tuple[str, str | None]:
    """(the refusal, or nothing for a study that can be planned; what is wrong with that)."""
    before = signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(SECONDS)
    try:
        plan_all(load_study(config))
    except InputError as error:
        return str(error), _wrong_with(str(error))
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}, line {place.lineno}"
        return "", f"{type(error).__name__} in {where}: {str(error)[:200]!r}"
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    return "", None


def _too_long(signal_number: int, frame: FrameType | None) -> None:
    raise TimeoutError(f"longer than {SECONDS} seconds")


def _wrong_with(message: str) -> str | None:
    """What no refusal may be: empty, without a key path, long, or in the words of a library."""
    for line in message.split("\n"):
        if not re.match(r"(\S[^:]*|[^:]*'[^']*'[^:]*): \S", line):
            return f"no key path in {message[:300]!r}"
        if len(line) > LONGEST_LINE:
            return f"a line of {len(line)} letters: {line[:300]!r}"
        if not line.isprintable():
            return f"not printable: {line[:300]!r}"
        if found := INTERNAL.search(line) or CLASSES.search(line):
            return f"says {found[0]!r}: {line[:300]!r}"
    return None


def _planned_by_snakemake(config: dict[str, Any]) -> tuple[str, str | None]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "study.json")
        file.write_text(json.dumps(config))
        command = ["-m", "snakemake", "--dry-run", "--quiet", "all", "--cores", "1"]
        done = subprocess.run(
            [sys.executable, *command, "--configfile", str(file)],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
    told = done.stdout + done.stderr
    # a file of the user's that is not there is named by Snakemake
    if done.returncode and "MissingInputException" not in told:
        return "", f"Snakemake: {told[-400:]!r}"
    return ("a file is missing" if done.returncode else ""), None


# --- mistakes ---------------------------------------------------------------------------------


def _changed(
    config: dict[str, Any], studies: list[tuple[str, dict[str, Any]]], chosen: random.Random
) -> tuple[dict[str, Any], list[str]]:
    """The config with one mistake or two, and what they are."""
    changed = copy.deepcopy(config)
    changes = []
    for _ in range(chosen.choice([1, 1, 1, 2])):
        place = chosen.choice(list(_places(changed)))
        change = chosen.choice(CHANGES)
        holder = changed
        for key in place[:-1]:
            holder = holder[key]
        told = change(holder, place[-1], chosen, studies)
        changes.append(
            f"{change.__name__.strip('_')} {'.'.join(map(str, place))[:80]} {told}".rstrip()
        )
    return changed, changes


def _places(section: Any, path: Path_ = ()) -> Iterator[Path_]:
    entries = section.items() if isinstance(section, dict) else enumerate(section)
    for key, value in entries:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from _places(value, (*path, key))


def _delete(holder: Any, key: Any, chosen: random.Random, studies: Any) -> str:
    del holder[key]
    return ""


def _rename(holder: Any, key: Any, chosen: random.Random, studies: Any) -> str:
    if isinstance(holder, list):
        return _strange(holder, key, chosen, studies)
    name = chosen.choice(
        [_typo(str(key), chosen), *chosen.sample(STRANGE, 2), *(k for k in _keys(studies, chosen))]
    )
    holder[name] = holder.pop(key)
    return f"to {name!r:.40}"


def _keys(studies: Any, chosen: random.Random) -> list[Any]:
    _, other = chosen.choice(studies)
    return [chosen.choice(list(_places(other)))[-1] for _ in range(3)]


def _typo(text: str, chosen: random.Random) -> str:
    at = chosen.randrange(len(text) + 1)
    return chosen.choice([text[:at] + text[at + 1 :], text[:at] + "e" + text[at:], text.upper()])


def _retype(holder: Any, key: Any, chosen: random.Random, studies: Any) -> str:
    value = holder[key]
    wrapped = [[value], {"a": value}, str(value), None, 1, [], {}, [[value]], {"a": {"b": value}}]
    holder[key] = copy.deepcopy(chosen.choice(wrapped))
    return f"to {holder[key]!r:.60}"


def _number(holder: Any, key: Any, chosen: random.Random, studies: Any) -> str:
    holder[key] = chosen.choice(NUMBERS)
    return f"to {holder[key]!r:.40}"


def _strange(holder: Any, key: Any, chosen: random.Random, studies: Any) -> str:
    holder[key] = chosen.choice(STRANGE)
    return f"to {holder[key]!r:.40}"


def _misspell(holder: Any, key: Any, chosen: random.Random, studies: Any) -> str:
    """A reference to a name that may not be there."""
    if not isinstance(holder[key], str):
        return _number(holder, key, chosen, studies)
    holder[key] = chosen.choice([_typo(holder[key], chosen), "missing"])
    return f"to {holder[key]!r:.40}"


def _duplicate(holder: Any, key: Any, chosen: random.Random, studies: Any) -> str:
    if isinstance(holder, list):
        holder.insert(chosen.randrange(len(holder) + 1), copy.deepcopy(holder[key]))
    elif isinstance(holder[key], list) and holder[key]:
        holder[key].append(copy.deepcopy(chosen.choice(holder[key])))
    else:
        holder[f"{key}-2"] = copy.deepcopy(holder[key])
    return ""


def _lengthen(holder: Any, key: Any, chosen: random.Random, studies: Any) -> str:
    """Many entries under names of their own, or of a list."""
    if isinstance(holder, list):
        holder.extend(copy.deepcopy(holder[key]) for _ in range(chosen.choice([3, 300])))
    else:
        holder |= {
            f"{key}-{number}": copy.deepcopy(holder[key])
            for number in range(chosen.choice([3, 12]))
        }
    return ""


def _move(holder: Any, key: Any, chosen: random.Random, studies: Any) -> str:
    """A value from another place of a study."""
    name, other = chosen.choice(studies)
    place = chosen.choice(list(_places(other)))
    value: Any = other
    for step in place:
        value = value[step]
    holder[key] = copy.deepcopy(value)
    return f"to {name}'s {'.'.join(map(str, place))[:60]}"


CHANGES: list[Callable[[Any, Any, random.Random, Any], str]] = [
    _delete,
    _rename,
    _rename,
    _retype,
    _number,
    _strange,
    _misspell,
    _misspell,
    _duplicate,
    _lengthen,
    _move,
    _move,
]
