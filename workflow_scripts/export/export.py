"""Makes a folder that can be put on the hub: the chosen checkpoint, its card, its results."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pandas as pd

from workflow_scripts.engines.decoding import Decoder
from workflow_scripts.export.card import Shown, model_card
from workflow_scripts.export.checkpoint import copy_checkpoint
from workflow_scripts.export.harness import answered, harness_results, harness_samples
from workflow_scripts.export.recipe import Recipe
from workflow_scripts.modeling.loading import load_tokenizer, open_model
from workflow_scripts.prompts.rendering import Renderer
from workflow_scripts.results.checkpoint_selection import chosen_step
from workflow_scripts.results.index import read_table
from workflow_scripts.runtime.errors import run_entry_point
from workflow_scripts.runtime.files import atomic_directory, write_json
from workflow_scripts.tasks.examples import read_examples


def main() -> None:
    arguments = parse_arguments()
    recipe = Recipe.model_validate_json(arguments.settings)
    model = open_model(arguments.model)
    predictions = pd.read_parquet(arguments.predictions)
    step = chosen_step(predictions)
    items = answered(
        Renderer(load_tokenizer(model), recipe.run.prompt),
        recipe.scoring.labels,
        read_examples(arguments.test),
        predictions[(predictions["split"] == "test") & (predictions["step"] == step)],
    )
    samples = harness_samples(recipe, items)
    shown = Shown(
        step=step,
        summary=read_table(arguments.summary),
        comparisons=read_table(arguments.comparisons),
        folder=arguments.output.parent,
        base_folder=model.folder,
        dtype=model.dtype,
        prompt=items[0].prompt,
        ends=Decoder.of(model).ends,
        # the harness has the time of day in place of the step
        results_file=f"results_step-{step}.json",
        samples_file=f"samples_{recipe.task}_step-{step}.jsonl",
    )
    card = model_card(recipe, shown, arguments.template)
    with atomic_directory(arguments.output.parent) as folder:
        copy_checkpoint(arguments.checkpoints, step, recipe.base, arguments.model, folder)
        write_json(folder / shown.results_file, harness_results(recipe, model, items, samples))
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in samples]
        (folder / shown.samples_file).write_text("".join(lines), encoding="utf-8")
        card.save(folder / arguments.output.name)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="Recipe as JSON")
    parser.add_argument("--template", type=Path, required=True, help="of the card")
    parser.add_argument("--model", type=Path, required=True, help="manifest of the model")
    parser.add_argument("--checkpoints", type=Path, required=True, help="manifest of the run's")
    parser.add_argument("--predictions", type=Path, required=True, help="of the run")
    parser.add_argument("--test", type=Path, required=True, help="parquet file of the split")
    parser.add_argument("--summary", type=Path, required=True, help="summary.csv of the pair")
    parser.add_argument("--comparisons", type=Path, required=True, help="comparisons.csv of it")
    parser.add_argument("--output", type=Path, required=True, help="README.md; its folder is made")
    return parser.parse_args()


if __name__ == "__main__":
    run_entry_point(main)
