"""Which pass of its teacher reads each target.

One pass reads all targets of a teacher that a study needs. What a job makes again, Snakemake makes
again with all that follows, so a target that is added to a finished study is read by a pass of its
own: the others stay as they are, and so do the runs that read them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from functools import cached_property
from itertools import count
from pathlib import Path

from workflow_scripts.config.teachers import TargetSettings
from workflow_scripts.study.results import PlannedTarget, TargetShard
from workflow_scripts.study.supervision import Supervision
from workflow_scripts.teachers.passes import recorded_passes


class Passes:
    """The passes of each teacher, and the shards that they make.

    Nothing on disk is looked at before `look_below`.
    """

    def __init__(self, supervision: Supervision) -> None:
        self.supervision = supervision
        self._prefix: str | None = None

    def look_below(self, prefix: str) -> None:
        """Keep targets in the passes that read them before.

        prefix: what stands before the planned paths, where another workflow imports this one.
        """
        self._prefix = prefix

    def targets_of_pass(
        self, model: str, task: str, data: str, teacher: str, draw: int, number: int
    ) -> list[TargetSettings]:
        """What a pass reads."""
        targets = self.supervision.targets_in(model, task, data, teacher, draw)
        return [planned.target for planned in targets if self._number(planned) == number]

    def shards_of(self, target: PlannedTarget) -> list[TargetShard]:
        number = self._number(target)
        return [
            TargetShard(target.layout, target.model, target.task, target, number, shard)
            for shard in self.supervision.shards_of(target)
        ]

    def all_shards_of(self, model: str, task: str) -> list[TargetShard]:
        """Shards of the targets in this model's folder."""
        targets = self.supervision.targets_of(model, task)
        return [shard for target in targets for shard in self.shards_of(target)]

    def described_shards_of(self, model: str, task: str) -> list[TargetShard]:
        """The same without those of single rounds of students."""
        targets = self.supervision.described_targets_of(model, task)
        return [shard for target in targets for shard in self.shards_of(target)]

    def _number(self, target: PlannedTarget) -> int:
        """Of the pass that reads it."""
        return self._numbers[target.folder][target.name]

    @cached_property
    def _numbers(self) -> dict[str, dict[str, int]]:
        """Folder of a teacher → name of a target → number of its pass."""
        return {
            folder: divided([target.name for target in targets], self._recorded(folder))
            for folder, targets in self.supervision.by_folder.items()
        }

    def _recorded(self, folder: str) -> dict[int, frozenset[str]]:
        return {} if self._prefix is None else recorded_passes(Path(self._prefix + folder))


def divided(names: Sequence[str], recorded: Mapping[int, Set[str]]) -> dict[str, int]:
    """Name of a target of one teacher → number of the pass that reads it.

    Those that no pass has read share a new one. A job that asks while passes are under way gets the
    same answer: a record appears with the first shard of its pass and then stays.

    recorded: number of a pass → names of the targets that it has read.
    """
    new = next(number for number in count() if number not in recorded)
    return {
        name: min((number for number, held in recorded.items() if name in held), default=new)
        for name in names
    }
