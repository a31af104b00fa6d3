"""What recurrent layers share: their weights, layer on layer in one direction or two, and packed sequences."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from itertools import groupby
from typing import Any

from ..ops.memory import empty, zeros
from ..ops.shape import concat, stack
from ..tensor import Tensor
from . import functional as F
from .module import Module
from .parameter import Parameter
from .recurrent_cells import check_sizes, check_tensor, draw
from .utils.rnn import PackedSequence

__all__ = ["Recurrent", "State", "last_state"]

State = tuple[Tensor, ...]
"""The hidden state, and for an LSTM the cell state."""

Direction = Callable[[Tensor, State, str, bool], tuple[Tensor, State]]
"""One direction of a layer: of input, first state, how its weights' names end and whether it is the reverse one."""


def last_state(y: Tensor, batch_first: bool, reverse: bool) -> Tensor:
    """The hidden state after the step that was taken last, from those after all steps."""
    at = 0 if reverse else -1
    return y[:, at] if batch_first else y[at]


def _axis_names(batch_first: bool) -> str:
    return "N, T" if batch_first else "T, N"


class Recurrent(Module):
    """Layers of recurrent networks, in one direction or two, each over the whole output of the layer below."""

    gates: int

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        proj_size: int,
        device: Any,
        dtype: Any,
    ) -> None:
        name = type(self).__name__
        check_sizes(name, input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        for option, given in (("bias", bias), ("batch_first", batch_first)):
            if not isinstance(given, bool):
                raise TypeError(f"{name}: {option} must be a bool, got {type(given).__name__}")
        if isinstance(dropout, bool) or not 0 <= dropout <= 1:
            raise ValueError(f"{name}: dropout must be a probability between 0 and 1, got {dropout}")
        if dropout and num_layers == 1:
            warnings.warn(
                f"{name}: dropout={dropout} comes after every layer but the last, and there is only one",
                stacklevel=3,
            )
        if not 0 <= proj_size < hidden_size:
            raise ValueError(f"{name}: proj_size must be between 0 and hidden_size - 1, got {proj_size}")
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        rows, out = self.gates * hidden_size, proj_size or hidden_size
        for layer in range(num_layers):
            width = input_size if layer == 0 else out * (1 + bidirectional)
            for end in self._ends(layer):
                shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, width), "weight_hh": (rows, out)}
                if bias:
                    shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
                if proj_size:
                    shapes["weight_hr"] = (proj_size, hidden_size)
                for what, shape in shapes.items():
                    self.register_parameter(what + end, Parameter(empty(shape, device=device, dtype=dtype)))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all weights and biases anew."""
        draw(self.parameters(), self.hidden_size)

    def flatten_parameters(self) -> None:
        """Nothing: weights need not lie one behind the other here, as they must for some kernels of PyTorch."""

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters of each direction of each layer, in the order in which they were made."""
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
        ends = [end for layer in range(self.num_layers) for end in self._ends(layer)]
        found = [[self._parameters.get(name + end) for name in names] for end in ends]
        return [[p for p in row if p is not None] for row in found]

    def _ends(self, layer: int) -> list[str]:
        """How the names of a layer's parameters end, one per direction."""
        return [f"_l{layer}", f"_l{layer}_reverse"] if self.bidirectional else [f"_l{layer}"]

    def _weights(self, end: str) -> tuple[Any, Any, Any, Any]:
        """Weights of the input and of the state, and their biases or None, of one direction of a layer."""
        weight_ih, weight_hh = getattr(self, "weight_ih" + end), getattr(self, "weight_hh" + end)
        return weight_ih, weight_hh, self._parameters.get("bias_ih" + end), self._parameters.get("bias_hh" + end)

    def _sequence(self, x: Tensor, state: State, end: str, batch_first: bool, reverse: bool) -> tuple[Tensor, State]:
        """One direction of a layer over a sequence: the outputs and the last state."""
        raise NotImplementedError

    # ------------------------------------------------------------------------------------------------------ all layers
    def _run(self, input: Any, given: tuple[Tensor | None, ...]) -> tuple[Any, State]:
        """All layers: the outputs of the last one, and the last states of all of them."""
        if isinstance(input, PackedSequence):
            return self._run_packed(input, given)
        name = type(self).__name__
        check_tensor(name, "input", input)
        if input.ndim not in (2, 3) or input.shape[-1] != self.input_size:
            raise ValueError(
                f"{name}: expected an input of shape ({_axis_names(self.batch_first)}, {self.input_size}), or "
                f"(T, {self.input_size}) without a batch, got {input.shape}"
            )
        single = input.ndim == 2
        batch_first = self.batch_first and not single
        x = input.expand_dims(1) if single else input
        if not x.shape[1 if batch_first else 0]:
            raise ValueError(f"{name}: the sequence must have at least one step, got an input of shape {input.shape}")
        firsts = self._firsts(given, x, x.shape[0 if batch_first else 1], single)

        def direction(x: Tensor, state: State, end: str, reverse: bool) -> tuple[Tensor, State]:
            return self._sequence(x, state, end, batch_first, reverse)

        y, states = self._layers(x, firsts, direction)
        return (y[:, 0], tuple(state[:, 0] for state in states)) if single else (y, states)

    def _layers(self, x: Tensor, firsts: list[Tensor], direction: Direction) -> tuple[Tensor, State]:
        lasts: list[State] = []
        for layer in range(self.num_layers):
            if layer:
                x = F.dropout(x, self.dropout, self.training)
            found = []
            for reverse, end in enumerate(self._ends(layer)):
                y, state = direction(x, tuple(first[len(lasts)] for first in firsts), end, bool(reverse))
                found.append(y)
                lasts.append(state)
            x = found[0] if len(found) == 1 else concat(found, axis=-1)
        if len(lasts) == 1:
            return x, tuple(state.expand_dims(0) for state in lasts[0])
        return x, tuple(stack(parts) for parts in zip(*lasts, strict=True))

    def _firsts(self, given: tuple[Tensor | None, ...], x: Tensor, batch: int, single: bool) -> list[Tensor]:
        """The first states as (layers * directions, N, size): those given, or zeros."""
        name, directions = type(self).__name__, self.num_layers * (1 + self.bidirectional)
        sizes = (self.proj_size or self.hidden_size, self.hidden_size)
        firsts = []
        for hx, what, size in zip(given, ("h_0", "c_0"), sizes, strict=False):
            if hx is None:
                firsts.append(zeros(directions, batch, size, dtype=x.dtype, device=x.device))
                continue
            check_tensor(name, what, hx)
            wanted = (directions, size) if single else (directions, batch, size)
            if hx.shape != wanted:
                raise ValueError(
                    f"{name}: an input of shape {x.shape[:1] + x.shape[2:] if single else x.shape} needs {what} of "
                    f"shape {wanted} (layers * directions, {'' if single else 'N, '}size), got {hx.shape}"
                )
            firsts.append(hx.expand_dims(1) if single else hx)
        return firsts

    # ------------------------------------------------------------------------------------------------ packed sequences
    def _run_packed(self, input: PackedSequence, given: tuple[Tensor | None, ...]) -> tuple[PackedSequence, State]:
        data, sizes = input.data, input.batch_sizes.tolist()
        if data.ndim != 2 or data.shape[1] != self.input_size:
            raise ValueError(
                f"{type(self).__name__}: expected packed data of shape (steps of all sequences, {self.input_size}), "
                f"got {data.shape}"
            )
        runs = [(count, len(list(group))) for count, group in groupby(sizes)]
        firsts = self._firsts(given, data, sizes[0], False)
        if input.sorted_indices is not None:
            firsts = [first.take(input.sorted_indices, axis=1) for first in firsts]

        def direction(x: Tensor, state: State, end: str, reverse: bool) -> tuple[Tensor, State]:
            return self._packed_direction(x, runs, state, end, reverse)

        y, states = self._layers(data, firsts, direction)
        if input.unsorted_indices is not None:
            states = tuple(state.take(input.unsorted_indices, axis=1) for state in states)
        return input._with(y), states

    def _packed_direction(
        self, data: Tensor, runs: list[tuple[int, int]], first: State, end: str, reverse: bool
    ) -> tuple[Tensor, State]:
        """`_sequence` for each run of steps that the same sequences take part in.

        ``runs`` are pairs, how many sequences and how many steps. A sequence that ends leaves with its last state; in
        reverse, it joins with its first.
        """
        parts, start = [], 0
        for count, steps in runs:
            parts.append(data[start : start + count * steps].reshape(steps, count, data.shape[1]))
            start += count * steps
        outputs: list[Tensor] = []
        ended: list[State] = []
        state = tuple(s[: runs[-1 if reverse else 0][0]] for s in first)
        for x in reversed(parts) if reverse else parts:
            count, before = x.shape[1], state[0].shape[0]
            if count > before:
                state = tuple(concat([s, f[before:count]]) for s, f in zip(state, first, strict=True))
            elif count < before:
                ended.append(tuple(s[count:] for s in state))
                state = tuple(s[:count] for s in state)
            y, state = self._sequence(x, state, end, False, reverse)
            outputs.append(y.reshape(-1, y.shape[2]))
        last = tuple(concat(list(group)) for group in zip(state, *reversed(ended), strict=True))
        return concat(outputs[::-1] if reverse else outputs), last

    def extra_repr(self) -> str:
        shown = {
            "proj_size": 0,
            "num_layers": 1,
            "bias": True,
            "batch_first": False,
            "dropout": 0.0,
            "bidirectional": False,
        }
        given = [f", {k}={getattr(self, k)}" for k, default in shown.items() if getattr(self, k) != default]
        return f"{self.input_size}, {self.hidden_size}" + "".join(given)
