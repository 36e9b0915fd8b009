"""What it saves to read a prompt once for its completion and the losses of its answers.

Questions of a task at 0 shots, answered by the base model and by checkpoints of a run: first by
`generate` and `token_losses`, which read each prompt twice, then by `complete`, which reads it
once. Finished rows leave the batch in both.

Run from the project's root, after `make demo`:

    OMP_NUM_THREADS=1 python -m benchmarks.one_reading
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

from tabulate import tabulate

from workflow_scripts.config.tasks import GenerationSettings, PromptSettings
from workflow_scripts.engines.protocol import in_order
from workflow_scripts.engines.transformers_engine import TransformersEngine
from workflow_scripts.modeling.loading import load_tokenizer, open_model
from workflow_scripts.prompts.rendering import Renderer
from workflow_scripts.tasks.examples import read_examples

HEADERS = ["checkpoint", "apart (CPU s)", "one reading (CPU s)", "ratio", "largest difference"]


def main() -> None:
    arguments = parse_arguments()
    model = replace(open_model(arguments.model), dtype="float32")
    renderer = Renderer(load_tokenizer(model), PromptSettings(system="Answer."))
    examples = read_examples(arguments.examples)
    renderings = renderer.render(
        [example.question for example in examples], [str(example.answer) for example in examples]
    )
    folders = {folder.name: folder for folder in sorted(arguments.checkpoints.glob("step-*"))}
    engine = TransformersEngine(model, arguments.batch_size, folders)
    generation = GenerationSettings(max_new_tokens=12, stop=("\n",))
    prompts = [rendering.prompt_ids for rendering in renderings]
    table, sums = [], [0.0, 0.0]
    for name in [None, *folders]:
        names = [name] * len(prompts)
        begin = time.process_time()
        texts = in_order(engine.generate(prompts, generation, names))
        losses = in_order(engine.token_losses(renderings, names))
        between = time.process_time()
        found = in_order(engine.complete([[one] for one in renderings], generation, names))
        seconds = between - begin, time.process_time() - between
        if texts != [one.completion for one in found]:
            raise SystemExit(f"{name}: completions differ")
        difference = max(
            abs(mine - own)
            for one, plain in zip(found, losses, strict=True)
            for mine, own in zip(one.losses[0], plain, strict=True)
        )
        table.append([name or "base model", *seconds, seconds[1] / seconds[0], difference])
        sums = [total + part for total, part in zip(sums, seconds, strict=True)]
    table.append(["all", *sums, sums[1] / sums[0], None])
    print(tabulate(table, HEADERS, tablefmt="github", floatfmt=("", ".1f", ".1f", ".2f", ".0e")))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0] if __doc__ else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    demo = Path("results/demo")
    parser.add_argument(
        "--model", type=Path, default=Path("resources/models/smollm2-135m/manifest.json")
    )
    parser.add_argument("--examples", type=Path, default=demo / "tasks/plural/test.parquet")
    parser.add_argument(
        "--checkpoints",
        type=Path,
        default=demo / "smollm2-135m/plural/runs/sft/seed-0/checkpoints",
    )
    parser.add_argument("--batch-size", type=int, default=64)
    return parser.parse_args()


if __name__ == "__main__":
    main()
