"""The state from which an interrupted evaluation resumes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from workflow_scripts.config.slices import CompletionSlice, EngineSettings
from workflow_scripts.runtime.lock import hold
from workflow_scripts.runtime.resume import discard_states, fingerprint_of, open_state


@contextmanager
def state_of(
    completions: Path, settings: CompletionSlice, inputs: Sequence[Path], entry_point: str
) -> Iterator[Path]:
    """The folder from which this job resumes, removed when the block ends without error.

    No other process has it meanwhile.

    It belongs to the settings, the contents of all files that the program reads, and its code.

    completions: what the program writes; the folder lies beside it.
    entry_point: `<stage>.<program>`.
    """
    hold(completions)
    parent = completions.parent / ".completing"
    yield open_state(parent, fingerprint_of(settings.model_dump_json(), inputs, entry_point))
    discard_states(parent)


@contextmanager
def lasting_state_of(
    completions: Path, engine: EngineSettings, inputs: Sequence[Path], entry_point: str
) -> Iterator[Path]:
    """As `state_of`, of a job that answers many tasks: it stays when the block ends.

    Its journal knows each answer by its prompt, checkpoint and generation settings. So with another
    task, item or prompt the job asks only for what is new.

    inputs: what every answer depends on.
    """
    hold(completions)
    parent = completions.parent / ".completing"
    state = open_state(parent, fingerprint_of(engine.model_dump_json(), inputs, entry_point))
    yield state
    discard_states(parent, kept=state)
