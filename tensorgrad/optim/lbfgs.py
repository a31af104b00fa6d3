"""L-BFGS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from .. import kernels as K
from ..backend import real_pairs
from ..conversion import as_array
from ..ops.complex_parts import view_as_real
from ..ops.product import vecdot
from ..ops.shape import concat
from ..tape import enable_grad, no_grad
from ..tensor import Tensor
from .elementwise import add_scaled
from .line_search import Point, strong_wolfe
from .optimizer import Group, Optimizer, zeros_like

__all__ = ["LBFGS"]

_VECTORS = ("d", "old_dirs", "old_stps", "prev_flat_grad")


class LBFGS(Optimizer):
    r"""Steps along an estimate of the inverse Hessian times the gradient, made from the last steps.

    With the changes s of the parameters and y of the gradient in the last ``history_size`` iterations, the direction is
    ``-H g``, where H begins as ``s.y / y.y`` of the last one and is corrected by all of them, so that ``H y = s``. One
    call of `step` does up to ``max_iter`` iterations, for which it calls its closure again and again.

    Parameters
    ----------
    params : iterable
        Tensors, or pairs of name and tensor, of one dtype and device; only one group.
    lr : float or Tensor
        The step, or the one at which the line search begins; the first of all is at most ``lr / sum(abs(g))``.
    max_iter : int
        Iterations per call.
    max_eval : int, optional
        Evaluations of the closure per call; ``max_iter * 5 // 4`` unless given.
    tolerance_grad : float
        Done when no element of the gradient is larger.
    tolerance_change : float
        Done when no parameter, or the loss, changes by more, or the slope is not more negative.
    history_size : int
        How many steps to keep, each with two vectors as large as the parameters.
    line_search_fn : {"strong_wolfe"}, optional
        Look for a step that fulfils the strong Wolfe conditions.

    Raises
    ------
    ValueError
        If an option is out of its range, there is more than one group, or parameters differ in dtype or device.

    Notes
    -----
    Nocedal, Updating Quasi-Newton Matrices with Limited Storage, 1980; Liu and Nocedal, On the limited memory BFGS
    method for large scale optimization, 1989. The state is that of the first parameter: ``func_evals``, ``n_iter``,
    ``d`` (the direction), ``t`` (the step), ``old_dirs`` (y), ``old_stps`` (s), ``ro`` (``1 / s.y``), ``H_diag``,
    ``prev_flat_grad``, ``prev_loss``. The loss is read by Python in every iteration.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> w = tg.tensor([-1.0, 1.0], dtype="float64", requires_grad=True)
    >>> optimizer = tg.optim.LBFGS([w], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = 100 * (w[1] - w[0] ** 2) ** 2 + (1 - w[0]) ** 2
    ...     loss.backward()
    ...     return loss
    >>> for _ in range(4):
    ...     loss = optimizer.step(closure)
    >>> w.detach().round(3)
    tensor([1., 1.], dtype=float64)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1.0,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: Literal["strong_wolfe"] | None = None,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "max_iter": max_iter,
                "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
                "tolerance_grad": tolerance_grad,
                "tolerance_change": tolerance_change,
                "history_size": history_size,
                "line_search_fn": line_search_fn,
            },
        )

    def check(self, group: Group) -> None:
        """Raise ValueError if an option of the group is invalid."""
        if self.param_groups:
            raise ValueError("LBFGS: all parameters must be in one group, as they are treated as one vector")
        self._require(group, "lr", "tolerance_grad", "tolerance_change")
        for name in ("max_iter", "max_eval", "history_size"):
            if not isinstance(group[name], int) or group[name] < 1:
                raise ValueError(f"LBFGS: {name} must be an int of at least 1, got {group[name]}")
        if group["line_search_fn"] not in (None, "strong_wolfe"):
            raise ValueError(f"LBFGS: line_search_fn must be 'strong_wolfe' or None, got {group['line_search_fn']!r}")
        kinds = {(str(p.dtype), str(p.device)) for p in group["params"]}
        if len(kinds) != 1:
            raise ValueError(f"LBFGS: all parameters must have one dtype and device, got {sorted(kinds)}")

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Iterate until the gradient or the progress is small, or ``max_iter`` or ``max_eval`` is reached.

        Parameters
        ----------
        closure : callable
            Computes the loss anew, calls `backward` and returns the loss. It must clear the gradients before.

        Returns
        -------
        object
            What the closure returned when it was first called.
        """
        if closure is None:
            raise TypeError("LBFGS: step() needs a closure that computes the loss and its gradients")
        with no_grad():
            return self._iterate(closure)

    def _iterate(self, closure: Callable[[], Any]) -> Any:
        group = self.param_groups[0]
        lr = group["lr"]
        rate = float(lr.item() if isinstance(lr, Tensor) else lr)
        change, max_eval = group["tolerance_change"], group["max_eval"]
        state = self.state[group["params"][0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)

        first_loss = _evaluated(closure)
        loss, evaluations = float(first_loss), 1
        state["func_evals"] += 1
        gradient = self._gradient()
        if _largest(gradient) <= group["tolerance_grad"]:
            return first_loss

        for iteration in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            step = rate
            if state["n_iter"] == 1:
                step *= min(1.0, 1.0 / gradient.abs().sum().item())
            state["d"] = direction = _direction(state, gradient, group["history_size"])
            state["t"] = step
            state["prev_flat_grad"], state["prev_loss"] = gradient, loss
            slope = vecdot(gradient, direction).item()
            if slope > -change:
                break
            used = 0
            if group["line_search_fn"] is not None:
                start = Point(0.0, loss, gradient, slope)
                end, used = self._search(closure, direction, start, step, change, max_eval - evaluations)
                step = state["t"] = end.at
                loss, gradient = end.loss, end.gradient
                self._move(direction, step)
            else:
                self._move(direction, step)
                if iteration < group["max_iter"]:
                    loss, used = float(_evaluated(closure)), 1
                    gradient = self._gradient()
            evaluations += used
            state["func_evals"] += used
            if (
                evaluations >= max_eval
                or _largest(gradient) <= group["tolerance_grad"]
                or _largest(direction) * abs(step) <= change
                or abs(loss - state["prev_loss"]) < change
            ):
                break
        return first_loss

    def _search(
        self, closure: Callable[[], Any], direction: Tensor, start: Point, step: float, tolerance: float, limit: int
    ) -> tuple[Point, int]:
        """A point along the direction by line search; the parameters are where they were."""
        params = self.param_groups[0]["params"]
        before = [K.copy(p._data) for p in params]

        def evaluate(at: float) -> Point:
            self._move(direction, at)
            loss = float(_evaluated(closure))
            gradient = self._gradient()
            for p, values in zip(params, before, strict=True):
                K.assign(p._data, values)
                p._written()
            return Point(at, loss, gradient, vecdot(gradient, direction).item())

        return strong_wolfe(evaluate, start, step, _largest(direction), tolerance, limit)

    def _gradient(self) -> Tensor:
        """The gradients of all parameters as one vector, with zeros where there are none."""
        group = self.param_groups[0]
        for p in group["params"]:
            self._check_gradient(group, p)
        grads = [zeros_like(p) if p.grad is None else p.grad for p in group["params"]]
        y: Tensor = concat([(view_as_real(g) if g.dtype.kind == "c" else g).reshape(-1) for g in grads], 0)
        return y

    def _move(self, direction: Tensor, step: float) -> None:
        """Change all parameters by ``step * direction``."""
        start = 0
        for p in self.param_groups[0]["params"]:
            values = real_pairs(p._data) if p.dtype.kind == "c" else p._data
            add_scaled(values, direction._data[start : start + values.size].reshape(values.shape), step)
            p._written()
            start += values.size

    def _loaded(self, number: Any, key: str, value: Any, p: Tensor) -> Any:
        if isinstance(value, (list, tuple)):
            return [self._loaded(number, key, v, p) for v in value if v is not None]
        if key not in _VECTORS:
            return value.item() if hasattr(value, "dtype") else value  # PyTorch has numbers in tensors
        elements = sum(q.size * (2 if q.dtype.kind == "c" else 1) for q in self._parameters())
        if tuple(value.shape) != (elements,):
            raise ValueError(
                f"LBFGS: the loaded {key} has shape {tuple(value.shape)}, the parameters have {elements} elements"
            )
        dtype = p.real.dtype
        return Tensor(as_array(value._data if isinstance(value, Tensor) else value, dtype, p.device))


def _direction(state: dict[str, Any], gradient: Tensor, history_size: int) -> Tensor:
    """Where to go from the gradient and the last steps, of which the newest is taken into the state."""
    if state["n_iter"] == 1:
        state["old_dirs"], state["old_stps"], state["ro"], state["H_diag"] = [], [], [], 1.0
        return -gradient
    y, s = gradient - state["prev_flat_grad"], state["d"] * state["t"]
    ys = vecdot(y, s).item()
    if ys > 1e-10:
        for name, newest in (("old_dirs", y), ("old_stps", s), ("ro", 1.0 / ys)):
            state[name] = [*state[name], newest][-history_size:]
        state["H_diag"] = ys / vecdot(y, y).item()
    memory = list(zip(state["old_dirs"], state["old_stps"], state["ro"], strict=True))
    q = -gradient
    shares = []
    for y, s, ro in reversed(memory):
        share = vecdot(s, q) * ro
        shares.append(share)
        q -= share * y
    q *= state["H_diag"]
    for (y, s, ro), share in zip(memory, reversed(shares), strict=True):
        q += (share - vecdot(y, q) * ro) * s
    return q


def _evaluated(closure: Callable[[], Any]) -> Any:
    with enable_grad():
        return closure()


def _largest(x: Tensor) -> float:
    """The largest size of an element; 0 if there are none."""
    return float(x.abs().max().item()) if x.size else 0.0
