"""What a hurried user types is refused in words of the file."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.tiny_experiment import EXPERIMENT
from tests.unit.study.conftest import refusal
from workflow_scripts.study.load import load_study

ROOT = Path(__file__).parents[3]

KEYS = "must be a mapping (`key: value`)"

LIST = "must be a list (`[one, another]`)"

TRUTH = "must be text; YAML reads yes, no, on, off, true and false as text only in quotes"

NULL = "must be text; YAML reads null and ~ as text only in quotes (given: nothing)"

TYPED = {
    # nothing, or the wrong thing, where a section belongs
    "models: null": f"models: {KEYS} (given: nothing)",
    "models: [{source: x}]": f"models: {KEYS}",
    "models: {a: hub:x/y}": f"models.a: {KEYS} (given: 'hub:x/y')",
    "conditions: null": f"conditions: {KEYS} (given: nothing)",
    "conditions: {sft: null}": f"conditions.sft: {KEYS} (given: nothing)",
    "conditions: {sft: {terms: [cross_entropy]}}": f"conditions.sft.terms.0: {KEYS} "
    "(given: 'cross_entropy')",
    "conditions: {sft: {terms: {objective: cross_entropy}}}": f"conditions.sft.terms: {LIST}",
    "conditions: {sft: {terms: [{weight: 1}]}}": "conditions.sft.terms.0: needs an `objective`",
    "training: [1]": f"training: {KEYS}",
    "training: {adapter: lora}": f"training.adapter: {KEYS} (given: 'lora')",
    "training: {adapter: {kind: Lora}}": "training.adapter: no kind named 'Lora'; did you mean "
    "'lora'?",
    # a value where a list belongs
    "shots: 8": "shots: must be a list: [8] (given: 8)",
    "shots: null": f"shots: {LIST} (given: nothing)",
    "transfer: {plural: other}": "transfer.plural: must be a list: [\"other\"] (given: 'other')",
    "sweeps: {a: 1}": f"sweeps: {LIST}",
    # numbers
    "training: {learning_rate: fast}": "training.learning_rate: must be a number (given: 'fast')",
    "training: {steps: 1.5}": "training.steps: must be a whole number (given: 1.5)",
    "training: {steps: yes}": "training: `steps` must be a number, but YAML reads it as true",
    "resources: {training: {gpu: yes}}": "resources.training: `gpu` must be a number, but YAML "
    "reads it as true",
    "resources: {training: {runtime: 119s}}": "resources.training.runtime: must be a whole number "
    "of minutes, without a unit (given: '119s')",
    "resources: {training: {mem_mb: 8GB}}": "resources.training.mem_mb: must be a whole number of "
    "MB, without a unit (given: '8GB')",
    "resources: {trainig: {gpu: 1}}": "resources.trainig: is not valid; did you mean "
    "'training'? (given: 'trainig')",
    "teachers: {a: {shots: all}}": "teachers.a.shots: must be a whole number (given: 'all'); or "
    "must be most (given: 'all')",
    # text that YAML reads as something else
    "experiment: 2026-01-01": "experiment: must be text; put it in quotes (given: 2026-01-01)",
    "experiment: my study": "experiment: must consist of letters, digits and ._~=+- and begin "
    "with a letter or digit (given: 'my study')",
    "models: {135: {source: x}}": "models.135: must be text; put it in quotes (given: 135)",
    "conditions: {null: {terms: [{objective: cross_entropy}]}}": f"conditions.None: {NULL}",
    "tasks: {plural: {data: {choices: [yes, no]}}}": f"tasks.plural.data.choices.0: {TRUTH} "
    f"(given: True)\ntasks.plural.data.choices.1: {TRUTH} (given: False)",
    "tasks: {plural: {data: {verbalizers: {0: a, 1: b}}}}": "tasks.plural.data.verbalizers.0: must "
    "be text; put it in quotes (given: 0)\ntasks.plural.data.verbalizers.1: must be text; put it "
    "in quotes (given: 1)",
    # paths
    "results: ~/out": "results: `~` is not expanded here; write a path relative to the working "
    "directory (`../out`) or an absolute one (given: '~/out')",
    "results: $HOME/out": "results: '$' is not expanded in a path; write the path out "
    "(given: '$HOME/out')",
    "results: ''": "results: must be a path, but is empty (given: '')",
    "models: {a: {source: hf:x/y}}": "models.a.source: unknown kind of source 'hf:'; "
    "write hub:…, wheel:…, scratch:… or a path (given: 'hf:x/y')",
    # a study is shared
    **{
        f"models: {{a: {{source: x, server: {{url: {json.dumps(url)}}}}}}}": "models.a.server.url: "
        "holds credentials or options, and a study is shared; write http://host:port/v1 and put "
        "the key into the variable OPENAI_API_KEY"
        for url in (
            "http://me:hidden@host/v1",
            "https://hidden@host/v1",
            "http://host/v1?key=hidden",
            "http://host/v1#hidden",
        )
    },
    **{
        f"models: {{a: {{source: x, server: {{url: {json.dumps(url)}}}}}}}": "models.a.server.url: "
        f"must be the URL of a server, http://host:port/v1 (given: {url!r})"
        for url in ("host:8000", "localhost", "file:///etc", "http://", "http://h:x/v1", "")
    },
    "tasks: {plural: {data: {source: https://me:hidden@x.org/a}}}": "tasks.plural.data.source: "
    "unknown kind of source 'https:'; write hub:…, reasoning_gym:… or a path (given: "
    "'https://…@x.org/a')",
    "models: {a: {source: ~me/y}}": "models.a.source: '~' is not expanded in a path; write the "
    "path out (given: '~me/y')",
    "tasks: {plural: {data: {source: https://x.org/a.jsonl}}}": "tasks.plural.data.source: unknown "
    "kind of source 'https:'; write hub:…, reasoning_gym:… or a path (given: "
    "'https://x.org/a.jsonl')",
    # stops
    "tasks: {plural: {generation: {stop: ''}}}": "tasks.plural.generation.stop: must be a list: "
    "[\"\"] (given: '')",
    "tasks: {plural: {generation: {stop: ['']}}}": "tasks.plural.generation.stop: an empty text "
    "would end every answer at once; remove it",
    r"tasks: {plural: {generation: {stop: ['\n']}}}": "tasks.plural.generation.stop: '\\n' is a "
    'backslash and a letter; write "\\n" in double quotes for the character',
    r"tasks: {plural: {generation: {stop: ['\t']}}}": "tasks.plural.generation.stop: '\\t' is a "
    'backslash and a letter; write "\\t" in double quotes for the character',
    # schedules
    "training: {scheduler: constant}": "training: `scheduler: constant` has no warm-up; write "
    "`constant_with_warmup` or remove `warmup_steps`",
}


def merged(config: dict[str, Any], changes: dict[Any, Any]) -> dict[str, Any]:
    """The config with what is written over it, section by section, as Snakemake merges files."""
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(config.get(key), dict)
        config[key] = merged(config[key], value) if both else value
    return config


def test_an_unknown_key_names_its_place_and_the_nearest_valid_key(config):
    config["conditions"]["layerwise"]["terms"][1]["weigth"] = 1
    assert refusal(config) == (
        "conditions.layerwise.terms.1: unknown key 'weigth'; did you mean 'weight'?"
    )


def test_an_unknown_objective_is_refused_with_the_valid_ones(config):
    config["conditions"]["sft"]["terms"][0]["objective"] = "cross-entropy"
    assert refusal(config) == (
        "conditions.sft.terms.0: no objective named 'cross-entropy'; did you mean 'cross_entropy'?"
    )


@pytest.mark.parametrize("typed", TYPED)
def test_a_bad_value_is_refused_in_words_of_the_file(config, typed):
    typed_over = merged(config, yaml.safe_load(typed))
    assert refusal(typed_over) == TYPED[typed]


@pytest.mark.parametrize(
    "typed",
    [
        "training: {learning_rate: 1e-4}",
        "training: {scheduler: constant, warmup_steps: 0}",
        "training: {scheduler: constant_with_warmup, warmup_steps: 0}",
        'tasks: {plural: {generation: {stop: ["\\n\\n", " ", "\\t"]}}}',
        r"tasks: {plural: {generation: {stop: ['\end{proof}', '\nabla']}}}",
        "results: ../results/",
        "results: /srv/results",
        "tasks: {plural: {data: {source: ~/items.jsonl}}}",
        "models: {smollm2-135m: {source: ~/model}}",
        'conditions: {"null": {terms: [{objective: cross_entropy}]}}',
    ],
)
def test_what_only_looks_wrong_is_right(config, typed):
    load_study(merged(config, yaml.safe_load(typed)))


def test_a_missing_key_is_named(config):
    del config["conditions"]["layerwise"]["terms"][1]["reduction"]
    assert refusal(config) == "conditions.layerwise.terms.1.reduction: is required"


def test_not_a_number_is_no_weight(config):
    config["conditions"]["layerwise"]["terms"][1]["weight"] = float("nan")
    assert refusal(config).startswith("conditions.layerwise.terms.1.weight: ")


@pytest.mark.parametrize("weight", [0, -1])
def test_a_weight_of_a_mixture_must_be_positive(mixed, weight):
    mixed["tasks"]["both"]["data"]["mixture"]["second"] = weight
    assert refusal(mixed) == (f"tasks.both.data.mixture.second: must be above 0 (given: {weight})")


def test_an_adapter_of_unknown_kind_is_refused(config):
    config["training"]["adapter"] = {"kind": "lorra"}
    assert refusal(config).startswith("training.adapter: ")


@pytest.mark.parametrize("alpha", [-0.1, 1.1])
def test_alpha_outside_0_to_1_is_refused(nli, alpha):
    nli["conditions"]["distil"]["alpha"] = alpha
    assert refusal(nli).startswith("conditions.distil.alpha: ")
    assert refusal(nli).endswith(f"(given: {alpha})")


def test_an_unknown_key_of_bitfit_is_named_without_its_class(nli):
    nli["conditions"]["pbft"]["adapter"] = {"kind": "bitfit", "rank": 4}
    assert refusal(nli) == "conditions.pbft.adapter: unknown key 'rank'; valid here: kind"


# --- one fault at a time in the tiny experiment ---------------------------------------------------

FAULTS = {
    "unknown key": (
        "conditions.sft.teechers",
        1,
        "conditions.sft: unknown key 'teechers'; did you mean 'teacher'?",
    ),
    "unknown top-level key": ("sedes", [0], "config: unknown key 'sedes'; did you mean 'seeds'?"),
    "wrong type": ("training.steps", "many", "training.steps: must be a whole number"),
    "missing teacher": (
        "conditions.distilled.teacher",
        "few-shots",
        "conditions.distilled.teacher: no teacher named 'few-shots'; did you mean 'few-shot'?",
    ),
    "negative weight": (
        "conditions.distilled.terms.1.weight",
        -1,
        "conditions.distilled.terms.1.weight: must be at least 0",
    ),
    "layers out of range": (
        "conditions.distilled.terms.1.layers",
        [0, 2],
        "conditions.distilled.terms.1.layers: layer 2 does not exist: tiny has layers 0 to 1",
    ),
    "more shots than the pool": (
        "shots",
        [0, 5],
        "shots: 5 shots need more than the 4 demonstrations of tasks.echo",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_refused_in_one_line(fault):
    path, value, message = FAULTS[fault]
    config = copy.deepcopy(EXPERIMENT)
    config["models"]["tiny"]["layers"] = 2
    place: Any = config
    *parents, last = path.split(".")
    for key in parents:
        place = place[int(key) if key.isdigit() else key]
    place[last] = value
    told = refusal(config)
    assert told.startswith(message)
    assert "\n" not in told


def test_a_term_without_layers_is_refused(config):
    config["conditions"]["layerwise"]["terms"][1]["layers"] = []
    assert "conditions.layerwise.terms.1.layers: " in refusal(config)


# --- names, lists and paths -----------------------------------------------------------------------

CUT = "'" + "x" * 57 + "…'"


def place(config: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    holder: Any = config
    *parents, last = path.split("/")
    for key in parents:
        holder = holder[int(key) if key.isdigit() else key]
    holder[int(last) if last.isdigit() else last] = value
    return config


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("experiment", "experiment"),
        ("analysis/baseline", "analysis.baseline"),
        ("students/0", "students.0"),
    ],
)
def test_a_name_of_three_hundred_letters_is_refused(path, said):
    config = copy.deepcopy(EXPERIMENT) | {"students": ["tiny"]}
    assert refusal(place(config, path, "x" * 300)) == (
        f"{said}: is a name of 300 letters; use at most 100 (given: {CUT})"
    )


@pytest.mark.parametrize("section", ["models", "tasks", "conditions", "teachers", "comparisons"])
def test_a_key_of_three_hundred_letters_is_refused(section):
    config = copy.deepcopy(EXPERIMENT)
    config[section]["x" * 300] = next(iter(config[section].values()))
    assert refusal(config).startswith(f"{section}.{CUT}: is a name of 300 letters; use at most 100")


@pytest.mark.parametrize(
    ("path", "values", "named"),
    [
        ("comparisons/main/members", ["sft", "sft", "0-shot"], "'sft'"),
        ("comparisons/main/figures", ["forest_plot", "forest_plot"], "'forest_plot'"),
        ("transfer/echo", ["deduction", "deduction"], "'deduction'"),
        ("students", ["tiny", "tiny"], "'tiny'"),
        ("conditions/sft/models", ["tiny", "tiny"], "'tiny'"),
        ("conditions/sft/tasks", ["echo", "echo"], "'echo'"),
        ("conditions/distilled/terms/1/layers", [1, 0, 1], "1"),
        ("tasks/echo/data/columns", ["hint", "hint"], "'hint'"),
        ("tasks/echo/data/unlabelled", ["train", "train"], "'train'"),
        ("representations/positions", ["query", "query"], "'query'"),
    ],
)
def test_an_entry_that_is_there_twice_is_refused(path, values, named):
    told = refusal(place(copy.deepcopy(EXPERIMENT), path, values))
    assert told == f"{path.replace('/', '.')}: has {named} twice; remove one"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "must be a path, but is empty"),
        ("out{x}", "'{' is not expanded in a path"),
        ("out\n{x}", "has a line break or another control character"),
        ("out\0", "has a line break or another control character"),
        ("x" * 300, "is too long: at most 255 bytes between slashes and 1,000 in all"),
        ("ä" * 200, "is too long"),
        ("a/" * 600, "is too long"),
        ("-out", "begins with `-`, like an option of a program"),
    ],
)
def test_a_folder_of_results_that_cannot_be_is_refused(value, reason):
    told = refusal(copy.deepcopy(EXPERIMENT) | {"results": value})
    assert told.startswith(f"results: {reason}")
    assert "\n" not in told


@pytest.mark.parametrize("path", ["tasks/echo/data/source", "models/tiny/source"])
@pytest.mark.parametrize("value", ["a$b", "a{b}", "a\nb", "x" * 300, "a:b"])
def test_a_source_that_cannot_be_tracked_is_refused(path, value):
    told = refusal(place(copy.deepcopy(EXPERIMENT), path, value))
    assert told.startswith(f"{path.replace('/', '.')}: ")
    assert "\n" not in told


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("conditions/sft/terms/0", {"objective": "hidden", "layers": "al"}),
        ("conditions/sft/adapter", {"kind": "lora", "target_modules": 3}),
        ("comparisons/main/members", 3),
        ("comparisons/main/members", [{"a": 1}]),
        ("teachers/few-shot/shots", []),
        ("sweeps", [{"condition": "sft", "field": "x", "values": [{"a": 1}]}]),
        ("tasks/echo/data/fields", {"options": 5}),
    ],
)
def test_no_class_of_the_validation_library_is_named(path, value):
    told = refusal(place(copy.deepcopy(EXPERIMENT), path, value))
    assert not re.search(r"constrained|literal\[|tuple\[|dict\[|Input should|pydantic", told)
    for line in told.splitlines():
        assert line.startswith(path.split("/")[0])


def test_half_a_character_is_refused_wherever_it_stands():
    config = copy.deepcopy(EXPERIMENT)
    config["tasks"]["echo"]["prompt"] = {"system": "\ud800"}
    assert refusal(config) == "tasks.echo.prompt.system: '\\ud800' has half a character; remove it"


def test_a_number_of_more_than_64_bits_is_refused():
    config = place(copy.deepcopy(EXPERIMENT), "tasks/echo/generation/max_new_tokens", 10**400)
    assert refusal(config) == (
        "tasks.echo.generation: `max_new_tokens` is out of range; write a number of under 19 digits"
    )


def test_a_section_that_holds_itself_is_refused():
    config = copy.deepcopy(EXPERIMENT)
    config["conditions"]["sft"]["terms"].append(config["conditions"])
    assert refusal(config) == "config: a section holds itself, by a YAML alias; write it out"
