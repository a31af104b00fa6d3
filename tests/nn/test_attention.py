"""Attention against its formula in NumPy, and the multi-head layer against its parts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

import tensorgrad as tg
from tensorgrad import autograd, nn
from tensorgrad.nn import functional as F


def values(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def formula(q, k, v, mask=None, scale=None):
    scores = q @ k.swapaxes(-1, -2) * (q.shape[-1] ** -0.5 if scale is None else scale)
    if mask is not None:
        scores = np.where(mask, scores, -np.inf)
    return special.softmax(scores, -1) @ v


def close(found, wanted):
    np.testing.assert_allclose(found.detach().cpu().numpy(), wanted, rtol=1e-10, atol=1e-10)


def test_leading_axes_and_options(device):
    q, k, v = values(2, 6, 5, 4), values(2, 6, 7, 4, seed=1), values(2, 6, 7, 3, seed=2)
    t = [tg.tensor(x, device=device) for x in (q, k, v)]
    close(F.scaled_dot_product_attention(*t), formula(q, k, v))
    close(F.scaled_dot_product_attention(*t, scale=0.3), formula(q, k, v, scale=0.3))
    close(F.scaled_dot_product_attention(*t, is_causal=True), formula(q, k, v, np.tril(np.ones((5, 7), bool))))
    for part in (lambda x: x[0], lambda x: x[0, 0], lambda x: x[None]):
        close(F.scaled_dot_product_attention(*map(part, t)), formula(part(q), part(k), part(v)))
    shared = [tg.tensor(x[:, :2], device=device) for x in (k, v)]
    wanted = formula(q, k[:, [0] * 3 + [1] * 3], v[:, [0] * 3 + [1] * 3])
    close(F.scaled_dot_product_attention(t[0], *shared, enable_gqa=True), wanted)


@pytest.mark.parametrize("growth", [(1, 1), (1, 60), (60, 1)])
@pytest.mark.parametrize(("queries", "keys", "causal"), [(9, 9, False), (9, 9, True), (9, 4, True), (4, 9, True)])
@pytest.mark.parametrize(("side", "scores"), [(2, 1), (2, 24), (4, 1000)])
def test_many_blocks_are_one(monkeypatch, side, scores, queries, keys, causal, growth):
    from tensorgrad.kernels.cpu import attention

    monkeypatch.setattr(attention, "_SIDE", side)
    monkeypatch.setattr(attention, "_SCORES", scores)
    q, k, v = (values(4, n, 3, 4, seed=i) for i, n in enumerate((queries, keys, keys)))
    k *= np.linspace(*growth, keys)[:, None, None]  # small scores first and large ones later, or the other way round
    q, k, v = (tg.tensor(x, requires_grad=True).swapaxes(1, 2) for x in (q, k, v))
    g = tg.tensor(values(4, 3, queries, 4, seed=3))
    seen = tg.tensor(np.tril(np.ones((queries, keys), bool)) if causal else np.ones((queries, keys), bool))
    hidden = tg.full((queries, keys), -np.inf, dtype=tg.float64)
    scores_of_all = tg.where(seen, q @ k.mT * 0.5, hidden)
    found = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
    wanted = tg.softmax(scores_of_all, -1) @ v
    close(found, wanted.detach().numpy())
    for one, other in zip(*(autograd.grad((y * g).sum(), (q, k, v)) for y in (found, wanted)), strict=True):
        close(one, other.numpy())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("side", [2, 64])
def test_what_causality_hides_may_be_anything(monkeypatch, side, dtype, device):
    """Exponentials of hidden scores overflow, here those of the last key, and nobody but its own query sees that."""
    from tensorgrad.kernels.cpu import attention

    monkeypatch.setattr(attention, "_SIDE", side)
    q, k, v = (np.abs(values(1, 1, 6, 4, seed=i)) for i in range(3))
    results = []
    for size in (1.0, 1e4):
        k[0, 0, 5] = size
        leaves = [tg.tensor(x, dtype=dtype, device=device, requires_grad=True) for x in (q, k, v)]
        y = F.scaled_dot_product_attention(*leaves, is_causal=True)[..., :5, :]
        results.append([y.detach(), *autograd.grad((y**2).sum(), leaves)])
    for one, other in zip(*results, strict=True):
        one, other = (x.cpu().numpy()[..., :5, :] for x in (one, other))
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("level", [-1000.0, 1000.0])
def test_scores_far_from_zero(level, device):
    """A level that all scores of a query share changes nothing, however large its exponential."""
    q, k, v = (values(1, 2, 5, 4, seed=i) for i in range(3))
    wanted = special.softmax(q @ k.swapaxes(-1, -2), -1) @ v
    q, k = np.concatenate([q, np.full((1, 2, 5, 1), level)], -1), np.concatenate([k, np.ones((1, 2, 5, 1))], -1)
    leaves = [tg.tensor(x, device=device, requires_grad=True) for x in (q, k, v)]
    close(F.scaled_dot_product_attention(*leaves, scale=1.0), wanted)


def test_results_of_kernels_go_where_they_are_wanted():
    from tensorgrad import kernels as K

    q, k, v, g = (values(2, n, 3, 4, seed=i).swapaxes(1, 2) for i, n in enumerate((6, 7, 7, 6)))
    for make in (np.empty_like, lambda x: np.empty((*x.shape, 2))[..., 0], lambda x: np.empty(x.shape, np.float32)):
        wanted = K.attention(q, k, v, None, True, 0.5)
        out = tuple(make(y) for y in wanted)
        assert all(y is o for y, o in zip(K.attention(q, k, v, None, True, 0.5, out=out), out, strict=True))
        inputs = (g, q, k, v, *wanted, None, True, 0.5)
        wanted = (*wanted, *K.attention_backward(*inputs))
        out = (*out, *(make(x) for x in (q, k, v)))
        K.attention_backward(*inputs, out=out[2:])
        for y, o in zip(wanted, out, strict=True):
            np.testing.assert_allclose(o, y, rtol=1e-6, atol=1e-6)


def test_dropout_is_the_mask_of_dropout(device):
    q, k, v = (tg.tensor(values(2, 3, 9, 4, seed=i), device=device, requires_grad=True) for i in range(3))
    tg.manual_seed(3)
    y = F.scaled_dot_product_attention(q, k, v, dropout_p=0.4)
    tg.manual_seed(3)
    weights = F.dropout(tg.softmax(q @ k.mT * 0.5, -1), 0.4)
    close(y, (weights @ v).detach().cpu().numpy())
    first, second = (autograd.grad((x * x).sum(), (q, k, v)) for x in (y, weights @ v))
    for one, other in zip(first, second, strict=True):
        close(one, other.detach().cpu().numpy())


def test_gradient_of_a_mask():
    q, k, v = (tg.tensor(values(2, 3, 4, seed=i), requires_grad=True) for i in range(3))
    mask = tg.tensor(values(3, 3), requires_grad=True)
    found = autograd.grad((F.scaled_dot_product_attention(q, k, v, mask) ** 2).sum(), (mask, q))
    wanted = autograd.grad(((tg.softmax(q @ k.mT * 0.5 + mask, -1) @ v) ** 2).sum(), (mask, q))
    for one, other in zip(found, wanted, strict=True):
        close(one, other.numpy())


def test_errors():
    x = tg.ones(2, 3, 4)
    attend = F.scaled_dot_product_attention
    with pytest.raises(ValueError, match="not both"):
        attend(x, x, x, tg.ones(3, 3), is_causal=True)
    with pytest.raises(ValueError, match="must agree"):
        attend(x, tg.ones(2, 3, 5), x)
    with pytest.raises(TypeError, match="dtype"):
        attend(x, x, x.astype("float64"))
    with pytest.raises(TypeError, match="boolean or floating"):
        attend(x, x, x, tg.ones(3, 3, dtype="int64"))
    with pytest.raises(ValueError, match="multiple"):
        attend(x, tg.ones(3, 3, 4), tg.ones(3, 3, 4), enable_gqa=True)
    with pytest.raises(ValueError, match="between 0 and 1"):
        attend(x, x, x, dropout_p=1.5)
    with pytest.raises(ValueError, match="divisible"):
        nn.MultiheadAttention(5, 2)
    layer = nn.MultiheadAttention(4, 2)
    with pytest.raises(RuntimeError, match="is_causal"):
        layer(x, x, x, is_causal=True)
    with pytest.raises(TypeError, match="attn_mask must be boolean or floating, got int64"):
        layer(x, x, x, attn_mask=tg.zeros(2, 2, dtype="int64"))
    with pytest.raises(TypeError, match="key_padding_mask must be boolean or floating, got int64"):
        layer(x, x, x, tg.zeros(3, 2, dtype="int64"))


@pytest.mark.parametrize("options", [{}, {"bias": False}, {"add_bias_kv": True}, {"add_zero_attn": True},
                                     {"kdim": 5, "vdim": 3}])  # fmt: skip
@pytest.mark.parametrize("batch_first", [False, True])
def test_multihead_attention(options, batch_first, device):
    layer = nn.MultiheadAttention(8, 2, batch_first=batch_first, device=device, dtype="float64", **options)
    sizes = 8, options.get("kdim", 8), options.get("vdim", 8)
    q, k, v = (values(3, 4, n, seed=n) for n in sizes)
    inputs = [tg.tensor(x if batch_first else x.swapaxes(0, 1), device=device) for x in (q, k, v)]
    hidden = np.triu(np.ones((4, 4), bool), 1)
    y, weights = layer(*inputs, attn_mask=tg.tensor(hidden, device=device))
    direct, nothing = layer(*inputs, attn_mask=tg.tensor(hidden, device=device), need_weights=False)
    assert nothing is None
    state = {name: p.cpu().numpy() for name, p in layer.state_dict().items()}
    joint = state.get("in_proj_weight")
    parts = [state[f"{n}_proj_weight"] for n in "qkv"] if joint is None else np.split(joint, 3)
    biases = np.split(state.get("in_proj_bias", np.zeros(24)), 3)
    q, k, v = (x @ w.T + b for x, w, b in zip((q, k, v), parts, biases, strict=True))
    extra = [(state["bias_k"][0], state["bias_v"][0])] if "bias_k" in state else []
    extra += [(np.zeros((1, 8)),) * 2] if options.get("add_zero_attn") else []
    for row_k, row_v in extra:
        k = np.concatenate([k, np.broadcast_to(row_k, (3, 1, 8))], 1)
        v = np.concatenate([v, np.broadcast_to(row_v, (3, 1, 8))], 1)
        hidden = np.concatenate([hidden, np.zeros((4, 1), bool)], 1)
    q, k, v = (x.reshape(3, -1, 2, 4).swapaxes(1, 2) for x in (q, k, v))
    wanted = formula(q, k, v, ~hidden).swapaxes(1, 2).reshape(3, 4, 8)
    wanted = wanted @ state["out_proj.weight"].T + state.get("out_proj.bias", 0)
    for found in (y, direct):
        close(found, wanted if batch_first else wanted.swapaxes(0, 1))
    assert weights.shape == (3, 4, k.shape[2])
    close(weights.sum(-1), np.ones((3, 4)))


def test_padding_and_heads_apart():
    layer = nn.MultiheadAttention(8, 2, batch_first=True)
    x = tg.tensor(values(3, 4, 8).astype(np.float32))
    padding = tg.tensor([[False] * 4, [False, False, True, True], [False, True, False, True]])
    _, weights = layer(x, x, x, key_padding_mask=padding, average_attn_weights=False)
    assert weights.shape == (3, 2, 4, 4)
    assert weights.detach().numpy()[1, :, :, 2:].max() == 0
    y, _ = layer(x[0], x[0], x[0])
    assert y.shape == (4, 8)


def test_state_dict_keys():
    assert list(nn.MultiheadAttention(4, 2, add_bias_kv=True).state_dict()) == [
        "in_proj_weight", "in_proj_bias", "bias_k", "bias_v", "out_proj.weight", "out_proj.bias",
    ]  # fmt: skip


def test_function_of_given_weights(device):
    """What the layer computes, from its weights; static keys and values in place of projected ones."""
    layer = tg.nn.MultiheadAttention(6, 2, kdim=5, vdim=7, add_bias_kv=True, add_zero_attn=True).to("float64")
    layer.to(device)
    rng = np.random.default_rng(0)
    q, k, v = (tg.tensor(rng.standard_normal(s), device=device) for s in ((4, 3, 6), (5, 3, 5), (5, 3, 7)))
    mask = tg.tensor(rng.standard_normal((4, 5)), device=device)
    weights = {name: getattr(layer, name) for name in ("q_proj_weight", "k_proj_weight", "v_proj_weight")}
    common = (layer.in_proj_bias, layer.bias_k, layer.bias_v, True, 0.0, layer.out_proj.weight, layer.out_proj.bias)
    for needs in (True, False):
        wanted = layer(q, k, v, attn_mask=mask, need_weights=needs)
        found = F.multi_head_attention_forward(
            q, k, v, 6, 2, None, *common, need_weights=needs, attn_mask=mask, use_separate_proj_weight=True, **weights
        )
        for x, y in zip(found, wanted, strict=True):
            assert (x is None) == (y is None)
            if x is not None:
                np.testing.assert_array_equal(x.detach().cpu().numpy(), y.detach().cpu().numpy())
    x = tg.tensor(rng.standard_normal((4, 3, 6)), device=device)
    w, b = (tg.tensor(rng.standard_normal(s), device=device) for s in ((18, 6), (18,)))
    own = F.linear(x, w, b)[..., 6:]
    k, v = (part.reshape(4, 6, 3).transpose(0, 1) for part in (own[..., :6], own[..., 6:]))
    rest = (None, None, False, 0.0, tg.eye(6, dtype=tg.float64, device=device), None)
    plain, _ = F.multi_head_attention_forward(x, x, x, 6, 2, w, b, *rest)
    static, _ = F.multi_head_attention_forward(x, x[:1], x[:1], 6, 2, w, b, *rest, static_k=k, static_v=v)
    np.testing.assert_allclose(static.cpu().numpy(), plain.cpu().numpy(), atol=1e-12)
    for error, options in (
        (ValueError, {"embed_dim_to_check": 5}), (ValueError, {"num_heads": 4}), (ValueError, {"in_proj_weight": None}),
        (RuntimeError, {"is_causal": True}), (ValueError, {"static_k": k[:1]}), (ValueError, {"bias_k": x[:1, :1]}),
    ):  # fmt: skip
        given = {"embed_dim_to_check": 6, "num_heads": 2, "in_proj_weight": w, "in_proj_bias": b, "bias_k": None}
        with pytest.raises(error):
            F.multi_head_attention_forward(
                x, x, x, **{**given, "bias_v": None, "add_zero_attn": False, "dropout_p": 0.0, "out_proj_weight": w,
                            "out_proj_bias": None, **options}
            )  # fmt: skip


def test_multihead_attention_of_no_sample():
    layer = nn.MultiheadAttention(4, 2, add_bias_kv=True, add_zero_attn=True, batch_first=True)
    y, shares = layer(*(tg.ones(0, n, 4) for n in (3, 5, 5)))
    assert (y.shape, shares.shape) == ((0, 3, 4), (0, 3, 7))
