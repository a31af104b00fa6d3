"""Recurrent layers against their formulas in NumPy, step by step."""

from __future__ import annotations

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import autograd, nn
from tensorgrad.testing import gradcheck, gradgradcheck

KINDS = [
    ("RNN", {}),
    ("RNN", {"nonlinearity": "relu"}),
    ("GRU", {}),
    ("LSTM", {}),
    ("LSTM", {"proj_size": 2}),
]
CELLS = [("RNNCell", {}), ("RNNCell", {"nonlinearity": "relu"}), ("GRUCell", {}), ("LSTMCell", {})]


def values(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def close(found, wanted):
    np.testing.assert_allclose(found.detach().cpu().numpy(), wanted, rtol=1e-9, atol=1e-11)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def step(kind, weights, x, h, c, nonlinearity="tanh"):
    """The next h and c by the definition, gate by gate."""
    w_ih, w_hh, b_ih, b_hh, w_hr = weights
    gates = {"RNN": 1, "GRU": 3, "LSTM": 4}[kind]
    own = [x @ w.T + b for w, b in zip(np.split(w_ih, gates), np.split(b_ih, gates), strict=True)]
    fed = [h @ w.T + b for w, b in zip(np.split(w_hh, gates), np.split(b_hh, gates), strict=True)]
    if kind == "RNN":
        total = own[0] + fed[0]
        return (np.tanh(total) if nonlinearity == "tanh" else np.maximum(total, 0)), c
    if kind == "GRU":
        r, z = sigmoid(own[0] + fed[0]), sigmoid(own[1] + fed[1])
        n = np.tanh(own[2] + r * fed[2])
        return (1 - z) * n + z * h, c
    i, f, g, o = (a + b for a, b in zip(own, fed, strict=True))
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    h = sigmoid(o) * np.tanh(c)
    return (h if w_hr is None else h @ w_hr.T), c


def formula(kind, layer, x, h0, c0, **options):
    """Outputs (T, N, ...) and last states of all layers, from x (T, N, ...)."""
    state = {name: p.cpu().numpy() for name, p in layer.state_dict().items()}
    last_h, last_c = [], []
    for depth in range(layer.num_layers):
        outputs = []
        for end in [f"_l{depth}", f"_l{depth}_reverse"][: 1 + layer.bidirectional]:
            rows = state["weight_ih" + end].shape[0]
            weights = (
                state["weight_ih" + end],
                state["weight_hh" + end],
                state.get("bias_ih" + end, np.zeros(rows)),
                state.get("bias_hh" + end, np.zeros(rows)),
                state.get("weight_hr" + end),
            )
            h, c = h0[len(last_h)], c0[len(last_h)]
            y = [None] * len(x)
            for t in range(len(x))[:: -1 if end.endswith("reverse") else 1]:
                h, c = step(kind, weights, x[t], h, c, **options)
                y[t] = h
            outputs.append(np.stack(y))
            last_h.append(h)
            last_c.append(c)
        x = np.concatenate(outputs, -1)
    return x, np.stack(last_h), np.stack(last_c)


@pytest.mark.parametrize(("kind", "options"), KINDS)
@pytest.mark.parametrize("form", [{}, {"num_layers": 3, "batch_first": True}, {"bidirectional": True, "bias": False},
                                  {"num_layers": 2, "bidirectional": True}])  # fmt: skip
def test_the_formula(kind, options, form, device):
    layer = getattr(nn, kind)(3, 4, device=device, dtype=tg.float64, **options, **form)
    depth = layer.num_layers * (1 + layer.bidirectional)
    out = options.get("proj_size", 4)
    x, h0, c0 = values(5, 2, 3), values(depth, 2, out), values(depth, 2, 4, seed=1)
    nonlinearity = {k: v for k, v in options.items() if k == "nonlinearity"}
    swap = (lambda a: a.swapaxes(0, 1)) if layer.batch_first else (lambda a: a)
    for given in (True, False):
        if not given:
            h0, c0 = np.zeros_like(h0), np.zeros_like(c0)
        y, h, c = formula(kind, layer, x, h0, c0, **nonlinearity)
        states = tuple(tg.tensor(s, device=device) for s in (h0, c0))
        hx = (states if kind == "LSTM" else states[0]) if given else None
        found, last = layer(tg.tensor(swap(x).copy(), device=device), hx)
        close(found, swap(y))
        for one, other in zip(last if kind == "LSTM" else (last,), (h, c), strict=False):
            close(one, other)


@pytest.mark.parametrize(("kind", "options"), KINDS)
@pytest.mark.parametrize("batch_first", [False, True])
def test_without_a_batch(kind, options, batch_first, device):
    layer = getattr(nn, kind)(3, 4, 2, batch_first=batch_first, device=device, dtype=tg.float64, **options)
    x = tg.tensor(values(5, 3), device=device)
    hx = tuple(tg.tensor(values(2, n), device=device) for n in (options.get("proj_size", 4), 4))
    batch = tuple(h.expand_dims(1) for h in hx)
    lstm = kind == "LSTM"
    y, last = layer(x, hx if lstm else hx[0])
    wanted, states = layer(x.expand_dims(0 if batch_first else 1), batch if lstm else batch[0])
    close(y, (wanted[0] if batch_first else wanted[:, 0]).detach().cpu().numpy())
    for one, other in zip(*((last, states) if lstm else ((last,), (states,))), strict=True):
        close(one, other[:, 0].detach().cpu().numpy())


@pytest.mark.parametrize(("kind", "options"), CELLS)
@pytest.mark.parametrize("bias", [True, False])
def test_cells(kind, options, bias, device):
    cell = getattr(nn, kind)(3, 4, bias, device=device, dtype=tg.float64, **options)
    assert list(cell.state_dict()) == ["weight_ih", "weight_hh", "bias_ih", "bias_hh"][: 4 if bias else 2]
    state = [p.cpu().numpy() for p in cell.state_dict().values()]
    weights = (*state, *(() if bias else (np.zeros(len(state[0])),) * 2), None)
    x, h, c = values(2, 3), values(2, 4), values(2, 4, seed=1)
    lstm = kind == "LSTMCell"
    for part in (lambda a: a, lambda a: a[0]):
        for states in ((h, c), (np.zeros_like(h), np.zeros_like(c))):
            wanted = step(kind.removesuffix("Cell"), weights, part(x), *map(part, states), **options)
            t = [tg.tensor(part(a), device=device) for a in (x, *states)]
            hx = None if not states[0].any() else tuple(t[1:]) if lstm else t[1]
            found = cell(t[0], hx)
            for one, other in zip(found if lstm else (found,), wanted, strict=False):
                close(one, other)


@pytest.mark.parametrize(("kind", "options"), [("RNN", {}), ("GRU", {}), ("LSTM", {}), ("LSTM", {"proj_size": 1})])
def test_gradients_of_first_and_second_order(kind, options):
    layer = getattr(nn, kind)(2, 2, bidirectional=True, dtype=tg.float64, **options)
    x = tg.tensor(values(3, 1, 2), requires_grad=True)
    names, weights = zip(*layer.named_parameters(), strict=True)

    def run(x, *given):
        for name, weight in zip(names, given, strict=True):
            object.__setattr__(layer, name, weight)
            layer._parameters[name] = weight
        y, last = layer(x)
        return (y, *(last if kind == "LSTM" else (last,)))

    assert gradcheck(run, (x, *weights))
    assert gradgradcheck(run, (x, *weights))


def test_long_sequences_reach_every_step(device):
    layer = nn.GRU(1, 3, device=device, dtype=tg.float64)
    x = tg.tensor(values(37, 2, 1), device=device, requires_grad=True)
    y, h = layer(x)
    close(h[0], y[-1].detach().cpu().numpy())
    (found,) = autograd.grad((y[20] ** 2).sum(), x)
    assert (found[:21] != 0).all().item()
    assert (found[21:] == 0).all().item()


def test_state_dict_has_pytorchs_names():
    layer = nn.LSTM(3, 4, num_layers=2, bidirectional=True, proj_size=2)
    shapes = {name: p.shape for name, p in layer.state_dict().items()}
    ends = ["_l0", "_l0_reverse", "_l1", "_l1_reverse"]
    kinds = ["weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"]
    assert list(shapes) == [kind + end for end in ends for kind in kinds]
    assert shapes["weight_ih_l0"] == (16, 3)
    assert shapes["weight_ih_l1_reverse"] == (16, 4)
    assert shapes["weight_hh_l1"] == (16, 2)
    assert shapes["weight_hr_l0"] == (2, 4)
    assert list(nn.GRU(3, 4, bias=False).state_dict()) == ["weight_ih_l0", "weight_hh_l0"]
    assert repr(layer) == "LSTM(3, 4, proj_size=2, num_layers=2, bidirectional=True)"
    assert repr(nn.RNNCell(3, 4, False, "relu")) == "RNNCell(3, 4, bias=False, nonlinearity=relu)"


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM", "RNNCell", "GRUCell", "LSTMCell"])
def test_weights_start_from_a_uniform_distribution(kind, device):
    for parameter in getattr(nn, kind)(50, 100, device=device).parameters():
        found = parameter.detach().cpu().numpy()
        assert abs(found).max() <= 0.1
        np.testing.assert_allclose(found.std(), 0.1 / np.sqrt(3), rtol=0.2)


def test_dropout_is_between_layers_and_only_while_training(device):
    layer = nn.GRU(3, 4, num_layers=2, dropout=1.0, device=device)
    x = tg.tensor(values(5, 2, 3), dtype=tg.float32, device=device)
    y, h = layer(x)
    alone = nn.GRU(4, 4, device=device)
    alone.load_state_dict({k.replace("l1", "l0"): p for k, p in layer.state_dict().items() if "l1" in k})
    np.testing.assert_allclose(y.tolist(), alone(tg.zeros(5, 2, 4, device=device))[0].tolist(), rtol=1e-5, atol=1e-6)
    below = nn.GRU(3, 4, device=device)
    below.load_state_dict({k: p for k, p in layer.state_dict().items() if "l0" in k})
    np.testing.assert_allclose(h[0].tolist(), below(x)[1][0].tolist(), rtol=1e-5, atol=1e-6)
    layer.eval()
    np.testing.assert_allclose(layer(x)[0].tolist(), alone(below(x)[0])[0].tolist(), rtol=1e-5, atol=1e-6)
    with pytest.warns(UserWarning, match="only one"):
        nn.GRU(3, 4, dropout=0.5)


def test_errors():
    layer = nn.LSTM(3, 4, num_layers=2)
    x = tg.ones(5, 2, 3)
    with pytest.raises(ValueError, match=r"shape \(T, N, 3\), or \(T, 3\) without a batch, got \(5, 2, 4\)"):
        layer(tg.ones(5, 2, 4))
    with pytest.raises(ValueError, match=r"got \(3,\)"):
        layer(tg.ones(3))
    with pytest.raises(ValueError, match="at least one step"):
        layer(tg.ones(0, 2, 3))
    with pytest.raises(ValueError, match=r"needs c_0 of shape \(2, 2, 4\).* got \(1, 2, 4\)"):
        layer(x, (tg.ones(2, 2, 4), tg.ones(1, 2, 4)))
    with pytest.raises(ValueError, match=r"needs h_0 of shape \(2, 4\)"):
        layer(tg.ones(5, 3), (tg.ones(2, 1, 4), tg.ones(2, 1, 4)))
    with pytest.raises(TypeError, match="pair of tensors"):
        layer(x, tg.ones(2, 2, 4))
    with pytest.raises(TypeError, match="input must be a Tensor, got tuple"):
        layer((x, tg.ones(5)))
    with pytest.raises(TypeError, match="one dtype"):
        layer(x.astype(tg.float64))
    for options, match in (
        ({"hidden_size": 0}, "hidden_size must be greater than 0"),
        ({"proj_size": 4}, "between 0 and hidden_size - 1"),
        ({"dropout": 1.5}, "between 0 and 1"),
    ):
        with pytest.raises(ValueError, match=match):
            nn.LSTM(**{"input_size": 3, "hidden_size": 4, "num_layers": 2, **options})
    with pytest.raises(TypeError, match="bias must be a bool"):
        nn.GRU(3, 4, 1, 0.5)
    for kind in (nn.RNN, nn.RNNCell):
        with pytest.raises(ValueError, match="'tanh' or 'relu'"):
            kind(3, 4, nonlinearity="gelu")
    with pytest.raises(ValueError, match=r"\(N, 3\) or \(3,\), got \(2, 5\)"):
        nn.GRUCell(3, 4)(tg.ones(2, 5))
    with pytest.raises(ValueError, match=r"needs a state of shape \(2, 4\), got \(1, 4\)"):
        nn.GRUCell(3, 4)(tg.ones(2, 3), tg.ones(1, 4))
    with pytest.raises(TypeError, match="pair of tensors"):
        nn.LSTMCell(3, 4)(tg.ones(2, 3), tg.ones(2, 4))


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
@pytest.mark.parametrize("batch_first", [False, True])
def test_no_sequences(kind, batch_first, device):
    layer = kind(3, 4, batch_first=batch_first, device=device)
    x = tg.zeros(*((0, 5, 3) if batch_first else (5, 0, 3)), device=device, requires_grad=True)
    y = layer(x)[0]
    y.sum().backward()
    assert y.shape == (*x.shape[:2], 4)
    assert x.grad.shape == x.shape
    assert not any(p.grad.cpu().numpy().any() for p in layer.parameters())
