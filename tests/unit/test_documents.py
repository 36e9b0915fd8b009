"""What the documents name exists: files, links, modules, make targets and keys of a study file."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import pytest
import yaml

from workflow_scripts.study.load import load_study
from workflow_scripts.study.renamed_keys import KEYS

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "workflow_scripts"
DOCUMENTS = [
    "README.md",
    *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")),
    "benchmarks/README.md",
    "resources/README.md",
    "resources/tasks/README.md",
]
SCHEMA = json.loads((ROOT / "config/schema.json").read_text())
SECTIONS = [SCHEMA, *SCHEMA["$defs"].values()]
# made by jobs or by the reader
MADE = re.compile(r"results/|resources/(models|opt)/")
# ends of dotted names that are files, or columns of a data set (`answers.text`)
FILES = {"csv", "json", "parquet", "yaml"}
COLUMNS = {"text"}

document = pytest.mark.parametrize("document", DOCUMENTS)


def text_of(document: str) -> str:
    """The document without summaries of results, which the gallery copies."""
    return re.sub(r"<!-- results: .*?/results -->", "", (ROOT / document).read_text(), flags=re.S)


def spans_of(document: str) -> list[str]:
    without_blocks = re.sub(r"^```.*?^```", "", text_of(document), flags=re.S | re.M)
    return re.findall(r"`([^`\n]+)`", without_blocks)


def folders(place: Path) -> str:
    return "|".join(path.name for path in place.iterdir() if path.is_dir() and path.name[0] != ".")


@document
def test_a_path_exists(document):
    """Paths of the repository anywhere, paths of the package in code spans."""
    paths = re.findall(rf"(?<![\w./-])((?:{folders(ROOT)})/[\w./-]*\w/?)", text_of(document))
    inside = rf"(?:{folders(PACKAGE)})/[\w./-]*"
    of_package = [span for span in spans_of(document) if re.fullmatch(inside, span)]
    known = [ROOT, ROOT / Path(document).parent, PACKAGE]
    missing = [
        path
        for path in [*paths, *of_package]
        if not MADE.match(f"{path}/") and not any((place / path).exists() for place in known)
    ]
    assert missing == []


@document
def test_a_csv_is_made_by_the_workflow(document):
    assert set(re.findall(r"\b(\w+)\.csv", text_of(document))) <= tables()


@cache
def tables() -> set[str]:
    """Those with a caption, and those that the package or a rule names."""
    sources = [*PACKAGE.rglob("*.py"), *(ROOT / "rules").glob("*.smk")]
    named = {name for file in sources for name in re.findall(r"(\w+)\.csv", file.read_text())}
    return named | {path.stem for path in PACKAGE.glob("*/captions/*.rst")}


def test_the_tree_of_the_readme_has_every_folder_of_the_package():
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert set(re.findall(r"^  (\w+)/ ", text_of("README.md"), re.M)) == packages


@document
def test_a_link_leads_to_a_file_and_a_heading(document):
    missing = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(document)):
        if target.startswith("http"):
            continue
        name, _, heading = target.partition("#")
        file = (ROOT / document).parent / name if name else ROOT / document
        if not file.exists() or (heading and heading not in headings(file)):
            missing.append(target)
    assert missing == []


def headings(file: Path) -> set[str]:
    """Anchors of a document's headings, as GitHub makes them."""
    found = re.findall(r"^#+ (.+)$", file.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


@document
def test_a_module_that_is_run_exists(document):
    modules = re.findall(r"python -m ([\w.]+)(?![\w.<])", text_of(document))
    places = {name: ROOT / name.replace(".", "/") for name in modules}
    missing = [
        name
        for name, place in places.items()
        if not (place.with_suffix(".py").exists() or (place / "__main__.py").exists())
    ]
    assert missing == []


@document
def test_a_make_target_exists(document):
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"(?:`|^)make ([\w-]+)", text_of(document), re.M)
    assert [name for name in targets if not re.search(rf"^{name}:", makefile, re.M)] == []


@document
def test_a_key_of_a_study_file_is_in_the_schema(document):
    """Paths such as `training.keep_state`, pairs such as `overflow: exclude`, sections of YAML."""
    spans = spans_of(document)
    paths = [
        span.split(".") for span in spans if re.fullmatch(r"[a-z_]+(\.([a-z_]+|<\w+>))+", span)
    ]
    paths = [path for path in paths if is_key(path[:1]) and path[-1] not in FILES | COLUMNS]
    pairs = [match[1] for span in spans if (match := re.match(r"([a-z]\w*): ", span))]
    blocks = re.findall(r"^```yaml\n(.*?)^```", text_of(document), re.S | re.M)
    sections = [key for block in blocks for key in re.findall(r"^([a-z_]+):", block, re.M)]
    keys = [*paths, *([key] for key in [*pairs, *sections])]
    assert [".".join(path) for path in keys if not is_key(path)] == []


@document
def test_no_key_of_an_earlier_version_is_named(document):
    old = {path.rsplit(".", 1)[-1] for path in KEYS}
    assert [span for span in spans_of(document) if set(re.findall(r"\w+", span)) & old] == []


def is_key(path: list[str]) -> bool:
    """Whether the path leads somewhere from any section of the schema."""
    return any(leads_somewhere(section, path) for section in SECTIONS)


def leads_somewhere(node: dict, path: list[str]) -> bool:
    if not path:
        return True
    if "$ref" in node:
        return leads_somewhere(SCHEMA["$defs"][node["$ref"].rsplit("/", 1)[-1]], path)
    first, *rest = path
    choices = [*node.get("anyOf", []), *node.get("oneOf", [])]
    if first.startswith("<"):  # any name
        children = list(node.get("patternProperties", {}).values())
    else:
        children = [field for key, field in node.get("properties", {}).items() if key == first]
    return any(leads_somewhere(child, rest) for child in children) or any(
        leads_somewhere(choice, path) for choice in choices
    )


def test_the_study_that_runs_no_model_is_valid(tmp_path, monkeypatch):
    blocks = re.findall(r"^```yaml\n(.*?)^```", text_of("docs/comparing.md"), re.S | re.M)
    study = yaml.safe_load(blocks[-1])
    for foreign in study["results_from"]:
        file = tmp_path / foreign["file"]
        file.parent.mkdir()
        file.touch()
    monkeypatch.chdir(tmp_path)
    assert load_study(study).matrix.names == ["base", "tuned"]
