"""From generated tokens to a completion, in the same way for every engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from workflow_scripts.engines.protocol import Completion
from workflow_scripts.modeling.loading import load_tokenizer, read_generation_config
from workflow_scripts.prompts.formats import end_tokens

if TYPE_CHECKING:
    from transformers import GenerationConfig, PreTrainedTokenizerBase

    from workflow_scripts.modeling.loading import LocalModel


class Decoder:
    """Decodes generated tokens.

    ends: tokens that end a completion: the end of a turn in the chat template, the tokenizer's
    end token, and those of the model's generation config.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, config: GenerationConfig) -> None:
        added = config.eos_token_id
        added = added if isinstance(added, list) else [added]
        ends = [*end_tokens(tokenizer), tokenizer.eos_token_id, *added]
        self.ends: list[int] = list(dict.fromkeys(token for token in ends if token is not None))
        self._tokenizer = tokenizer

    @classmethod
    def of(cls, model: LocalModel) -> Decoder:
        """From the model's folder, without its weights."""
        return cls(load_tokenizer(model), read_generation_config(model.folder))

    def completion(self, ids: Sequence[int], stop: Sequence[str]) -> Completion:
        """The text up to the first end token or the first stop text; without either it was cut."""
        end = next((place for place, token in enumerate(ids) if token in self.ends), len(ids))
        text: str = self._tokenizer.decode(
            ids[:end], skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        finished = end < len(ids) or any(mark in text for mark in stop)
        return Completion(before_stop(text, stop), finished)


def before_stop(text: str, stop: Sequence[str]) -> str:
    """The text up to the first of the stop texts."""
    return text[: min((text.find(mark) for mark in stop if mark in text), default=len(text))]
