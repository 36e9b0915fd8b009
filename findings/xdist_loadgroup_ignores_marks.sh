#!/usr/bin/env bash
# pytest-xdist 3.8.0: `--dist loadgroup` does nothing under pytest 9.2, and says nothing.
#
# It tells the scheduler a test's group by writing `item._nodeid`, an attribute that pytest 9.2's nodes
# no longer have, so every test is a group of its own.
#
# Exit status: 0 when it is as described, 1 when it is not any more.
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
