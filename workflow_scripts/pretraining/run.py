"""Pretraining: from examples of tasks to a model folder."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, cycle, islice
from pathlib import Path

import torch
from torch.utils.data import IterableDataset
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerFast,
    PrinterCallback,
    Trainer,
    TrainingArguments,
    set_seed,
)

from workflow_scripts.config.models import ScratchSettings
from workflow_scripts.config.slices import PretrainingSlice
from workflow_scripts.config.tasks import PromptSettings
from workflow_scripts.modeling.loading import quiet_transformers
from workflow_scripts.models.description import describe
from workflow_scripts.models.precision import settled
from workflow_scripts.pretraining.copies import made_up
from workflow_scripts.pretraining.kinds import KINDS, Kind
from workflow_scripts.prompts.rendering import RENDERERS, Renderer, Rendering, refuse_too_long
from workflow_scripts.runtime.files import atomic_directory, write_json
from workflow_scripts.runtime.progress import TellProgress
from workflow_scripts.tasks.examples import Example

# made-up texts rendered at once
_BLOCK = 8
_PROGRESS_LINES = 50


def pretrain(
    settings: PretrainingSlice, examples: Mapping[str, Sequence[Example]], folder: Path
) -> None:
    """Writes the model folder with its manifest; it appears whole or not at all.

    The tokenizer is trained on the examples in their prompts. The model learns to answer them
    without demonstrations: half of each step's examples come from the tasks, the other half are
    made-up words to repeat. It trains in float32.

    examples: of each task.
    Raises InputError when the vocabulary is too small or an example does not fit the context.
    """
    scratch = settings.model.scratch
    assert scratch is not None
    kind = KINDS[settings.model.source]
    texts = [
        text
        for task, prompt in settings.prompts.items()
        for example in examples[task]
        for text in _texts(prompt, example)
    ]
    tokenizer = kind.tokenizer(texts, scratch.vocabulary)
    renderer_of = RENDERERS[settings.model.architecture]
    renderers = {task: renderer_of(tokenizer, prompt) for task, prompt in settings.prompts.items()}
    renderings = [
        rendering
        for task, renderer in renderers.items()
        for rendering in _rendered(renderer, examples[task], scratch.context)
    ]
    lessons = Lessons(renderings, list(renderers.values()), texts, scratch.seed)
    source = settled(settings.model)
    with atomic_directory(folder, checksum=False) as partial:
        model = _trained(kind, scratch, tokenizer, lessons)
        with quiet_transformers():
            model.to(getattr(torch, source.dtype)).save_pretrained(partial)
            tokenizer.save_pretrained(partial)
        write_json(partial / "manifest.json", describe(source, partial))


class Lessons(IterableDataset[Rendering]):
    """Endless: an example of the tasks, in random order, and a text to copy, by turns.

    tasks: renderings of their examples. renderers: of the tasks, used in turn for copies.
    texts: their words make up the copies. seed: determines the order and the copies.
    """

    def __init__(
        self,
        tasks: Sequence[Rendering],
        renderers: Sequence[Renderer],
        texts: Sequence[str],
        seed: int,
    ) -> None:
        self._tasks = tasks
        self._renderers = renderers
        self._texts = texts
        self._seed = seed

    def __iter__(self) -> Iterator[Rendering]:
        return chain.from_iterable(zip(self._shuffled(), self._copies(), strict=True))

    def _shuffled(self) -> Iterator[Rendering]:
        generator = random.Random(self._seed)
        while True:
            yield from generator.sample(self._tasks, len(self._tasks))

    def _copies(self) -> Iterator[Rendering]:
        texts = made_up(self._texts, self._seed)
        for renderer in cycle(self._renderers):
            block = list(islice(texts, _BLOCK))
            yield from renderer.render(block, block)


def _texts(prompt: PromptSettings, example: Example) -> list[str]:
    """Texts for training a tokenizer: the prompt, and the answer with its leading space."""
    question = prompt.plain_question.replace("{question}", example.question)
    return [
        *filter(None, [prompt.system]),
        question + prompt.plain_answer,
        f" {example.required_answer}",
    ]


def _rendered(renderer: Renderer, examples: Sequence[Example], context: int) -> list[Rendering]:
    renderings = renderer.render(
        [example.question for example in examples],
        [example.required_answer for example in examples],
    )
    refuse_too_long(renderings, [example.item for example in examples], context)
    return renderings


def _trained(
    kind: Kind, scratch: ScratchSettings, tokenizer: PreTrainedTokenizerFast, lessons: Lessons
) -> PreTrainedModel:
    set_seed(scratch.seed)
    model = kind.model(scratch, tokenizer)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model=model,
            args=_arguments(scratch, folder),
            train_dataset=lessons,
            data_collator=kind.batch,
            callbacks=[TellProgress()],
        )
        trainer.remove_callback(PrinterCallback)
        with quiet_transformers():
            trainer.train()
    return model


def _arguments(scratch: ScratchSettings, folder: str) -> TrainingArguments:
    return TrainingArguments(
        output_dir=folder,
        max_steps=scratch.steps,
        per_device_train_batch_size=scratch.batch_size,
        learning_rate=scratch.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=0.05,
        adam_beta2=0.98,
        weight_decay=0.0,
        max_grad_norm=1.0,
        save_strategy="no",
        logging_steps=max(1, scratch.steps // _PROGRESS_LINES),
        report_to="none",
        remove_unused_columns=False,
        disable_tqdm=True,
        use_cpu=not torch.cuda.is_available(),
        dataloader_pin_memory=torch.cuda.is_available(),
        seed=scratch.seed,
    )
