"""One process at a time makes an output."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.lock import hold

# holds the output until its input closes
HOLD = """
import sys
from pathlib import Path
from workflow_scripts.runtime.lock import hold
hold(Path(sys.argv[1]), patience=30)
print("held", flush=True)
sys.stdin.read()
"""


def start(output: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(output)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def holder(tmp_path: Path):
    """A process that makes `checkpoints`."""
    with start(tmp_path / "checkpoints") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_another_process_is_refused_in_one_line(holder, tmp_path: Path):
    with pytest.raises(InputError, match=r"checkpoints: another process is making it"):
        hold(tmp_path / "checkpoints", patience=0.1)


def test_another_output_is_free(holder, tmp_path: Path):
    hold(tmp_path / "completions.parquet", patience=0.1)


def test_who_waits_gets_it_when_the_other_ends(holder, tmp_path: Path):
    with start(tmp_path / "checkpoints") as waiting:
        assert waiting.stdout is not None
        assert "waiting for another process" in waiting.stdout.readline()
        holder.communicate()
        assert waiting.stdout.readline() == "held\n"
        waiting.communicate()
    assert list(tmp_path.iterdir()) == []


def test_a_killed_process_holds_nothing(holder, tmp_path: Path):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with start(tmp_path / "checkpoints") as process:
        assert process.communicate()[0] == "held\n"
    assert list(tmp_path.iterdir()) == []
