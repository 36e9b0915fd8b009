"""The models and checkpoints of the engines' tests."""

from tests.unit.engines.conftest import adapter, biases, local_model, whole_model

__all__ = ["adapter", "biases", "local_model", "whole_model"]
