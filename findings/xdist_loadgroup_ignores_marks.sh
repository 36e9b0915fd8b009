#!/usr/bin/env bash
# pytest-xdist: `--dist loadgroup` does nothing under pytest 9.2.
#
# Versions: pytest 9.2.0, pytest-xdist 3.8.0, Python 3.11.
#
# Expected: tests with the mark `xdist_group("one")` run in one worker.
#
# Seen: without a warning they are spread over the workers, as with `--dist load`. The plugin gives
# the scheduler a test's group by writing `item._nodeid`, an attribute that pytest 9.2's items no
# longer have, so every test is a group of its own.
#
# Output:
#   4 ran in gw0
#   4 ran in gw1
#
# Exits with status 1 when the behaviour is another.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pytest==9.2.0 pytest-xdist==3.8.0
cd "$folder"
cat > test_group.py <<'PYTHON'
import time

import pytest

pytestmark = pytest.mark.xdist_group("one")


@pytest.mark.parametrize("number", range(8))
def test_all_in_one_process(number, worker_id):
    time.sleep(0.1)
    print(f"ran in {worker_id}")
PYTHON
venv/bin/pytest -rP --numprocesses 2 --dist loadgroup test_group.py | grep -o "ran in gw[01]" | sort | uniq -c | tee workers
[ "$(wc -l < workers)" -eq 2 ]
