"""A sample of `python -m benchmarks.faults servers`: every fault ends well, and soon."""

from __future__ import annotations

from benchmarks.faults import servers


def test_faults_of_servers_end_in_right_answers_or_one_line():
    counts = servers.run(40, seed=0)
    assert counts.faults == []
    assert counts.tried == counts.refused + counts.same == 40
    assert counts.refused > 5
    assert counts.same > 5
