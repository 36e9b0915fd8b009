"""Writes what is generated from the sources: `make docs`. A test keeps the files equal.

config/schema.json and docs/configuration.md come from the settings, envs/environment.yaml from
the pinned requirements and their lock, the picture in docs/architecture.md from Snakemake's graph
of the rules.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from workflow_scripts.config.study import Experiment  # noqa: E402

# it only teaches, so it is no student that a search would have to choose from
SCRATCH = {
    "source": "scratch:t5",
    "architecture": "encoder-decoder",
    "scratch": {
        "tasks": ["plural"],
        "vocabulary": 200,
        "layers": 1,
        "width": 8,
        "heads": 1,
        "steps": 1,
        "batch_size": 1,
        "learning_rate": 1e-3,
    },
}
RATES = {"low": 1e-5, "high": 1e-3, "log": True}
# what no plan makes unless it is asked for
ASKED_FOR = ("exports/smollm2-135m/plural/sft/seed-0/README.md", "searches/rate/trials.csv")

INTRODUCTION = """\
# Configuration

One YAML file describes one experiment. It is checked before anything runs, and an unknown or
ill-typed key is refused with its path and the nearest valid one. This page is generated from
`workflow_scripts/config/study.py` by `make docs`; editors read `config/schema.json`.

A name (of a model, task, teacher or condition) is letters, digits and `._~=+-`.
"""

PLAIN_TYPES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "null": "nothing",
}


def schema_file() -> str:
    return json.dumps(Experiment.model_json_schema(), indent=2, ensure_ascii=False) + "\n"


# --- docs/configuration.md ----------------------------------------------------------------


def configuration_page() -> str:
    schema = Experiment.model_json_schema()
    sections = [section("Experiment", schema)]
    sections += [section(name, schema["$defs"][name]) for name in in_order_of_use(schema)]
    return INTRODUCTION + "\n" + "\n".join(sections)


def section(name: str, definition: dict[str, Any]) -> str:
    required = definition.get("required", [])
    lines = [f"## {name}", ""]
    if "description" in definition:
        lines += [definition["description"], ""]
    lines += ["| key | type | default | meaning |", "|---|---|---|---|"]
    lines += [
        f"| `{key}` | {type_of(field)} | {default_of(key, field, required)} | {meaning_of(field)} |"
        for key, field in definition["properties"].items()
    ]
    return "\n".join(lines) + "\n"


def in_order_of_use(schema: dict[str, Any]) -> list[str]:
    """Names of the nested settings, each after the one that first refers to it."""
    found: list[str] = []

    def visit(definition: dict[str, Any]) -> None:
        for name in references(definition):
            if name not in found:
                found.append(name)
                visit(schema["$defs"][name])

    visit({"properties": schema["properties"]})
    return found


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"].rsplit("/", 1)[-1]
        for key, value in node.items():
            if key != "discriminator":  # it repeats what `oneOf` lists
                yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def type_of(field: dict[str, Any]) -> str:
    if "$ref" in field:
        name = field["$ref"].rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})"
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    for union in ("anyOf", "oneOf"):
        if union in field:
            return " or ".join(type_of(choice) for choice in field[union])
    if field.get("type") == "array":
        return f"list of {type_of(field['items'])}" if "items" in field else "list"
    if field.get("type") == "object":
        return f"name → {type_of(values_of(field))}"
    return PLAIN_TYPES[field["type"]] if "type" in field else "anything"


def values_of(field: dict[str, Any]) -> dict[str, Any]:
    patterns = field.get("patternProperties")
    values = next(iter(patterns.values())) if patterns else field["additionalProperties"]
    return dict(values)


def default_of(key: str, field: dict[str, Any], required: list[str]) -> str:
    if key in required:
        return "required"
    default = field.get("default")
    if isinstance(default, dict) and default:
        return "its defaults"
    return "" if default is None else f"`{json.dumps(default)}`"


def meaning_of(field: dict[str, Any]) -> str:
    bounds = {"minimum": "≥", "exclusiveMinimum": ">", "exclusiveMaximum": "<", "maximum": "≤"}
    limits = ", ".join(f"{sign} {field[name]:g}" for name, sign in bounds.items() if name in field)
    parts = [field.get("description", ""), f"({limits})" if limits else ""]
    return " ".join(part for part in parts if part)


# --- envs/environment.yaml ----------------------------------------------------------------


def conda_environment() -> str:
    """What requirements.txt names, then at its pinned version everything that these pull."""
    required = pins("requirements.txt")
    locked = pins("lock.txt")
    pulled = sorted(closure(required) & locked.keys() - required.keys())
    return "\n".join(
        [
            "# For `snakemake --sdm conda`; generated from requirements.txt and lock.txt by "
            "`make docs`.",
            "channels: [conda-forge, nodefaults]",
            "dependencies:",
            "  - python=3.11",
            "  - pip",
            "  - pip:",
            *(f"      - {pin}" for pin in required.values()),
            "      # what these pull",
            *(f"      - {locked[name]}" for name in pulled),
            "",
        ]
    )


def pins(name: str) -> dict[str, str]:
    """Package → its line, `package==version`, of a file in envs/."""
    lines = (ROOT / "envs" / name).read_text().splitlines()
    pinned = [line for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(line.split("==")[0]): line for line in pinned}


def closure(names: Iterable[str]) -> set[str]:
    """The packages and all that they pull here, as installed."""
    found: set[str] = set()
    waiting = [(name, "") for name in names]
    seen = set(waiting)
    while waiting:
        name, extra = waiting.pop()
        try:
            requirements = map(Requirement, requires(name) or ())
        except PackageNotFoundError:  # of another platform
            continue
        found.add(name)
        for requirement in requirements:
            if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
                continue
            further = {(canonicalize_name(requirement.name), e) for e in ("", *requirement.extras)}
            waiting += further - seen
            seen |= further
    return found


# --- docs/architecture.md -----------------------------------------------------------------


def architecture_page() -> str:
    """The page as it is, with the picture between its markers made anew."""
    page = (ROOT / "docs/architecture.md").read_text()
    before, begin, rest = page.partition("<!-- workflow -->\n")
    _, end, after = rest.partition("<!-- /workflow -->")
    if not (begin and end):
        raise SystemExit("docs/architecture.md: the markers of the workflow's picture are missing")
    return f"{before}{begin}```mermaid\n{workflow_picture()}\n```\n{end}{after}"


def workflow_picture() -> str:
    """Every rule in the box of its stage, in the order of the Snakefile, and what needs what."""
    stages = rules_by_stage()
    place = {rule: n for n, rule in enumerate(rule for rules in stages.values() for rule in rules)}
    edges = sorted(rule_edges(), key=lambda edge: (place[edge[0]], place[edge[1]]))
    lines = ["flowchart LR"]
    for stage, rules in stages.items():
        # a box may not have the name of a node in it
        lines += [f'    subgraph {stage}_stage["{stage}"]', *(f"        {rule}" for rule in rules)]
        lines.append("    end")
    arrows = [f"    {first} --> {second}" for first, second in without_shortcuts(edges)]
    return "\n".join([*lines, *arrows])


def rules_by_stage() -> dict[str, list[str]]:
    """Rules of each rule file that has some, as the Snakefile includes them; then its own."""
    snakefile = (ROOT / "Snakefile").read_text()
    texts = {
        name: (ROOT / f"rules/{name}.smk").read_text()
        for name in re.findall(r'^include: "rules/(\w+)\.smk"', snakefile, re.M)
    }
    found = {
        name: re.findall(r"^(?:use )?rule (?:\w+ as )?(\w+)", text, re.M)
        for name, text in texts.items()
    }
    return {name: rules for name, rules in found.items() if rules}


@cache
def rule_edges() -> list[tuple[str, str]]:
    """(needed, needing) of the rules, as Snakemake plans them; `all` is not among them."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(widest_experiment(), file)
        file.flush()
        command = ["-m", "snakemake", "--rulegraph", "mermaid-js", "--configfile", file.name]
        targets = [f"results/picture/{path}" for path in ASKED_FOR]
        graph = subprocess.run(
            [sys.executable, *command, "--", "all", *targets],
            cwd=ROOT,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout
    names = dict(re.findall(r"^\s*(id\d+)\[(\w+)\]", graph, re.M))
    pairs = re.findall(r"^\s*(id\d+) --> (id\d+)", graph, re.M)
    edges = [(names[first], names[second]) for first, second in pairs]
    return [edge for edge in edges if "all" not in edge]


def widest_experiment() -> dict[str, Any]:
    """The embedded default with what else there are rules for."""
    experiment = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    plural = experiment["tasks"]["plural"]
    labelled = {"choices": ["cats", "dogs"], "overflow": "exclude"}
    return experiment | {
        "experiment": "picture",
        "models": experiment["models"] | {"scratch": SCRATCH},
        "tasks": {
            "plural": plural,
            "other": plural
            | {"data": plural["data"] | labelled, "scoring": {"scorer": "likelihood"}},
            "third": plural,
            "mixed": plural
            | {
                "data": {
                    "source": "mixture",
                    "mixture": {"other": 1, "third": 1},
                    "items": plural["data"]["items"],
                },
                "scoring": {"scorer": "components"},
            },
        },
        "transfer": {"plural": ["other"], "mixed": ["third"]},
        "representations": {},
        "searches": {
            "rate": {"condition": "sft", "task": "plural", "fields": {"learning_rate": RATES}}
        },
    }


def without_shortcuts(edges: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The edges without those whose ends other edges connect as well."""
    kept = list(edges)
    for edge in edges:
        others = [other for other in kept if other != edge]
        if edge[1] in reachable(edge[0], others):
            kept = others
    return kept


def reachable(start: str, edges: list[tuple[str, str]]) -> set[str]:
    found, waiting = set(), [start]
    while waiting:
        node = waiting.pop()
        following = {second for first, second in edges if first == node} - found
        found |= following
        waiting += following
    return found


GENERATED: dict[str, Callable[[], str]] = {
    "config/schema.json": schema_file,
    "docs/configuration.md": configuration_page,
    "envs/environment.yaml": conda_environment,
    "docs/architecture.md": architecture_page,
}


def main() -> None:
    for name, content in GENERATED.items():
        (ROOT / name).write_text(content())
        print(name)


if __name__ == "__main__":
    main()
