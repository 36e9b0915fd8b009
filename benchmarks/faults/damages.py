"""Files that are damaged before a job reads them: it must say which, or make what it always makes.

Each trial damages one file that a job reads: of a model, a task, a target, a run, a result or a
table, or the checksum beside it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from benchmarks.faults.counts import Counts
from benchmarks.faults.workbench import Job, Workbench, finished_study

# where files lie that jobs have made
_MADE = ("results/", "resources/models/")
Damage = Callable[[Path, random.Random], None]


def run(count: int, seed: int) -> Counts:
    with finished_study() as bench:
        return damage_files(bench, count, seed)


def damage_files(bench: Workbench, count: int, seed: int) -> Counts:
    generator = random.Random(seed)
    refused, same, faults = 0, 0, []
    for job, name in _chosen(bench, count, generator):
        path = bench.folder / name
        damage, apply = generator.choice(list(damages_of(path).items()))
        # a model's files are links into the folder that it came from
        damaged = {name, str(path.resolve().relative_to(bench.folder.resolve()))}
        with bench.disturbed():
            apply(path, generator)
            bench.remove_outputs(job)
            outcome = bench.run(job)
            named = outcome.error is not None and _is_named(name, outcome.error)
            # what was damaged stays so
            changed = [other for other in bench.differences() if other not in damaged]
        if named:
            refused += 1
        elif outcome.status == 0 and not changed:
            same += 1
        else:
            found = f"{outcome}; differs: {', '.join(changed[:3]) or 'nothing'}"
            faults.append(f"{name} {damage}, then {job}: {found}")
    return Counts(count, refused, same, faults)


def _chosen(bench: Workbench, count: int, generator: random.Random) -> list[tuple[Job, str]]:
    """Jobs with a file that each reads; kinds of file come equally often."""
    pairs: dict[str, list[tuple[Job, str]]] = {}
    for job in bench.jobs:
        for name in job.inputs:
            if not name.startswith(_MADE):
                continue  # a user's file, which may change
            path = Path(name)
            pairs.setdefault(f"{job.name} {path.name}", []).append((job, name))
            checksum = str(path.with_name(f".{path.name}.sha256"))
            if (bench.folder / checksum).exists():
                pairs.setdefault(f"checksum of {path.suffix}", []).append((job, checksum))
    kinds = sorted(pairs)
    generator.shuffle(kinds)
    return [generator.choice(pairs[kinds[n % len(kinds)]]) for n in range(count)]


def _is_named(name: str, error: str) -> bool:
    """Whether the error names the damaged file or what it holds, or the file of a checksum."""
    path = Path(name)
    written = path.name.removeprefix(".").removesuffix(".sha256")
    return any(part in error for part in (path.name, written, Path(written).stem))


def damages_of(path: Path) -> dict[str, Damage]:
    """What can be done to a file of this kind, in words and as a function."""
    damages: dict[str, Damage] = {
        "with a flipped bit": _flip,
        "cut in half": lambda path, _: _write(path, path.read_bytes()[: path.stat().st_size // 2]),
        "emptied": lambda path, _: _write(path, b""),
        "doubled": lambda path, _: _write(path, 2 * path.read_bytes()),
        "removed": lambda path, _: path.unlink(),
        "exchanged": _exchange,
    }
    if path.suffix == ".json":
        for content in ("[]", "null", "{}", '{"a": 1}'):
            damages[f"replaced by {content}"] = lambda path, _, content=content: _write(
                path, content.encode()
            )
    if path.suffix in (".parquet", ".csv") and not path.name.startswith("."):
        damages |= {
            "without half of its rows": _rows(lambda table: table.head(len(table) // 2)),
            "with its rows twice": _rows(lambda table: pd.concat([table, table])),
            "with its rows reversed": _rows(lambda table: table.iloc[::-1]),
            "without its last column": _rows(lambda table: table.iloc[:, :-1]),
        }
    return damages


def _rows(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Damage:
    def apply(path: Path, generator: random.Random) -> None:
        if path.suffix == ".csv":
            change(pd.read_csv(path)).to_csv(path, index=False)
        else:
            change(pd.read_parquet(path)).to_parquet(path)

    return apply


def _flip(path: Path, generator: random.Random) -> None:
    content = bytearray(path.read_bytes())
    if content:
        content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
    _write(path, bytes(content))


def _exchange(path: Path, generator: random.Random) -> None:
    """Takes the content of another file of its kind, if there is one nearby."""
    others = sorted({*path.parents[1].rglob(f"*{path.suffix}")} - {path})
    if others:
        _write(path, generator.choice(others).read_bytes())


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
