"""Made-up words to copy, which teach a small model to repeat text that it has not seen.

From a few hundred examples alone it would learn to recite them; new answers need parts of the
question. Simple synthetic tasks like this one give much of the benefit of pretraining (Wu et al.
2022, 2206.10139).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

_MOST_WORDS = 2


def made_up(texts: Sequence[str], seed: int) -> Iterator[str]:
    """Endless texts of one or two words, each the start of one word of `texts` and another's end.

    Raises IndexError when `texts` contain no word.
    """
    words = sorted({word for text in texts for word in text.split()})
    generator = random.Random(seed)

    def word() -> str:
        first, second = generator.choice(words), generator.choice(words)
        beginning = first[: generator.randint(1, len(first))]
        return beginning + second[generator.randint(0, len(second)) :]

    while True:
        yield " ".join(word() for _ in range(generator.randint(1, _MOST_WORDS)))
