"""The real data of the tests of tasks."""

from tests.unit.tasks.conftest import real_data

__all__ = ["real_data"]
