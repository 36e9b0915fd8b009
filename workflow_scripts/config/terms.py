"""`conditions.<condition>.terms`: the terms of an objective.

A term's `wording` is a Jinja template of what the student is trained towards, for the report. It
takes the fields of the term, with `site`, `position` and `layers` as phrases, and `answer`, the one
that it is trained on: "the correct answer", or "the answer" where it is generated.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field

from workflow_scripts.config.base import EachOnce, Name, Position, Site, Strict

Weight = Annotated[float, Field(ge=0, description="λ: the term's factor in the loss.")]
Reduction = Literal["sum", "mean"]
Layers = (
    Literal["all", "early", "middle", "late"]
    | Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1), EachOnce]
)


class GoldTerm(Strict):
    """A term on the answer that is trained on; reads no target of a teacher."""

    objective: str
    weight: Weight = 1.0


class CrossEntropyTerm(GoldTerm):
    """Cross-entropy on the answer's tokens: their mean, then the mean over examples."""

    objective: Literal["cross_entropy"]
    wording: ClassVar[str] = "cross-entropy of {{ answer }}"


class LabelTerm(Strict):
    """A term on the labels of a choice task."""

    objective: str


class StatesTerm(Strict):
    """A term that reads hidden states."""

    objective: str
    weight: Weight
    site: Site
    layers: Layers
    position: Position
    normalize: bool
    reduction: Reduction = Field(
        description="`sum` or `mean` over layers and width; then the mean over positions and over "
        "examples."
    )


class HiddenTerm(StatesTerm):
    """Squared distance between student and teacher hidden states."""

    objective: Literal["hidden"]
    wording: ClassVar[str] = (
        "squared distance to the teacher's {% if normalize %}unit-length {% endif %}hidden states "
        "{{ site }}, {{ layers }}, {{ position }} ({{ reduction }})"
    )
    normalize: bool = Field(description="Scale each state to unit length first.")


class DeltaHiddenTerm(StatesTerm):
    """Squared distance between the student's and the teacher's shift of the hidden states.

    A shift is the difference to the states of the reference, the model without context.
    """

    objective: Literal["delta_hidden"]
    wording: ClassVar[str] = (
        "squared distance to the shift of hidden states that the teacher's context makes "
        "{{ site }}, {{ layers }}, {{ position }}"
        "{% if normalize %}, in units of that shift{% endif %} ({{ reduction }})"
    )
    reference: Name = Field(
        description="A teacher with zero shots, whose states both shifts start from."
    )
    normalize: bool = Field(description="Divide by the length of the teacher's shift.")


class DivergenceTerm(Strict):
    """A divergence over the teacher's top k and one bucket for the rest."""

    objective: str
    weight: Weight
    position: Position
    temperature: float = Field(gt=0)
    top_k: int = Field(ge=1)
    reduction: Reduction = Field(
        description="Over an example's positions; then the mean over examples."
    )


class LogitKLTerm(DivergenceTerm):
    """T²·KL(teacher ‖ student) over the teacher's top k and one bucket for the rest."""

    objective: Literal["logit_kl"]
    wording: ClassVar[str] = (
        "KL divergence from the teacher's {{ top_k }} likeliest tokens {{ position }}, "
        "temperature {{ '%g' % temperature }}"
    )


class LogitReverseKLTerm(DivergenceTerm):
    """T²·KL(student ‖ teacher) over the teacher's top k and one bucket for the rest.

    The student is charged for tokens that the teacher would not write, not for those that it leaves
    out.
    """

    objective: Literal["logit_reverse_kl"]
    wording: ClassVar[str] = (
        "reverse KL divergence to the teacher's {{ top_k }} likeliest tokens {{ position }}, "
        "temperature {{ '%g' % temperature }}"
    )


class LogitJSDTerm(DivergenceTerm):
    """T² times the generalised Jensen-Shannon divergence of teacher and student.

    Over the teacher's top k and one bucket for the rest (Agarwal et al. 2024).
    """

    objective: Literal["logit_jsd"]
    wording: ClassVar[str] = (
        "Jensen-Shannon divergence (β = {{ '%g' % beta }}) from the teacher's {{ top_k }} "
        "likeliest tokens {{ position }}, temperature {{ '%g' % temperature }}"
    )
    beta: float = Field(
        0.5,
        gt=0,
        lt=1,
        description="The teacher's share of the mixture that both are compared with, and the "
        "weight of its KL. Towards 0 it acts as forward KL, towards 1 as reverse KL.",
    )


class LogitMSETerm(Strict):
    """Squared distance between student and teacher logits on the teacher's top k tokens."""

    objective: Literal["logit_mse"]
    wording: ClassVar[str] = (
        "squared distance to the logits of the teacher's {{ top_k }} likeliest tokens "
        "{{ position }}"
    )
    weight: Weight
    position: Position
    top_k: int = Field(ge=1)
    reduction: Reduction = Field(
        description="Over the k tokens of a position; then the mean over positions and examples."
    )


class LabelCrossEntropyTerm(GoldTerm, LabelTerm):
    """Cross-entropy of the answer's label among the labels of a choice task."""

    objective: Literal["label_cross_entropy"]
    wording: ClassVar[str] = (
        "cross-entropy of {{ answer | replace('answer', 'label') }} among the labels"
    )


class LabelKLTerm(LabelTerm):
    """T²·KL(teacher ‖ student) over the labels of a choice task."""

    objective: Literal["label_kl"]
    wording: ClassVar[str] = (
        "KL divergence from the teacher's probabilities of the labels"
        "{% if temperature != 1 %}, temperature {{ '%g' % temperature }}{% endif %}"
    )
    weight: Weight
    temperature: float = Field(1.0, gt=0)


class ULDTerm(Strict):
    """Distance of sorted probabilities, for a teacher with another tokenizer (Boizard et al. 2024).

    The mean over compared positions, then over examples.
    """

    objective: Literal["uld"]
    wording: ClassVar[str] = (
        "distance to the teacher's {% if top_k != 'all' %}{{ top_k }} largest {% endif %}"
        "probabilities sorted by size (ULD) at tokens of the answer "
        "{% if alignment == 'index' %}with the same number"
        "{% else %}before which both have read the same text{% endif %}"
        "{% if temperature != 1 %}, temperature {{ '%g' % temperature }}{% endif %}"
    )
    weight: Weight
    temperature: float = Field(1.0, gt=0)
    top_k: Annotated[int, Field(ge=1)] | Literal["all"] = Field(
        "all",
        description="Number of the teacher's largest logits to keep; the rest of its probability "
        "is spread evenly over its other tokens.",
    )
    alignment: Literal["index", "text"] = Field(
        "index",
        description="Which positions of the two answers are compared. `index`: the t-th with the "
        "t-th, as published. `text`: positions before which both have read the same text.",
    )


Term = Annotated[
    CrossEntropyTerm
    | HiddenTerm
    | DeltaHiddenTerm
    | LogitKLTerm
    | LogitReverseKLTerm
    | LogitJSDTerm
    | LogitMSETerm
    | LabelCrossEntropyTerm
    | LabelKLTerm
    | ULDTerm,
    Field(discriminator="objective"),
]


def objectives_of(base: type[Strict]) -> tuple[str, ...]:
    """Objectives whose settings derive from this class."""
    classes = [cls for cls in get_args(get_args(Term)[0]) if issubclass(cls, base)]
    return tuple(get_args(cls.model_fields["objective"].annotation)[0] for cls in classes)
