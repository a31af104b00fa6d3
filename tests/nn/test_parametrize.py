"""Parametrizations, weight and spectral normalisation, folding of batch norms, calls with other tensors."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn, testing
from tensorgrad.nn import utils
from tensorgrad.nn.utils import parametrizations, parametrize


def drawn(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def layer(device: str) -> nn.Linear:
    tg.manual_seed(0)
    return nn.Linear(3, 4, device=device, dtype=tg.float64)


def host(x: tg.Tensor) -> np.ndarray:
    return x.detach().cpu().numpy()


# -------------------------------------------------------------------------------------------------------- weight norm
@pytest.mark.parametrize("dim", [0, 1, None])
@pytest.mark.parametrize("form", ["hook", "parametrization"])
def test_weight_norm(form, dim, device):
    module = layer(device)
    w, b = host(module.weight), host(module.bias)
    if form == "hook":
        utils.weight_norm(module, dim=dim)
        g, v = module.weight_g, module.weight_v
        assert list(module.state_dict()) == ["bias", "weight_g", "weight_v"]
    else:
        parametrizations.weight_norm(module, dim=dim)
        g, v = module.parametrizations.weight.original0, module.parametrizations.weight.original1
        keys = ["bias", "parametrizations.weight.original0", "parametrizations.weight.original1"]
        assert list(module.state_dict()) == keys
    axes = {0: 1, 1: 0, None: None}[dim]
    norms = np.sqrt((w**2).sum(axes, keepdims=dim is not None))
    np.testing.assert_allclose(host(g), norms, rtol=1e-12)
    x = tg.tensor(drawn(2, 3), device=device)
    np.testing.assert_allclose(host(module(x)), drawn(2, 3) @ w.T + b, rtol=1e-10)
    with tg.no_grad():
        g *= 2.0
    np.testing.assert_allclose(host(module(x)), drawn(2, 3) @ (2 * w).T + b, rtol=1e-10)
    # the gradient of g is that of the weight along its direction; v gets what is across
    module.zero_grad()
    (module(x) ** 2).sum().backward()
    whole = 2 * (drawn(2, 3) @ (2 * w).T + b).T @ drawn(2, 3)
    np.testing.assert_allclose(host(g.grad), (whole * w / norms).sum(axes, keepdims=dim is not None), rtol=1e-10)
    np.testing.assert_allclose((host(v.grad) * w).sum(axes), 0, atol=1e-10)
    if form == "hook":
        utils.remove_weight_norm(module)
    else:
        parametrize.remove_parametrizations(module, "weight")
    assert list(module.state_dict()) == ["bias", "weight"]
    assert type(module) is nn.Linear
    np.testing.assert_allclose(host(module.weight), 2 * w, rtol=1e-10)
    np.testing.assert_allclose(host(module(x)), drawn(2, 3) @ (2 * w).T + b, rtol=1e-10)


def test_weight_norm_of_a_jitted_step(device):
    module = utils.weight_norm(layer(device))
    x = tg.tensor(drawn(2, 3), device=device)

    @tg.jit
    def step(x):
        return module(x)

    first = host(step(x))
    with tg.no_grad():
        module.weight_g *= 2.0
    np.testing.assert_allclose(host(step(x)) - host(module.bias), 2 * (first - host(module.bias)), rtol=1e-10)


# ------------------------------------------------------------------------------------------------------ spectral norm
@pytest.mark.parametrize("form", ["hook", "parametrization"])
@pytest.mark.parametrize("kind", ["linear", "conv", "transposed"])
def test_spectral_norm(kind, form, device):
    tg.manual_seed(0)
    options = {"device": device, "dtype": tg.float64}
    module = {
        "linear": lambda: nn.Linear(3, 4, **options),
        "conv": lambda: nn.Conv1d(3, 4, 2, **options),
        "transposed": lambda: nn.ConvTranspose1d(3, 4, 2, **options),
    }[kind]()
    w = host(module.weight)
    matrix = (w.swapaxes(0, 1) if kind == "transposed" else w).reshape(4, -1)
    largest = np.linalg.svd(matrix, compute_uv=False)[0]
    if form == "hook":
        utils.spectral_norm(module, n_power_iterations=2)
        u, v = module.weight_u, module.weight_v
        assert set(module.state_dict()) == {"bias", "weight_orig", "weight_u", "weight_v"}
    else:
        parametrizations.spectral_norm(module, n_power_iterations=2)
        u, v = module.parametrizations.weight[0]._u, module.parametrizations.weight[0]._v
    x = tg.tensor(drawn(2, 3) if kind == "linear" else drawn(2, 3, 5), device=device)
    before = host(u).copy()
    module(x)
    assert (host(u) != before).any()
    for _ in range(200):
        module(x)
    np.testing.assert_allclose(host(module.weight), w / largest, rtol=1e-8)
    module.eval()
    before = host(u).copy()
    module(x).sum().backward()
    np.testing.assert_array_equal(host(u), before)
    # d(w / sigma) with the singular vectors held
    np.testing.assert_allclose(abs(host(u) @ matrix @ host(v)), largest, rtol=1e-8)
    original = module.weight_orig if form == "hook" else module.parametrizations.weight.original
    gradient = host(original.grad)
    assert abs((gradient * w).sum()) < 1e-9 * np.abs(gradient).sum() + 1e-12  # the length of w does not matter
    if form == "hook":
        utils.remove_spectral_norm(module)
    else:
        parametrize.remove_parametrizations(module, "weight")
    assert set(module.state_dict()) == {"bias", "weight"}
    np.testing.assert_allclose(host(module.weight), w / largest, rtol=1e-8)


def test_two_forwards_before_one_backward(device):
    """The second overwrites the vectors that the first used."""
    module = utils.spectral_norm(layer(device))
    x = tg.tensor(drawn(2, 3), device=device)
    (module(x) - module(2 * x)).sum().backward()
    assert module.weight_orig.grad is not None


def test_spectral_norm_of_a_vector(device):
    module = nn.Module()
    module.v = nn.Parameter(tg.tensor([3.0, 4.0], device=device))
    parametrizations.spectral_norm(module, "v")
    np.testing.assert_allclose(host(module.v), [0.6, 0.8], rtol=1e-6)


@pytest.mark.parametrize("form", [utils, parametrizations])
def test_what_normalisation_refuses(form):
    with pytest.raises(ValueError, match="n_power_iterations"):
        form.spectral_norm(nn.Linear(2, 2), n_power_iterations=0)
    with pytest.raises((ValueError, AttributeError), match="other"):
        form.spectral_norm(nn.Linear(2, 2), "other")
    for name in ("weight_norm", "spectral_norm"):
        with pytest.raises(ValueError, match="has no"):
            getattr(utils, f"remove_{name}")(nn.Linear(2, 2))
        with pytest.raises(RuntimeError, match="already"):
            getattr(utils, name)(getattr(utils, name)(nn.Linear(2, 2)))


# ---------------------------------------------------------------------------------------------------- parametrizations
class Symmetric(nn.Module):
    def forward(self, x):
        return tg.triu(x) + tg.triu(x, k=1).mT

    def right_inverse(self, x):
        return tg.triu(x)


class Exponential(nn.Module):
    def forward(self, x):
        return tg.exp(x)

    def right_inverse(self, x):
        return tg.log(x)


class OneWay(nn.Module):
    def forward(self, x):
        return 2.0 * x


def test_parametrizations_in_sequence(device):
    module = nn.Linear(3, 3, device=device, dtype=tg.float64)
    weight = module.weight
    parametrize.register_parametrization(module, "weight", Symmetric())
    assert parametrize.is_parametrized(module)
    assert parametrize.is_parametrized(module, "weight")
    assert not parametrize.is_parametrized(module, "bias")
    assert module.parametrizations.weight.original is weight
    assert parametrize.type_before_parametrizations(module) is nn.Linear
    np.testing.assert_array_equal(host(module.weight), host(module.weight).T)
    positive = np.exp(drawn(3, 3))
    positive = positive + positive.T
    module.weight = tg.tensor(positive, device=device)
    np.testing.assert_allclose(host(module.weight), positive, rtol=1e-12)
    parametrize.register_parametrization(module, "weight", Exponential())
    np.testing.assert_allclose(host(module.weight), np.exp(positive), rtol=1e-12)
    module.weight = tg.tensor(positive, device=device)
    np.testing.assert_allclose(host(module.weight), positive, rtol=1e-12)
    np.testing.assert_allclose(host(weight), np.triu(np.log(positive)), rtol=1e-12)
    assert list(module.state_dict()) == ["bias", "parametrizations.weight.original"]
    module(tg.ones(1, 3, dtype=tg.float64, device=device)).sum().backward()
    below = np.tril_indices(3, -1)
    assert not host(weight.grad)[below].any()
    np.testing.assert_allclose(np.diag(host(weight.grad)), np.diag(positive), rtol=1e-10)


def test_removal(device):
    module = nn.Linear(3, 3, device=device)
    original = module.weight
    parametrize.register_parametrization(module, "weight", Symmetric())
    parametrize.register_parametrization(module, "bias", OneWay())
    result = host(module.weight)
    parametrize.remove_parametrizations(module, "weight")
    assert module.weight is original
    np.testing.assert_array_equal(host(original), result)
    values = host(module.parametrizations.bias.original).copy()
    np.testing.assert_array_equal(host(module.bias), 2 * values)
    parametrize.remove_parametrizations(module, "bias", leave_parametrized=False)
    np.testing.assert_array_equal(host(module.bias), values)
    assert type(module) is nn.Linear
    assert sorted(module.state_dict()) == ["bias", "weight"]


def test_cached(device):
    module = parametrize.register_parametrization(nn.Linear(3, 3, device=device), "weight", Symmetric())
    assert module.weight is not module.weight
    with parametrize.cached():
        kept = module.weight
        with parametrize.cached():
            assert module.weight is kept
        assert module.weight is kept
    assert module.weight is not kept


def test_copies_are_independent():
    module = parametrize.register_parametrization(nn.Linear(3, 3), "weight", Symmetric())
    twin = copy.deepcopy(module)
    parametrize.remove_parametrizations(module, "weight")
    np.testing.assert_array_equal(host(twin.weight), host(twin.weight).T)
    assert parametrize.is_parametrized(twin)


def test_transfer():
    source = parametrize.register_parametrization(nn.Linear(3, 3), "weight", Symmetric())
    target = nn.Linear(3, 3)
    parametrize.transfer_parametrizations_and_params(source, target)
    np.testing.assert_array_equal(host(target.weight), host(source.weight))


def test_what_parametrizations_refuse():
    class Larger(nn.Module):
        def forward(self, x):
            return tg.concat([x, x], axis=0)

    with pytest.raises(ValueError, match="must stay"):
        parametrize.register_parametrization(nn.Linear(2, 2), "weight", Larger())
    module = parametrize.register_parametrization(nn.Linear(2, 2), "weight", Larger(), unsafe=True)
    assert module.weight.shape == (4, 2)
    with pytest.raises(ValueError, match="other"):
        parametrize.register_parametrization(nn.Linear(2, 2), "other", Larger())
    one_way = parametrize.register_parametrization(nn.Linear(2, 2), "weight", OneWay())
    with pytest.raises(RuntimeError, match="right_inverse"):
        one_way.weight = tg.ones(2, 2)
    with pytest.raises(ValueError, match="not parametrized"):
        parametrize.remove_parametrizations(nn.Linear(2, 2), "weight")
    with pytest.raises(ValueError, match="several originals"):
        parametrize.remove_parametrizations(parametrizations.weight_norm(nn.Linear(2, 2)), "weight", False)


# ------------------------------------------------------------------------------------------------------------- folding
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("kind", ["linear", "conv", "transposed"])
def test_folded_batch_norm(kind, affine, bias, device):
    options = {"bias": bias, "device": device, "dtype": tg.float64}
    first, bn, x = {
        "linear": lambda: (nn.Linear(3, 4, **options), nn.BatchNorm1d, drawn(5, 3)),
        "conv": lambda: (nn.Conv2d(3, 4, 2, **options), nn.BatchNorm2d, drawn(2, 3, 4, 4)),
        "transposed": lambda: (nn.ConvTranspose2d(3, 4, 2, **options), nn.BatchNorm2d, drawn(2, 3, 4, 4)),
    }[kind]()
    bn = bn(4, affine=affine, device=device, dtype=tg.float64)
    nn.init.normal_(bn.running_mean)
    nn.init.uniform_(bn.running_var, 0.5, 2.0)
    if affine:
        nn.init.normal_(bn.weight)
        nn.init.normal_(bn.bias)
    first.eval()
    bn.eval()
    x = tg.tensor(x, device=device)
    if kind == "linear":
        fused = utils.fuse_linear_bn_eval(first, bn)
    else:
        fused = utils.fuse_conv_bn_eval(first, bn, transpose=kind == "transposed")
    assert type(fused) is type(first)
    assert fused is not first
    np.testing.assert_allclose(host(fused(x)), host(bn(first(x))), atol=1e-12)


def test_what_folding_refuses():
    with pytest.raises(ValueError, match="eval"):
        utils.fuse_conv_bn_eval(nn.Conv1d(1, 1, 1), nn.BatchNorm1d(1))
    with pytest.raises(ValueError, match="running statistics"):
        utils.fuse_linear_bn_eval(nn.Linear(1, 1).eval(), nn.BatchNorm1d(1, track_running_stats=False).eval())
    with pytest.raises(ValueError, match="do not fit"):
        utils.fuse_linear_bn_eval(nn.Linear(1, 2).eval(), nn.BatchNorm1d(3).eval())


# ------------------------------------------------------------------------------------------------ calls, initial values
def test_functional_call(device):
    module = nn.Sequential(nn.Linear(2, 3, device=device), nn.BatchNorm1d(3, device=device))
    own = dict(module.named_parameters())
    given = {name: tg.zeros_like(p).detach() for name, p in own.items()} | {"1.bias": tg.ones(3, device=device)}
    y = utils.stateless.functional_call(module, given, tg.ones(4, 2, device=device))
    assert y.tolist() == [[1.0] * 3] * 4
    assert all(module.get_parameter(name) is p for name, p in own.items())
    assert module[0].weight is own["0.weight"]
    mean = tg.full((3,), 5.0, device=device)
    module.eval()
    y = utils.stateless.functional_call(
        module,
        {
            **given,
            "1.weight": tg.ones(3, device=device),
            "1.running_mean": mean,
            "1.running_var": tg.ones(3, device=device),
        },
        (tg.ones(1, 2, device=device),),
    )
    np.testing.assert_allclose(host(y), [[-4.0] * 3], rtol=1e-4)


def test_functional_call_is_differentiable(device):
    module = nn.Linear(2, 1, device=device, dtype=tg.float64)
    x = tg.tensor(drawn(3, 2), device=device)
    weight = tg.tensor(drawn(1, 2), device=device, requires_grad=True)
    assert testing.gradcheck(lambda w: utils.stateless.functional_call(module, {"weight": w}, (x,), {}), weight)
    assert module.weight.grad is None


def test_tied_parameters():
    module = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    module[1].weight = module[0].weight
    double = 2 * tg.eye(2)
    call = utils.stateless.functional_call
    assert call(module, {"0.weight": double}, tg.ones(2)).tolist() == [4.0, 4.0]
    np.testing.assert_allclose(
        host(call(module, {"0.weight": double}, tg.ones(2), tie_weights=False)),
        2 * host(module[0].weight).sum(1), rtol=1e-6,
    )  # fmt: skip
    with pytest.raises(ValueError, match="tied"):
        call(module, {"0.weight": double, "1.weight": tg.eye(2)}, tg.ones(2))


def test_what_functional_call_refuses():
    module = nn.Linear(2, 2)
    with pytest.raises(RuntimeError, match="other"):
        utils.stateless.functional_call(module, {"other": tg.ones(2)}, tg.ones(2))
    with pytest.raises(RuntimeError, match="nothing for"):
        utils.stateless.functional_call(module, {"bias": tg.ones(2)}, tg.ones(2), strict=True)
    with pytest.raises(TypeError):
        utils.stateless.functional_call(module, {"bias": tg.ones(2)}, (tg.ones(2), 1))
    assert isinstance(module.bias, nn.Parameter)


def test_skip_init():
    tg.manual_seed(0)
    wanted = tg.randn(3).tolist()
    tg.manual_seed(0)
    module = utils.skip_init(nn.Linear, 20, 30)
    assert module.weight.shape == (30, 20)
    assert tg.randn(3).tolist() == wanted  # nothing was drawn
    assert nn.Linear(2, 2).weight.detach().numpy().any()
