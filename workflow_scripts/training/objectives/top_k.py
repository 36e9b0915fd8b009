"""Teacher and student over the teacher's top k tokens, with everything else as one bucket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workflow_scripts.teachers.targets import TopK

if TYPE_CHECKING:
    from torch import Tensor

# Logits of 8 to 16 and their logsumexp are kept with an error of up to 5e-7 each, so the mass that
# the top k leave is known to about this.
RESOLUTION = 1e-6


@dataclass(frozen=True)
class Outcomes:
    """Two distributions over the same outcomes, as float32.

    log_p, log_q: (positions, k), the teacher's and the student's log-probabilities of the teacher's
        top k.
    p_tail, log_q_tail: (positions,), of all other tokens; None where the top k are all.
    """

    log_p: Tensor
    log_q: Tensor
    p_tail: Tensor | None
    log_q_tail: Tensor | None

    @property
    def joined(self) -> tuple[Tensor, Tensor]:
        """Log-probabilities of teacher and student with the bucket as the last outcome.

        The teacher's bucket counts as at least `RESOLUTION`, so that its logarithm is finite.
        """
        import torch

        if self.p_tail is None or self.log_q_tail is None:
            return self.log_p, self.log_q
        log_p_tail = self.p_tail.clamp(min=RESOLUTION).log()
        return (
            torch.cat([self.log_p, log_p_tail[:, None]], -1),
            torch.cat([self.log_q, self.log_q_tail[:, None]], -1),
        )


def outcomes_of(student_logits: Tensor, teacher: TopK, temperature: float) -> Outcomes:
    """Both distributions at a temperature, with exact tails.

    student_logits: (positions, vocabulary), any float dtype, computed in float32.
    Raises ValueError when the teacher's logsumexp was taken at another temperature.
    """
    import torch

    from workflow_scripts.training.objectives.split_logsumexp import split_logsumexp

    if teacher.temperature != temperature:
        raise ValueError(f"the target holds T = {teacher.temperature:g}, not {temperature:g}")
    log_p = teacher.values.float() / temperature - teacher.logsumexp.float()[:, None]
    if teacher.indices.shape[-1] == student_logits.shape[-1]:
        log_q = (student_logits.float() / temperature).log_softmax(-1).gather(-1, teacher.indices)
        return Outcomes(log_p, log_q, None, None)
    kept, rest = split_logsumexp(student_logits, teacher.indices, temperature)
    normaliser = torch.logaddexp(kept.logsumexp(-1), rest)
    return Outcomes(
        log_p,
        kept - normaliser[:, None],
        # the clamp takes up rounding where the top k holds all the mass
        p_tail=-log_p.logsumexp(-1).clamp(max=0).expm1(),
        log_q_tail=rest - normaliser,
    )
