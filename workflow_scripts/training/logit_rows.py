"""A student's logits at some positions, which exist only while they are read."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from workflow_scripts.modeling.language_head import LanguageHead

# Logits of a tile: 128 MB as float32. Each tile reads the whole head, so with tiles of 32 MB the
# step of a small model takes 1.35 times as long on a CPU.
ELEMENTS = 2**25
# Positions of a tile where the head is trained: every tile adds to a gradient as large as the head.
TRAINED_POSITIONS = 512


@dataclass(frozen=True)
class LogitRows:
    """The student's logits at some positions, computed when they are read.

    hidden: (positions, width), what the head reads; logits themselves where there is no head.
    vocabulary: length of a row of logits.
    """

    hidden: Tensor
    head: LanguageHead
    vocabulary: int

    @classmethod
    def of(cls, logits: Tensor) -> LogitRows:
        """Logits that exist already: (positions, vocabulary)."""
        return cls(logits, LanguageHead(nn.Identity(), (), None), logits.shape[-1])

    def tiles(self) -> list[slice]:
        """The positions in runs whose logits exist at once."""
        size = max(1, ELEMENTS // self.vocabulary)
        if self.head.trained:
            size = max(size, TRAINED_POSITIONS)
        return [slice(start, start + size) for start in range(0, len(self.hidden), size)]
