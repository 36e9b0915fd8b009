"""Writes what is generated from the sources: `make docs`. A test keeps the files equal.

config/schema.json and docs/configuration.md come from the schema, envs/environment.yaml from the
pinned requirements and their lock, the picture in docs/architecture.md from Snakemake's graph of
the rules, the study in README.md from its file, docs/replications.md from resources/replications/.
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
from itertools import dropwhile
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from workflow_scripts.config.study import Experiment  # noqa: E402
from workflow_scripts.published import judged, read_publication  # noqa: E402
from workflow_scripts.results.scorers import SCORERS  # noqa: E402

# an encoder-decoder only teaches, so a search still has one student to choose
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
# conditions on generated answers
ANSWERS = {
    "teacher": "few-shot",
    "tasks": ["plural"],
    "answers": "teacher",
    "terms": [{"objective": "cross_entropy"}],
}
ROUNDS = ANSWERS | {
    "answers": {"by": "student", "rounds": 2},
    "terms": [
        {
            "objective": "logit_kl",
            "weight": 1,
            "position": "answer",
            "temperature": 1,
            "top_k": 8,
            "reduction": "mean",
        }
    ],
}
RATES = {"low": 1e-5, "high": 1e-3, "log": True}
FIRST_STUDY = "config/experiments/first.yaml"
# targets that only a request by name makes
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
    return json.dumps(schema_of_a_study(), indent=2, ensure_ascii=False) + "\n"


def schema_of_a_study() -> dict[str, Any]:
    """The schema of the settings, with the scorers that the plan knows."""
    schema = Experiment.model_json_schema()
    scorer = schema["$defs"]["ScoringSettings"]["properties"]["scorer"]
    rows = [f"`{name}`: {row.description}." for name, row in SCORERS.items()]
    scorer |= {"enum": list(SCORERS), "description": " ".join(rows)}
    return schema


# --- docs/configuration.md ----------------------------------------------------------------


def configuration_page() -> str:
    schema = schema_of_a_study()
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
    """Names of nested settings, each after the first one that refers to it."""
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
            if key != "discriminator":  # repeats what `oneOf` lists
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


def written(bound: float) -> str:
    return f"{bound:,}" if isinstance(bound, int) else f"{bound:g}"


def meaning_of(field: dict[str, Any]) -> str:
    bounds = {"minimum": "≥", "exclusiveMinimum": ">", "exclusiveMaximum": "<", "maximum": "≤"}
    limits = ", ".join(
        f"{sign} {written(field[name])}" for name, sign in bounds.items() if name in field
    )
    parts = [field.get("description", ""), f"({limits})" if limits else ""]
    return " ".join(part for part in parts if part)


# --- envs/environment.yaml ----------------------------------------------------------------


def conda_environment() -> str:
    """Packages of requirements.txt, then their dependencies at the versions of the lock."""
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
            "  - gperftools  # its tcmalloc, for jobs on the CPU",
            "  - pip",
            "  - pip:",
            *(f"      - {pin}" for pin in required.values()),
            "      # their dependencies",
            *(f"      - {locked[name]}" for name in pulled),
            "",
        ]
    )


def pins(name: str) -> dict[str, str]:
    """Package → its line `package==version` in a file of envs/."""
    lines = (ROOT / "envs" / name).read_text().splitlines()
    pinned = [line for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(line.split("==")[0]): line for line in pinned}


def closure(names: Iterable[str]) -> set[str]:
    """The packages and everything that they depend on in this environment."""
    found: set[str] = set()
    waiting = [(name, "") for name in names]
    seen = set(waiting)
    while waiting:
        name, extra = waiting.pop()
        try:
            requirements = map(Requirement, requires(name) or ())
        except PackageNotFoundError:  # for another platform
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
    """The page with a new picture of the workflow."""
    return with_block("docs/architecture.md", "workflow", f"```mermaid\n{workflow_picture()}\n```")


def with_block(document: str, name: str, content: str) -> str:
    """The document with this content between `<!-- name -->` and `<!-- /name -->`."""
    page = (ROOT / document).read_text()
    before, begin, rest = page.partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition(f"<!-- /{name} -->")
    if not (begin and end):
        raise SystemExit(f"{document}: write `<!-- {name} -->` and `<!-- /{name} -->` around it")
    return f"{before}{begin}{content}\n{end}{after}"


def workflow_picture() -> str:
    """Every rule in the box of its stage, in the Snakefile's order, and their dependencies."""
    stages = rules_by_stage()
    place = {rule: n for n, rule in enumerate(rule for rules in stages.values() for rule in rules)}
    edges = sorted(rule_edges(), key=lambda edge: (place[edge[0]], place[edge[1]]))
    lines = ["flowchart LR"]
    for stage, rules in stages.items():
        # a box must not share its name with a node inside it
        lines += [f'    subgraph {stage}_stage["{stage}"]', *(f"        {rule}" for rule in rules)]
        lines.append("    end")
    arrows = [f"    {first} --> {second}" for first, second in without_shortcuts(edges)]
    return "\n".join([*lines, *arrows])


def rules_by_stage() -> dict[str, list[str]]:
    """Rule file → its rules, in the order of the Snakefile; files without rules are left out."""
    snakefile = (ROOT / "Snakefile").read_text()
    texts = {
        name: (ROOT / f"rules/{name}.smk").read_text()
        for name in re.findall(r'^include: "rules/(\w+)\.smk"', snakefile, re.M)
    }
    rule = re.compile(r"^(?:use rule \w+ as|rule) (\w+)(?: with)?:", re.M)
    found = {name: rule.findall(text) for name, text in texts.items()}
    return {name: rules for name, rules in found.items() if rules}


@cache
def rule_edges() -> list[tuple[str, str]]:
    """(needed rule, rule that needs it) as Snakemake plans them, without `all`."""
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
    """The embedded default, extended until its plan uses every rule."""
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
        "teachers": experiment["teachers"] | {"told": {"system": "Write the plural."}},
        "conditions": experiment["conditions"] | {"answers": ANSWERS, "on-policy": ROUNDS},
        "sweeps": [
            {"condition": "sft", "field": "learning_rate", "values": [1e-3], "choose": True}
        ],
        "representations": {},
        "results_from": [
            {"name": "theirs", "model": "smollm2-135m", "task": "plural", "file": FIRST_STUDY}
        ],
        "searches": {
            "rate": {"condition": "sft", "task": "plural", "fields": {"learning_rate": RATES}}
        },
    }


def without_shortcuts(edges: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The edges without those that follow from others (transitive reduction)."""
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


# --- README.md ----------------------------------------------------------------------------


def readme() -> str:
    """The README with the study's file, without its leading comments."""
    lines = (ROOT / FIRST_STUDY).read_text().splitlines()
    study = "\n".join(dropwhile(lambda line: line.startswith("#"), lines))
    return with_block("README.md", "study", f"```yaml\n{study}\n```")


# --- docs/replications.md -----------------------------------------------------------------


def replications_page() -> str:
    """The page with the tables of all publications, by year."""
    publications = map(read_publication, sorted((ROOT / "resources/replications").glob("*.yaml")))
    in_order = sorted(publications, key=lambda publication: (publication.year, publication.title))
    tables = "\n".join(map(judged, in_order))
    return with_block("docs/replications.md", "publications", tables.rstrip())


GENERATED: dict[str, Callable[[], str]] = {
    "config/schema.json": schema_file,
    "docs/configuration.md": configuration_page,
    "envs/environment.yaml": conda_environment,
    "docs/architecture.md": architecture_page,
    "docs/replications.md": replications_page,
    "README.md": readme,
}


def main() -> None:
    for name, content in GENERATED.items():
        (ROOT / name).write_text(content())
        print(name)


if __name__ == "__main__":
    main()
