"""Makes a folder that can be put on the hub: the chosen checkpoint, its card, its results."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from workflow_scripts.engines.decoding import Decoder
from workflow_scripts.export.card import Shown, model_card
from workflow_scripts.export.checkpoint import copy_checkpoint
from workflow_scripts.export.harness import answered, harness_results, harness_samples
from workflow_scripts.export.inspect_log import write_inspect_log
from workflow_scripts.export.recipe import Recipe
from workflow_scripts.export.tokens_saved import tokens_saved
from workflow_scripts.modeling.loading import load_tokenizer, open_model
from workflow_scripts.prompts.rendering import Renderer
from workflow_scripts.results.checkpoint_selection import chosen_step
from workflow_scripts.results.index import read_table
from workflow_scripts.runtime.checksums import checked
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.runtime.files import atomic_directory, write_json
from workflow_scripts.tasks.examples import read_examples


def main(
    settings: Recipe,
    template: Path,
    model: Path,
    checkpoints: Path,
    predictions: Path,
    test: Path,
    demonstrations: Path,
    summary: Path,
    comparisons: Path,
    card: Path,
) -> None:
    """Make a folder for the hub: the chosen checkpoint, its card, its results.

    template: of the card.
    checkpoints, predictions: of the run.
    demonstrations: the reserved pool.
    summary, comparisons: tables of the model on the task.
    card: README.md; its folder is made.
    """
    opened = open_model(model)
    predicted = pd.read_parquet(checked(predictions))
    step = chosen_step(predicted)
    examples = read_examples(test)
    student = Renderer(load_tokenizer(opened), settings.run.prompt)
    items = answered(
        student,
        settings.scoring.labels,
        examples,
        predicted[(predicted["split"] == "test") & (predicted["step"] == step)],
    )
    samples = harness_samples(settings, items)
    shown = Shown(
        step=step,
        summary=read_table(summary),
        comparisons=read_table(comparisons),
        folder=card.parent,
        base_folder=opened.folder,
        dtype=opened.dtype,
        prompt=items[0].prompt,
        tokens_saved=tokens_saved(
            student, settings.run.prompt, settings.taught, examples, read_examples(demonstrations)
        )
        if settings.taught is not None
        else 0.0,
        ends=Decoder.of(opened).ends,
        # the harness has the time of day in place of the step
        results_file=f"results_step-{step}.json",
        samples_file=f"samples_{settings.task}_step-{step}.jsonl",
        inspect_file=f"inspect_step-{step}.eval",
    )
    content = model_card(settings, shown, template)
    with atomic_directory(card.parent, checksum=False) as folder:
        copy_checkpoint(checkpoints, step, settings.base, model, folder)
        write_json(
            folder / shown.results_file,
            harness_results(settings, opened, items, samples),
            checksum=False,
        )
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in samples]
        (folder / shown.samples_file).write_text("".join(lines), encoding="utf-8")
        write_inspect_log(folder / shown.inspect_file, settings, items)
        content.save(folder / card.name)


if __name__ == "__main__":
    run_program(main)
