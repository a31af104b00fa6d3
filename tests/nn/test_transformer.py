"""Transformer layers against their formulas in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.nn import functional as F
from tensorgrad.testing import gradcheck, gradgradcheck


def values(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def close(found, wanted):
    np.testing.assert_allclose(found.detach().cpu().numpy(), wanted, rtol=1e-9, atol=1e-9)


def stirred(layer):
    """The layer with all parameters drawn anew, so that no bias is 0 and no weight 1."""
    for i, parameter in enumerate(layer.parameters()):
        parameter.requires_grad = False
        parameter += tg.tensor(0.3 * values(*parameter.shape, seed=i), device=parameter.device)
        parameter.requires_grad = True
    return layer


class Reference:
    """The layers in NumPy, for two heads and inputs (N, length, features)."""

    def __init__(self, layer):
        self.p = {name: p.cpu().numpy() for name, p in layer.state_dict().items()}
        self.gelu = layer.activation is F.gelu
        self.norm_first = layer.norm_first

    def linear(self, x, name):
        return x @ self.p[name + ".weight"].T + self.p.get(name + ".bias", 0)

    def norm(self, x, name):
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
        return x * self.p[name + ".weight"] + self.p.get(name + ".bias", 0)

    def attention(self, name, q, m, hidden):
        n, size = q.shape[-1], q.shape[-1] // 2
        weights = np.split(self.p[name + ".in_proj_weight"], 3)
        biases = np.split(self.p.get(name + ".in_proj_bias", np.zeros(3 * n)), 3)
        q, k, v = (x @ w.T + b for x, w, b in zip((q, m, m), weights, biases, strict=True))
        heads = []
        for part in (slice(0, size), slice(size, n)):
            scores = q[..., part] @ k[..., part].swapaxes(-1, -2) / np.sqrt(size)
            heads.append(special.softmax(np.where(hidden, -np.inf, scores), -1) @ v[..., part])
        return self.linear(np.concatenate(heads, -1), name + ".out_proj")

    def feedforward(self, x):
        x = self.linear(x, "linear1")
        x = x * special.ndtr(x) if self.gelu else np.maximum(x, 0)
        return self.linear(x, "linear2")

    def __call__(self, x, memory=None, hidden=False, memory_hidden=False):
        blocks = [lambda x: self.attention("self_attn", x, x, hidden)]
        if memory is not None:
            blocks.append(lambda x: self.attention("multihead_attn", x, memory, memory_hidden))
        for i, block in enumerate([*blocks, self.feedforward], 1):
            x = x + block(self.norm(x, f"norm{i}")) if self.norm_first else self.norm(x + block(x), f"norm{i}")
        return x


CAUSAL = np.triu(np.ones((5, 5), bool), 1)
PADDING = np.array([[False] * 3 + [True] * 2, [False] * 5])
FORMS = [
    {},
    {"norm_first": True, "activation": "gelu", "batch_first": True},
    {"bias": False, "activation": F.gelu},
    {"norm_first": True},
]


@pytest.mark.parametrize("form", FORMS)
def test_encoder_layer(form, device):
    layer = stirred(nn.TransformerEncoderLayer(4, 2, 6, 0.0, device=device, dtype=tg.float64, **form))
    wanted = Reference(layer)
    x = values(2, 5, 4)
    swap = (lambda a: a) if form.get("batch_first") else (lambda a: a.swapaxes(0, 1))
    t = tg.tensor(swap(x).copy(), device=device)
    mask, padding = (tg.tensor(m, device=device) for m in (CAUSAL, PADDING))
    added = nn.Transformer.generate_square_subsequent_mask(5, device=device, dtype=tg.float64)
    close(layer(t), swap(wanted(x)))
    for given in (mask, added):
        close(layer(t, given), swap(wanted(x, hidden=CAUSAL)))
        close(layer(t, given, is_causal=True), swap(wanted(x, hidden=CAUSAL)))
    close(layer(t, src_key_padding_mask=padding), swap(wanted(x, hidden=PADDING[:, None])))
    close(layer(t, mask, padding, is_causal=True), swap(wanted(x, hidden=PADDING[:, None] | CAUSAL)))
    close(layer(tg.tensor(x[0], device=device), mask), wanted(x[:1], hidden=CAUSAL)[0])


@pytest.mark.parametrize("form", FORMS)
def test_decoder_layer(form, device):
    layer = stirred(nn.TransformerDecoderLayer(4, 2, 6, 0.0, device=device, dtype=tg.float64, **form))
    wanted = Reference(layer)
    x, m = values(2, 5, 4), values(2, 3, 4)
    swap = (lambda a: a) if form.get("batch_first") else (lambda a: a.swapaxes(0, 1))
    t = [tg.tensor(swap(a).copy(), device=device) for a in (x, m)]
    seen, padding = values(5, 3) > 1, np.array([[False, False, True], [False, True, False]])
    seen[:, 0] = False
    padding_of = {"tgt_key_padding_mask": PADDING, "memory_key_padding_mask": padding}
    masks = {"tgt_mask": CAUSAL, "memory_mask": seen, **padding_of}
    masks = {name: tg.tensor(mask, device=device) for name, mask in masks.items()}
    close(layer(*t), swap(wanted(x, m)))
    close(layer(*t, masks["tgt_mask"], tgt_is_causal=True), swap(wanted(x, m, CAUSAL)))
    close(layer(*t, **masks), swap(wanted(x, m, PADDING[:, None] | CAUSAL, padding[:, None] | seen)))
    close(layer(*(tg.tensor(a[1], device=device) for a in (x, m))), wanted(x[1:], m[1:])[0])


def test_transformer_is_its_parts(device):
    model = stirred(nn.Transformer(4, 2, 2, 2, 6, 0.0, batch_first=True, device=device, dtype=tg.float64))
    x, y = values(2, 3, 4), values(2, 5, 4)
    whole = Reference(model.encoder.layers[0])
    whole.p = {name: p.cpu().numpy() for name, p in model.state_dict().items()}
    memory, wanted = x, y
    for layer in model.encoder.layers:
        memory = Reference(layer)(memory)
    memory = whole.norm(memory, "encoder.norm")
    for layer in model.decoder.layers:
        wanted = Reference(layer)(wanted, memory, CAUSAL)
    wanted = whole.norm(wanted, "decoder.norm")
    t = [tg.tensor(a, device=device) for a in (x, y)]
    added = model.generate_square_subsequent_mask(5, device=device, dtype=tg.float64)
    for mask in (added, tg.tensor(CAUSAL, device=device)):
        for said in (None, False, True):
            close(model(*t, tgt_mask=mask, tgt_is_causal=said), wanted)
    close(model(*(a[1] for a in t), tgt_mask=added), wanted[1])


def test_a_mask_that_is_not_causal_is_kept(device):
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 6, 0.0, device=device, dtype=tg.float64), 1)
    x = tg.tensor(values(5, 2, 4), device=device)
    for hidden in (CAUSAL.T, CAUSAL & ~np.eye(5, k=1, dtype=bool)):
        wanted = Reference(encoder.layers[0])(x.cpu().numpy().swapaxes(0, 1), hidden=hidden).swapaxes(0, 1)
        close(encoder(x, tg.tensor(hidden, device=device)), wanted)


@pytest.mark.parametrize("norm_first", [False, True])
def test_gradients_of_first_and_second_order(norm_first):
    layer = stirred(nn.TransformerDecoderLayer(4, 2, 3, 0.0, "gelu", norm_first=norm_first, dtype=tg.float64))
    inputs = [tg.tensor(values(n, 1, 4), requires_grad=True) for n in (2, 3)]
    assert gradcheck(layer, inputs)
    assert gradgradcheck(layer, inputs)


def test_layers_of_a_stack_are_copies():
    layer = nn.TransformerEncoderLayer(4, 2, 6)
    encoder = nn.TransformerEncoder(layer, 2, nn.LayerNorm(4))
    one, other = (encoder.layers[i].linear1.weight for i in range(2))
    assert one is not other
    assert one.tolist() == other.tolist() == layer.linear1.weight.tolist()
    assert encoder(tg.ones(3, 1, 4)).shape == (3, 1, 4)
    other = nn.TransformerEncoder(layer, 2, None, enable_nested_tensor=False, mask_check=False)
    assert other(tg.ones(3, 1, 4)).shape == (3, 1, 4)


def test_state_dict_has_pytorchs_names():
    attention = ["in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias"]
    rest = ["linear1", "linear2", "norm1", "norm2", "norm3"]
    wanted = [f"{name}.{p}" for name in ("self_attn", "multihead_attn") for p in attention]
    wanted += [f"{name}.{p}" for name in rest for p in ("weight", "bias")]
    assert list(nn.TransformerDecoderLayer(4, 2, 6).state_dict()) == wanted
    names = list(nn.Transformer(4, 2, 1, 1, 6).state_dict())
    assert names[0] == "encoder.layers.0.self_attn.in_proj_weight"
    assert names[-2:] == ["decoder.norm.weight", "decoder.norm.bias"]


def test_weights_start_as_xavier_draws_them(device):
    for name, parameter in nn.Transformer(32, 2, 1, 1, 64, device=device).named_parameters():
        found = parameter.detach().cpu().numpy()
        if found.ndim > 1:
            bound = np.sqrt(6 / sum(found.shape))
            assert abs(found).max() <= bound, name
            np.testing.assert_allclose(found.std(), bound / np.sqrt(3), rtol=0.1)


def test_dropout_only_while_training(device):
    layer = nn.TransformerEncoderLayer(4, 2, 6, 0.5, device=device)
    x = tg.ones(5, 2, 4, device=device)
    assert layer(x).tolist() != layer(x).tolist()
    layer.eval()
    assert layer(x).tolist() == layer(x).tolist()
    dropped = nn.TransformerEncoderLayer(4, 2, 6, 1.0, norm_first=True, device=device)
    assert dropped(x).tolist() == x.tolist()


def test_custom_parts_and_activations():
    class Decoder(nn.Module):
        def forward(self, tgt, memory, **masks):
            return tgt + memory.mean(0)

    model = nn.Transformer(4, 2, 1, 1, 6, custom_decoder=Decoder())
    assert model(tg.ones(5, 2, 4), tg.ones(3, 2, 4)).shape == (3, 2, 4)
    assert not [name for name in model.state_dict() if "decoder" in name]
    layer = nn.TransformerEncoderLayer(4, 2, 6, activation=nn.PReLU())
    assert "activation.weight" in layer.state_dict()


def test_errors():
    model = nn.Transformer(4, 2, 1, 1, 6)
    with pytest.raises(ValueError, match=r"d_model=4, got shapes \(5, 2, 4\) and \(5, 3, 4\)"):
        model(tg.ones(5, 2, 4), tg.ones(5, 3, 4))
    with pytest.raises(ValueError, match=r"d_model=4, got shapes \(5, 2, 3\)"):
        model(tg.ones(5, 2, 3), tg.ones(5, 2, 4))
    with pytest.raises(ValueError, match=r"src must be .*got shape \(5, 2, 3\)"):
        model.encoder(tg.ones(5, 2, 3))
    with pytest.raises(ValueError, match=r"memory must be .*got shape \(5, 2, 3\)"):
        model.decoder(tg.ones(5, 2, 4), tg.ones(5, 2, 3))
    with pytest.raises(ValueError, match=r"attn_mask must have shape \(5, 5\)"):
        model.encoder(tg.ones(5, 2, 4), tg.zeros(4, 4))
    with pytest.raises(RuntimeError, match="is_causal"):
        model.encoder(tg.ones(5, 2, 4), is_causal=True)
    with pytest.raises(ValueError, match="'relu', 'gelu' or a callable"):
        nn.TransformerEncoderLayer(4, 2, activation="tanh")
