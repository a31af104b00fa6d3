"""What is timed. To add a network: a `Network` in the file of its family, in that file's ``NETWORKS``."""

from __future__ import annotations

from . import convolution, elementwise, mlp, recurrent, transformer
from .workload import Task, Workload

__all__ = ["WORKLOADS", "Task", "Workload"]

_NETWORKS = mlp.NETWORKS | convolution.NETWORKS | recurrent.NETWORKS | transformer.NETWORKS
_MADE = {name: network.workloads(name) for name, network in _NETWORKS.items()}

WORKLOADS: dict[str, Workload] = (
    {name: made[name] for name, made in _MADE.items()}
    | elementwise.WORKLOADS
    | {f"{name}-inference": made[f"{name}-inference"] for name, made in _MADE.items()}
)
"""By the name that ``--workload`` takes: training first, then inference."""
