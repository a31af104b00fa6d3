"""Training steps of the suite's models, captured and not."""

from __future__ import annotations

import pytest

from .models import MODELS, run, same_everywhere


@pytest.mark.parametrize("name", MODELS)
def test_training(name, device):
    """Four steps leave the same losses, parameters, gradients, statistics, optimizer states and random stream."""
    trained = MODELS[name]
    same_everywhere(run(trained, device, False), run(trained, device, True))
