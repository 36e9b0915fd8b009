"""What the model card claims, and that the hub can read it."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
import yaml
from huggingface_hub import ModelCard

from tests.unit.export.conftest import TEMPLATE, comparisons, make_recipe, summary
from workflow_scripts.config.data import DataSettings, ItemCounts
from workflow_scripts.config.models import ModelSource
from workflow_scripts.config.slices import ContextSettings, RunSlice, ScoringSlice, TeacherTarget
from workflow_scripts.config.terms import ULDTerm
from workflow_scripts.config.training import BitFitSettings, FullSettings, LoraSettings
from workflow_scripts.export.card import Shown, model_card
from workflow_scripts.export.recipe import Recipe, Taught
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.training.terms import reads_of

COUNTS = ItemCounts(demonstrations=8, train=12, validation=4, test=3)


def card_of(recipe: Recipe, **changes: object) -> ModelCard:
    shown = {
        "step": 4,
        "summary": summary(),
        "comparisons": comparisons(),
        "folder": Path("exported"),
        "base_folder": Path("resources/models/tiny"),
        "dtype": "float32",
        "prompt": "cat\n",
        "tokens_saved": 0.0,
        "ends": [2],
        "results_file": "results_step-4.json",
        "samples_file": "samples_plural_step-4.jsonl",
        "inspect_file": "inspect_step-4.eval",
    }
    return model_card(recipe, Shown(**shown | changes), TEMPLATE)


def rows_of(card: ModelCard) -> dict[str, list[str]]:
    """First cell → other cells, of all tables of the card."""
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in card.text.splitlines()
        if line.startswith("|")
    ]
    return {row[0]: row[1:] for row in cells}


def test_the_hub_reads_the_results_of_the_chosen_checkpoint():
    data = ModelCard(str(card_of(make_recipe()))).data
    assert data.library_name == "peft"
    assert [(r.metric_name, r.metric_value) for r in data.eval_results] == [
        ("strict accuracy", 0.5),
        ("flexible accuracy", 0.5),
    ]


def test_metrics_of_texts_are_called_by_their_names():
    card = card_of(make_recipe(scoring=ScoringSlice(scorer="rouge", labels=None)))
    names = [(r.metric_type, r.metric_name) for r in card.data.eval_results]
    assert names == [("rouge", "ROUGE-L"), ("rouge", "ROUGE-1")]
    assert "ROUGE-L minus that of others" in card.text


@pytest.mark.parametrize(
    ("source", "named"), [("hub:someone/tiny", "someone/tiny"), ("models/tiny", None)]
)
def test_only_a_base_model_of_the_hub_is_linked(source, named):
    card = card_of(make_recipe(base=ModelSource(source=source, revision="abc")))
    assert card.data.base_model == named


def test_a_data_set_of_the_hub_is_linked_with_its_revision():
    data = DataSettings(source="hub:openai/gsm8k", subset="main", revision="r1", items=COUNTS)
    card = card_of(make_recipe(data=data))
    assert card.data.datasets == ["openai/gsm8k"]
    assert card.data.eval_results[0].dataset_revision == "r1"


def test_a_swept_task_has_a_type_that_the_hub_accepts():
    kind = card_of(make_recipe(task="mgsm~data.subset=de")).data.eval_results[0].dataset_type
    assert re.fullmatch(r"(?:[\w-]+/)?[\w.-]+", kind)


def test_a_whole_model_is_no_peft_adapter():
    card = card_of(make_recipe(FullSettings(kind="full")))
    assert card.data.library_name == "transformers"
    assert "peft" not in card.text


def test_bias_terms_are_no_peft_adapter():
    card = card_of(make_recipe(BitFitSettings(kind="bitfit")))
    assert (card.data.library_name, card.data.tags[-1]) == ("transformers", "bitfit")
    assert "peft" not in card.text
    assert "The trained bias terms (BitFit) of `someone/tiny`" in card.text


def test_a_classification_head_is_reported_with_its_labels():
    card = card_of(make_recipe(head="classification"))
    assert card.data.pipeline_tag == "text-classification"
    told = "at revision `abc` with a classification head for `cats`, `mice`, `boxes`, trained"
    assert told in card.text


def test_the_items_are_those_that_the_condition_trained_on():
    recipe = make_recipe()
    assert "Data: 4 items of" in card_of(recipe.model_copy(update={"run": trained_on(4)})).text


def trained_on(*items: int, **changes: object) -> RunSlice:
    """The recipe's run with a phase for each number of items."""
    run = make_recipe().run
    phases = [
        run.phases[0].model_copy(update={"train_items": number, **changes}) for number in items
    ]
    return run.model_copy(update={"phases": tuple(phases)})


def test_the_phases_of_a_run_are_told_in_order():
    recipe = make_recipe()
    run = trained_on(12, 4)
    text = card_of(recipe.model_copy(update={"run": run})).text
    assert "Data: 12 items, then 4 items of" in text
    settings = yaml.safe_load(re.search(r"```yaml\n(.*?)```", text, re.DOTALL)[1])
    assert [phase["steps"] for phase in settings["phases"]] == [4, 4]


def test_rounds_on_the_students_own_answers_are_counted():
    run = trained_on(12, 12, 12, author="student")
    text = card_of(make_recipe().model_copy(update={"run": run})).text
    assert "Data: 3 rounds, each of 12 items answered by the student itself of" in text


def test_demonstrations_that_were_trained_on_are_told():
    shown = ContextSettings(shots=8, answers="correct", seed=0)
    run = trained_on(8, demonstrations=shown)
    assert (
        "Data: 8 demonstrations of" in card_of(make_recipe().model_copy(update={"run": run})).text
    )


def test_the_checkpoint_stands_beside_the_base_model():
    rows = rows_of(card_of(make_recipe()))
    numbers = ["50.0 [25.0, 75.0]", "50.0 [25.0, 75.0]", "0.50 [0.25, 0.75]"]
    for result in ("base, 0 shots", "base, 8 shots", "this checkpoint (step 4)"):
        assert rows[result] == numbers


def test_several_seeds_are_reported_with_their_mean():
    card = card_of(make_recipe())
    assert rows_of(card)["mean over seeds (steps 2/4)"][0] == "80.0 [70.0, 90.0]"
    assert "trained with 2 seeds" in card.text


def test_the_verdict_is_about_this_seed_and_says_where_none_was_possible():
    compared = [line for line in card_of(make_recipe()).text.splitlines() if "| sft" in line]
    assert [[cell.strip() for cell in line.split("|")][2:-1] for line in compared] == [
        ["main", "1", "+40.0 [+30.0, +50.0]", "0.01", "better"],
        ["main", "all", "+40.0 [+30.0, +50.0]", "", "no test: too few seeds: 2 of 3"],
    ]


def test_a_comparison_is_turned_so_that_it_is_about_the_condition():
    *_, difference, _, verdict = rows_of(card_of(make_recipe()))["8-shot"]
    assert (difference, verdict) == ("-40.0 [-50.0, -30.0]", "worse")


def test_a_condition_that_nothing_is_compared_with_says_so():
    card = card_of(make_recipe(), comparisons=comparisons().head(0))
    assert "compares this condition with neither" in card.text


def test_the_teachers_context_is_reported():
    text = card_of(make_recipe()).text
    assert "8 demonstrations in its context, their answers exchanged" in text


def test_a_teachers_system_text_and_column_are_named():
    recipe = make_recipe()
    (phase,) = recipe.run.phases
    (read, *_) = phase.reads
    context = read.context.model_copy(update={"shots": 0, "item": "hint"})
    told = read.model_copy(update={"system": "Be brief.", "context": context})
    run = recipe.run.model_copy(update={"phases": (phase.model_copy(update={"reads": (told,)}),)})
    text = card_of(recipe.model_copy(update={"run": run})).text
    assert "with a system text of its own and the item's column `hint` in its context." in text


def test_agreement_with_a_teacher_is_not_called_accuracy():
    changes = {"judge": "instructed", "choose_by": "agreement"}
    card = card_of(make_recipe().model_copy(update=changes))
    assert "Agreement on" in card.text
    assert "Accuracy on" not in card.text
    assert "the answers of teacher `instructed` stand for them" in card.text
    assert "agreed most with the task's reference teacher on" in card.text
    metrics = [result.metric_name for result in card.data.eval_results]
    assert metrics == ["agreement with instructed", "flexible agreement with instructed"]


def test_the_last_checkpoint_is_not_called_the_best():
    text = card_of(make_recipe().model_copy(update={"choose_by": "last"})).text
    assert "This checkpoint is the run's last;" in text
    assert "best" not in text


def test_a_teacher_that_is_another_model_is_named():
    large = ModelSource(source="hub:someone/large", revision="def")
    text = card_of(make_recipe(teachers={"few-shot": large})).text
    assert "the base `someone/large` at revision `def` with 8 demonstrations" in text


def test_a_teacher_with_another_tokenizer_is_reported_with_what_was_matched():
    term = ULDTerm(objective="uld", weight=0.5, temperature=1.2, top_k=64)
    context = ContextSettings(shots=0, answers="none", seed=0)
    read = TeacherTarget(teacher="t5", system=None, context=context, target=reads_of(term).target)
    recipe = make_recipe(
        adapter=LoraSettings(target_modules="attention"),
        teachers={
            "t5": ModelSource(
                source="hub:google/flan-t5-xl", revision="abc", architecture="encoder-decoder"
            )
        },
    )
    (phase,) = recipe.run.phases
    phase = phase.model_copy(update={"terms": (term,), "reads": (read,)})
    run = recipe.run.model_copy(update={"phases": (phase,)})
    text = card_of(recipe.model_copy(update={"run": run})).text
    assert (
        "Teacher `t5`: the base `google/flan-t5-xl` at revision `abc` without demonstrations"
    ) in text
    settings = yaml.safe_load(re.search(r"```yaml\n(.*?)```", text, re.DOTALL)[1])
    assert settings["terms"] == [term.model_dump(mode="json")]
    assert settings["adapter"]["target_modules"] == "attention"


def taught(**changes: object) -> Taught:
    context = ContextSettings(shots=0, answers="correct", seed=0)
    return Taught.model_validate({"system": None, "context": context} | changes)


def test_agreement_with_the_prompted_model_leads_the_card_of_a_task_without_labels():
    text = card_of(make_recipe(judge="prompted")).text
    assert (
        "**Agreement with the prompted model: strict accuracy 50.0 % [25.0, 75.0], flexible "
        "accuracy 50.0 % [25.0, 75.0]**, on 3 questions"
    ) in text
    assert "Agreement with" not in card_of(make_recipe()).text


def test_the_prompt_that_was_trained_in_is_told_with_what_it_saves():
    recipe = make_recipe(taught=taught(system="Answer in one word.\n```\nNo more."))
    card = card_of(recipe, tokens_saved=96.6)
    assert "saw a system text; this checkpoint does without. That saves\n97 tokens" in card.text
    assert "\n    Answer in one word.\n    ```\n    No more.\n" in card.text
    assert ModelCard(str(card)).data.to_dict()["prompt_tokens_saved"] == 96.6


def test_of_a_long_prompt_the_card_shows_the_beginning():
    system = "\n".join(f"line {n}" for n in range(30))
    text = card_of(make_recipe(taught=taught(system=system))).text
    assert "The system text begins:" in text
    assert "    line 11\n    …\n" in text
    assert "line 12" not in text


def test_demonstrations_and_a_column_are_told_as_trained_in():
    context = ContextSettings(shots=8, answers="correct", seed=0, item="hint")
    text = card_of(make_recipe(taught=taught(system="Be brief.", context=context))).text
    assert "the teacher saw a system text, 8 demonstrations and the item's `hint`;" in text


def test_nothing_was_trained_in_where_the_teacher_saw_what_the_student_sees():
    card = card_of(make_recipe(taught=taught()))
    assert "## What was trained in" not in card.text
    assert "prompt_tokens_saved" not in str(card)


def test_without_the_checkpoints_results_there_is_no_card():
    with pytest.raises(InputError, match="layerwise, seed 1, step 2"):
        card_of(make_recipe(), step=2)


def test_the_snippet_loads_the_precision_that_the_model_was_fetched_in():
    assert make_recipe().base.dtype == "auto"
    assert ', dtype="float16")' in str(card_of(make_recipe(), dtype="float16"))


# --- draws of demonstrations ------------------------------------------------------------------


def test_a_checkpoint_of_a_draw_is_shown_beside_the_base_model_in_its_draw():
    table = summary()
    trained = table["condition"] == "layerwise"
    reached = trained | (table["condition"] == "8-shot")
    draws = [
        table.assign(
            draw=table["draw"].mask(reached, draw), accuracy_strict=0.25 + 0.125 * int(draw)
        )
        for draw in "012"
    ]
    compared = comparisons()
    compared["draw"] = compared["seed"].map(lambda seed: "all" if seed == "all" else "1")
    recipe = make_recipe().model_copy(update={"draw": 1})
    shown = pd.concat(draws).drop_duplicates(["condition", "seed", "draw"])
    card = card_of(recipe, summary=shown, comparisons=compared)
    assert card.text.strip().startswith("# layerwise on plural, seed 1, draw 1")
    assert "2 seeds × 3 draws of demonstrations" in card.text
    rows = rows_of(card)
    assert rows["base, 8 shots"][0] == rows["this checkpoint (step 4)"][0] == "37.5 [25.0, 75.0]"
    assert "mean over seeds and draws (steps 2/4)" in rows
    assert recipe.name.endswith("-seed-1-draw-1")
