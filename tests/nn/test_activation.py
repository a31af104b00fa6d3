"""Activation layers against values and gradients of PyTorch 2.13, kinks included."""

from __future__ import annotations

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.nn import functional as F

X = [-4.0, -3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0, 6.0, 7.0]
# (class, arguments): values at X, gradients at X; computed in float64 with PyTorch 2.13. Where X holds a kink,
# PyTorch's choice of a one-sided derivative is part of the reference.
REFERENCE = {
    ("ReLU", ()): (
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 1.0, 3.0, 6.0, 7.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0],
    ),
    ("ReLU6", ()): (
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 1.0, 3.0, 6.0, 6.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0],
    ),
    ("LeakyReLU", (0.2,)): (
        [-0.8, -0.6, -0.2, -0.1, 0.0, 0.5, 1.0, 3.0, 6.0, 7.0],
        [0.2, 0.2, 0.2, 0.2, 0.2, 1.0, 1.0, 1.0, 1.0, 1.0],
    ),
    ("ELU", (0.5,)): (
        [-0.490842181, -0.475106466, -0.316060279, -0.19673467, 0.0, 0.5, 1.0, 3.0, 6.0, 7.0],
        [0.00915781944, 0.0248935342, 0.183939721, 0.30326533, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0],
    ),
    ("SELU", ()): (
        [-1.72589863, -1.67056873, -1.11133074, -0.691758188, 0.0, 0.525350494, 1.05070099, 3.15210296, 6.30420592,
         7.35490691],
        [0.0322007127, 0.0875306121, 0.646768603, 1.06634115, 1.75809934, 1.05070099, 1.05070099, 1.05070099,
         1.05070099, 1.05070099],
    ),
    ("CELU", (0.7,)): (
        [-0.697691046, -0.690365349, -0.532244274, -0.357320838, 0.0, 0.5, 1.0, 3.0, 6.0, 7.0],
        [0.00329850549, 0.013763786, 0.239651035, 0.489541662, 1.00000002, 1.0, 1.0, 1.0, 1.0, 1.0],
    ),
    ("GELU", ()): (
        [-0.000126684967, -0.00404969409, -0.158655254, -0.154268769, 0.0, 0.345731231, 0.841344746, 2.99595031,
         5.99999999, 7.0],
        [-0.000503649661, -0.0119456472, -0.0833154706, 0.132504875, 0.5, 0.867495125, 1.08331547, 1.01194565,
         1.00000004, 1.0],
    ),
    ("GELU", ("tanh",)): (
        [-7.02459482e-05, -0.00363739208, -0.158808009, -0.15428599, 0.0, 0.34571401, 0.841191991, 2.99636261, 6.0,
         7.0],
        [-0.000335123197, -0.0115841666, -0.0829640838, 0.132630096, 0.5, 0.867369904, 1.08296408, 1.01158417, 1.0,
         1.0],
    ),
    ("SiLU", ()): (
        [-0.0719448398, -0.14227762, -0.268941421, -0.188770334, 0.0, 0.311229666, 0.731058579, 2.85772238,
         5.98516426, 6.99362264],
        [-0.0526646149, -0.088104106, 0.0723294881, 0.260038813, 0.5, 0.739961187, 0.927670512, 1.08810411,
         1.01232643, 1.0054605],
    ),
    ("Mish", ()): (
        [-0.0725917408, -0.145647461, -0.303401461, -0.220743775, 0.0, 0.375245211, 0.865098388, 2.986535,
         5.99992663, 6.99998838],
        [-0.0537732098, -0.0933931145, 0.0592167559, 0.289510678, 0.6, 0.886424375, 1.04903622, 1.02110691,
         1.00013414, 1.00002156],
    ),
    ("Softplus", (2.0, 9.0)): (
        [0.000167703186, 0.00123784257, 0.0634640055, 0.156630844, 0.34657359, 0.656630844, 1.06346401, 3.00123784,
         6.0, 7.0],
        [0.00033535013, 0.00247262316, 0.119202922, 0.268941421, 0.5, 0.731058579, 0.880797078, 0.997527377, 1.0,
         1.0],
    ),
    ("Sigmoid", ()): (
        [0.01798621, 0.0474258732, 0.268941421, 0.377540669, 0.5, 0.622459331, 0.731058579, 0.952574127,
         0.997527377, 0.999088949],
        [0.0176627062, 0.0451766597, 0.196611933, 0.235003712, 0.25, 0.235003712, 0.196611933, 0.0451766597,
         0.00246650929, 0.00091022118],
    ),
    ("LogSigmoid", ()): (
        [-4.01814993, -3.04858735, -1.31326169, -0.974076984, -0.693147181, -0.474076984, -0.313261688,
         -0.0485873516, -0.00247568514, -0.000911466454],
        [0.98201379, 0.952574127, 0.731058579, 0.622459331, 0.5, 0.377540669, 0.268941421, 0.0474258732,
         0.00247262316, 0.000911051194],
    ),
    ("Tanh", ()): (
        [-0.9993293, -0.995054754, -0.761594156, -0.462117157, 0.0, 0.462117157, 0.761594156, 0.995054754,
         0.999987712, 0.999998337],
        [0.00134095068, 0.00986603717, 0.419974342, 0.786447733, 1.0, 0.786447733, 0.419974342, 0.00986603717,
         2.45765474e-05, 3.32610934e-06],
    ),
    ("Tanhshrink", ()): (
        [-3.0006707, -2.00494525, -0.238405844, -0.0378828427, 0.0, 0.0378828427, 0.238405844, 2.00494525,
         5.00001229, 6.00000166],
        [0.998659049, 0.990133963, 0.580025658, 0.213552267, 0.0, 0.213552267, 0.580025658, 0.990133963,
         0.999975423, 0.999996674],
    ),
    ("Hardtanh", (-1.0, 3.0)): (
        [-1.0, -1.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0, 3.0, 3.0],
        [0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0],
    ),
    ("Hardsigmoid", ()): (
        [0.0, 0.0, 0.333333333, 0.416666667, 0.5, 0.583333333, 0.666666667, 1.0, 1.0, 1.0],
        [0.0, 0.0, 0.166666672, 0.166666672, 0.166666672, 0.166666672, 0.166666672, 0.0, 0.0, 0.0],
    ),
    ("Hardswish", ()): (
        [0.0, 0.0, -0.333333333, -0.208333333, 0.0, 0.291666667, 0.666666667, 3.0, 6.0, 7.0],
        [0.0, 0.0, 0.166666667, 0.333333333, 0.5, 0.666666667, 0.833333333, 1.0, 1.0, 1.0],
    ),
    ("Hardshrink", ()): (
        [-4.0, -3.0, -1.0, 0.0, 0.0, 0.0, 1.0, 3.0, 6.0, 7.0],
        [1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0],
    ),
    ("Softshrink", ()): (
        [-3.5, -2.5, -0.5, 0.0, 0.0, 0.0, 0.5, 2.5, 5.5, 6.5],
        [1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0],
    ),
    ("Softsign", ()): (
        [-0.8, -0.75, -0.5, -0.333333333, 0.0, 0.333333333, 0.5, 0.75, 0.857142857, 0.875],
        [0.04, 0.0625, 0.25, 0.444444444, 1.0, 0.444444444, 0.25, 0.0625, 0.0204081633, 0.015625],
    ),
    ("Threshold", (0.5, -2.0)): (
        [-2.0, -2.0, -2.0, -2.0, -2.0, -2.0, 1.0, 3.0, 6.0, 7.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0],
    ),
}  # fmt: skip
CASES = [(name, args) for name, args in REFERENCE]
INPLACE = [(name, args) for name, args in CASES if hasattr(getattr(nn, name)(*args), "inplace")]
every_case = pytest.mark.parametrize(("name", "args"), CASES, ids=[f"{n}{a}" for n, a in CASES])


@every_case
def test_values_and_gradients(name, args, device):
    x = tg.tensor(X, dtype=tg.float64, device=device, requires_grad=True)
    y = getattr(nn, name)(*args)(x)
    y.sum().backward()
    values, gradients = REFERENCE[name, args]
    # PyTorch computes a few of these (1/6, 1/alpha) with float32 constants
    np.testing.assert_allclose(y.tolist(), values, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(x.grad.tolist(), gradients, rtol=1e-6, atol=1e-8)


@every_case
def test_second_order_is_the_slope_of_first_order(name, args):
    x0 = np.array([-2.3, -0.8, 0.3, 0.9, 2.2])
    x = tg.tensor(x0, requires_grad=True)
    (g,) = tg.autograd.grad(getattr(nn, name)(*args)(x).sum(), x, create_graph=True)
    h = 1e-6
    ahead, behind = (tg.tensor(x0 + d, requires_grad=True) for d in (h, -h))
    slope = [tg.autograd.grad(getattr(nn, name)(*args)(v).sum(), v)[0].numpy() for v in (ahead, behind)]
    second = tg.autograd.grad(g.sum(), x)[0].numpy() if g.requires_grad else np.zeros(5)
    np.testing.assert_allclose(second, (slope[0] - slope[1]) / (2 * h), atol=1e-7)


@pytest.mark.parametrize(("name", "args"), INPLACE)
def test_inplace_writes_the_input(name, args, device):
    layer = getattr(nn, name)(*args, inplace=True)
    x = tg.tensor(X, dtype=tg.float64, device=device)
    memory = x.detach()
    assert layer(x) is x
    np.testing.assert_allclose(memory.tolist(), REFERENCE[name, args][0], rtol=1e-6, atol=1e-8)
    leaf = tg.tensor(X, dtype=tg.float64, device=device, requires_grad=True)
    y = leaf * 1.0
    assert layer(y) is y
    y.sum().backward()
    np.testing.assert_allclose(leaf.grad.tolist(), REFERENCE[name, args][1], rtol=1e-6, atol=1e-8)
    assert repr(layer).endswith("inplace=True)")


def test_inplace_refuses_a_leaf_and_a_change_of_dtype():
    with pytest.raises(RuntimeError, match=r"relu: a leaf"):
        F.relu(tg.ones(2, requires_grad=True), inplace=True)
    with pytest.raises(TypeError, match=r"silu: the result is float32"):
        F.silu(tg.tensor([1, 2]), inplace=True)


def test_inplace_leaves_the_gradients_of_earlier_ops_right():
    x = tg.tensor([0.5, 1.0], dtype=tg.float64, requires_grad=True)
    y = x.exp()  # its gradient needs y as it was
    F.hardtanh(y, 0.0, 2.0, inplace=True)
    y.sum().backward()
    np.testing.assert_allclose(x.grad.tolist(), [np.exp(0.5), 0.0])


def test_inplace_on_a_view_writes_the_whole(device):
    x = tg.tensor([[-1.0, 2.0], [3.0, -4.0]], device=device, requires_grad=True)
    y = x * 2.0
    F.relu(y[0], inplace=True)
    y.sum().backward()
    assert y.tolist() == [[0.0, 4.0], [6.0, -8.0]]
    assert x.grad.tolist() == [[0.0, 2.0], [2.0, 2.0]]


def test_extremes_stay_finite_where_the_limit_is(device):
    x = tg.tensor([-1e4, 1e4], dtype=tg.float64, device=device, requires_grad=True)
    for layer in (nn.ELU(), nn.SELU(), nn.CELU(), nn.Softplus(), nn.LogSigmoid(), nn.Mish(), nn.SiLU(), nn.GELU()):
        (g,) = tg.autograd.grad(layer(x).sum(), x, create_graph=True)
        assert np.isfinite(g.tolist()).all(), layer
        if g.requires_grad:
            assert np.isfinite(tg.autograd.grad(g.sum(), x)[0].tolist()).all(), layer


def test_prelu_has_a_weight_per_channel(device):
    layer = nn.PReLU(2, init=0.5, device=device, dtype=tg.float64)
    x = tg.tensor([[-2.0, -4.0], [3.0, -1.0]], dtype=tg.float64, device=device, requires_grad=True)
    y = layer(x)
    assert y.tolist() == [[-1.0, -2.0], [3.0, -0.5]]
    y.sum().backward()
    assert x.grad.tolist() == [[0.5, 0.5], [1.0, 0.5]]
    assert layer.weight.grad.tolist() == [-2.0, -5.0]
    assert list(layer.state_dict()) == ["weight"]
    with pytest.raises(ValueError, match="has 3 channels, got 2 weights"):
        layer(tg.ones(1, 3, dtype=tg.float64, device=device))


def test_softmax_family(device):
    x = tg.tensor([[0.0, np.log(3.0)]], dtype=tg.float64, device=device)
    np.testing.assert_allclose(nn.Softmax(dim=1)(x).tolist(), [[0.25, 0.75]])
    np.testing.assert_allclose(nn.Softmin(dim=1)(x).tolist(), [[0.75, 0.25]])
    np.testing.assert_allclose(nn.LogSoftmax(dim=1)(x).tolist(), np.log([[0.25, 0.75]]))
    image = tg.zeros(2, 4, 1, 1, device=device)
    np.testing.assert_allclose(nn.Softmax2d()(image).tolist(), np.full((2, 4, 1, 1), 0.25))
    with pytest.warns(UserWarning, match="dim=1 is taken for 2 axes"):
        assert nn.Softmax()(x).tolist() == nn.Softmax(dim=1)(x).tolist()


def test_glu_halves_an_axis(device):
    x = tg.tensor([[2.0, 6.0, 0.0, 0.0]], device=device)
    assert nn.GLU()(x).tolist() == [[1.0, 3.0]]
    with pytest.raises(ValueError, match="must be even"):
        nn.GLU()(tg.ones(1, 3, device=device))


def test_rrelu_draws_slopes_in_training_only(device):
    layer = nn.RReLU(0.1, 0.3)
    x = tg.full((1000,), -1.0, device=device)
    slopes = -np.array(layer(x).tolist())
    assert 0.1 <= slopes.min() < 0.12
    assert 0.28 < slopes.max() <= 0.3
    np.testing.assert_allclose(layer.eval()(x).tolist(), -0.2, rtol=1e-6)


def test_errors_name_the_option():
    for call, text in (
        (lambda: nn.GELU("exact")(tg.ones(1)), "approximate must be"),
        (lambda: nn.Hardtanh(1.0, -1.0), "min_val must be less than max_val"),
        (lambda: F.softshrink(tg.ones(1), -1.0), "lambd must be at least 0"),
        (lambda: F.celu(tg.ones(1), 0.0), "alpha must not be 0"),
        (lambda: F.rrelu(tg.ones(1), 0.5, 0.1), "lower must not be greater"),
    ):
        with pytest.raises(ValueError, match=text):
            call()


def test_repr_is_that_of_pytorch():
    shown = {
        "ReLU()": nn.ReLU(), "LeakyReLU(negative_slope=0.2, inplace=True)": nn.LeakyReLU(0.2, True),
        "GELU(approximate='tanh')": nn.GELU("tanh"), "Softmax(dim=1)": nn.Softmax(1), "ELU(alpha=0.5)": nn.ELU(0.5),
        "Hardtanh(min_val=-1.0, max_val=2.0)": nn.Hardtanh(-1.0, 2.0), "Softshrink(0.5)": nn.Softshrink(),
        "PReLU(num_parameters=3)": nn.PReLU(3), "Softplus(beta=1.0, threshold=20.0)": nn.Softplus(),
    }  # fmt: skip
    assert all(repr(layer) == text for text, layer in shown.items())


def test_functions_that_overwrite(device):
    x = np.array([-3.0, -0.5, 0.5, 3.0])
    for name, arguments in (
        ("celu_", (0.7,)), ("elu_", (0.7,)), ("hardtanh_", (-1.0, 2.0)), ("leaky_relu_", (0.2,)), ("relu_", ()),
        ("rrelu_", (0.1, 0.3)), ("selu_", ()), ("threshold_", (0.1, 9.0)),
    ):  # fmt: skip
        leaf = tg.tensor(x, device=device, requires_grad=True)
        given = leaf * 1.0
        y = getattr(F, name)(given, *arguments)
        assert y is given
        expected = getattr(F, name[:-1])(leaf, *arguments)
        np.testing.assert_array_equal(y.detach().cpu().numpy(), expected.detach().cpu().numpy())
        found, wanted = (tg.grad(z.sum(), [leaf])[0].cpu().numpy() for z in (y, expected))
        np.testing.assert_array_equal(found, wanted)


def test_gumbel_softmax(device):
    tg.manual_seed(0)
    p = np.array([0.1, 0.2, 0.7])
    logits = tg.tensor(np.broadcast_to(np.log(p), (4000, 3)).copy(), device=device, requires_grad=True)
    hard = F.gumbel_softmax(logits, hard=True)
    values = hard.detach().cpu().numpy()
    assert set(np.unique(values.round(12))) == {0.0, 1.0}
    np.testing.assert_allclose(values.sum(1), 1)
    np.testing.assert_allclose(values.mean(0), p, atol=4 * np.sqrt(0.25 / 4000))
    (hard[:, 2]).sum().backward()
    assert np.abs(logits.grad.cpu().numpy()).max() > 0
    warm = F.gumbel_softmax(logits.detach(), tau=100.0, dim=0).cpu().numpy()
    np.testing.assert_allclose(warm.sum(0), 1)
    cold = F.gumbel_softmax(logits.detach(), tau=0.01).cpu().numpy()
    assert (cold.max(1) > 0.99).mean() > 0.9
    np.testing.assert_allclose(np.eye(3)[cold.argmax(1)].mean(0), p, atol=4 * np.sqrt(0.25 / 4000))
