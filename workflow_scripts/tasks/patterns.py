"""The patterns of questions that have a name (Mosbach et al. 2023, 2305.16938)."""

from __future__ import annotations

PATTERNS: dict[str, str] = {
    "minimal": "{premise} {hypothesis} ?",
    "gpt-3": "{premise} question: {hypothesis} Yes or No? answer:",
    "eval-harness": "{premise} \nQuestion: {hypothesis} True or False?\nAnswer:",
}
