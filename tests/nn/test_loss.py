"""Losses against values and gradients of PyTorch 2.13, formulas and finite differences."""

from __future__ import annotations

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.nn import functional as F

DATA = {
    "x": [[0.2, -1.3, 0.7], [1.1, 0.0, -0.4]], "y": [[0.5, -1.3, -0.8], [1.0, 2.0, 0.6]],
    "z": [[1.0, 0.4, -0.3], [-0.6, 0.2, 0.9]],
    "p": [[0.2, 0.5, 0.3], [0.7, 0.1, 0.2]], "b": [[0.0, 1.0, 0.3], [1.0, 0.0, 1.0]],
    "s": [[1.0, -1.0, 1.0], [-1.0, -1.0, 1.0]], "t": [1.0, -1.0],
    "c": [2, 0], "m": [[2, -1, 0], [0, 1, -1]], "w": [0.5, 2.0, 1.5],
}  # fmt: skip
# class, options, arguments, loss, gradient of the first argument: computed in float64 with PyTorch 2.13
REFERENCE = [
    ("L1Loss", {}, "xy", 0.816666667, [-0.166666667, 0.0, 0.166666667, 0.166666667, -0.166666667, -0.166666667]),
    ("MSELoss", {}, "xy", 1.225, [-0.1, 0.0, 0.5, 0.0333333333, -0.666666667, -0.333333333]),
    ("SmoothL1Loss", {"beta": 0.5}, "xy", 0.641666667,
     [-0.1, 0.0, 0.166666667, 0.0333333333, -0.166666667, -0.166666667]),
    ("HuberLoss", {"delta": 0.5}, "xy", 0.320833333,
     [-0.05, 0.0, 0.0833333333, 0.0166666667, -0.0833333333, -0.0833333333]),
    ("KLDivLoss", {}, "xp", -0.353578594,
     [-0.0333333333, -0.0833333333, -0.05, -0.116666667, -0.0166666667, -0.0333333333]),
    ("KLDivLoss", {"log_target": True}, "xy", 2.69150429,
     [-0.274786878, -0.0454219655, -0.0748881607, -0.453046971, -1.23150935, -0.303686467]),
    ("KLDivLoss", {"reduction": "batchmean"}, "xp", -1.06073578, [-0.1, -0.25, -0.15, -0.35, -0.05, -0.1]),
    ("PoissonNLLLoss", {"full": True}, "xp", 1.31536222,
     [0.170233793, -0.0379113678, 0.285625451, 0.384027671, 0.15, 0.0783866743]),
    ("PoissonNLLLoss", {"log_input": False}, "pp", 0.638578584,
     [8.33333291e-09, 3.33333328e-09, 5.55555538e-09, 2.38095235e-09, 1.6666665e-08, 8.33333291e-09]),
    ("GaussianNLLLoss", {"full": True}, "xyp", 4.68469102,
     [-0.25, 0.0, 0.833333333, 0.0238095238, -3.33333333, -0.833333333]),
    ("CrossEntropyLoss", {"weight": "w", "label_smoothing": 0.1}, "xc", 0.685544489,
     [0.249920509, 0.0242908879, -0.274211397, -0.0458870393, 0.0290621177, 0.0168249216]),
    ("CrossEntropyLoss", {"ignore_index": 2}, "xc", 0.442119225,
     [0.0, 0.0, 0.0, -0.357326992, 0.213927261, 0.143399731]),
    ("CrossEntropyLoss", {}, "xp", 1.25353807,
     [0.0741037139, -0.21115221, 0.137048496, -0.0286634959, 0.0569636303, -0.0283001344]),
    ("NLLLoss", {"weight": "w"}, "xc", -0.8, [0.0, 0.0, -0.75, -0.25, 0.0, 0.0]),
    ("NLLLoss", {"ignore_index": 0}, "xc", -0.7, [0.0, 0.0, -1.0, 0.0, 0.0, 0.0]),
    ("BCELoss", {}, "pb", 0.599771401, [0.208333333, -0.333333333, 0.0, -0.238095238, 0.185185185, -0.833333333]),
    ("BCELoss", {"weight": "w"}, "pb", 0.869562994,
     [0.104166667, -0.666666667, 0.0, -0.119047619, 0.37037037, -1.25]),
    ("BCEWithLogitsLoss", {"pos_weight": "w"}, "xb", 1.17335958,
     [0.0916389996, -0.261944994, 0.053069323, -0.0208116579, 0.0833333333, -0.149671915]),
    ("SoftMarginLoss", {}, "xs", 0.705971855,
     [-0.0750276671, 0.0356941695, -0.055302038, 0.125043351, 0.0833333333, -0.0997812767]),
    ("MultiLabelSoftMarginLoss", {"weight": "w"}, "xb", 1.28672505,
     [0.0458194998, -0.261944994, 0.092046943, -0.0208116579, 0.166666667, -0.149671915]),
    ("HingeEmbeddingLoss", {"margin": 0.8}, "xs", 0.566666667,
     [0.166666667, -0.166666667, 0.166666667, 0.0, -0.166666667, 0.166666667]),
    ("MarginRankingLoss", {"margin": 0.3}, "xys", 0.433333333,
     [-0.166666667, 0.166666667, 0.0, 0.166666667, 0.0, -0.166666667]),
    ("CosineEmbeddingLoss", {"margin": 0.2}, "xyt", 0.301707552,
     [-0.0813100882, 0.121118152, 0.248165165, 0.0571048001, 0.369026302, 0.1570382]),
    ("TripletMarginLoss", {"p": 1.0, "margin": 2.0}, "xyz", 1.100001, [0.0, 1.0, 0.0, 0.0, 0.0, 0.0]),
    ("TripletMarginLoss", {"swap": True}, "xyz", 0.888697927,
     [-0.0980576904, 3.26860058e-07, 0.490290413, -0.373117416, -0.400243111, 0.0790236909]),
    ("TripletMarginWithDistanceLoss", {}, "xyz", 0.745105346,
     [0.0898785312, 0.399365062, 0.255369608, -0.373117416, -0.400243111, 0.0790236909]),
    ("MultiMarginLoss", {"p": 2, "weight": "w"}, "xc", 0.0625, [0.25, 0.0, -0.25, 0.0, 0.0, 0.0]),
    ("MultiLabelMarginLoss", {}, "xm", 0.183333333, [0.166666667, 0.0, -0.166666667, 0.0, -0.166666667, 0.166666667]),

]  # fmt: skip


def data(name, device, requires_grad=False):
    values = DATA[name]
    whole = isinstance(np.ravel(values)[0], np.integer)
    return tg.tensor(values, dtype=tg.int64 if whole else tg.float64, device=device, requires_grad=requires_grad)


def made(name, options, device):
    tensors = {k: data(v, device) if v in DATA else v for k, v in options.items()}
    return getattr(nn, name)(**tensors)


every_loss = pytest.mark.parametrize(
    ("name", "options", "arguments", "loss", "gradient"),
    REFERENCE,
    ids=[f"{r[0]}-{i}" for i, r in enumerate(REFERENCE)],
)


@every_loss
def test_values_and_gradients(name, options, arguments, loss, gradient, device):
    x, *others = (data(a, device, requires_grad=i == 0) for i, a in enumerate(arguments))
    y = made(name, options, device)(x, *others)
    y.backward()
    assert y.shape == ()
    np.testing.assert_allclose(y.item(), loss, rtol=1e-8)
    np.testing.assert_allclose(np.ravel(x.grad.tolist()), gradient, rtol=1e-7, atol=1e-9)


@every_loss
def test_second_order_is_the_slope_of_first_order(name, options, arguments, loss, gradient):
    others = [data(a, "cpu") for a in arguments[1:]]
    criterion = made(name, options, "cpu")
    x0 = np.array(DATA[arguments[0]]) + 0.01 * np.arange(6).reshape(2, 3)  # away from kinks
    direction = np.array([[0.3, -1.0, 0.5], [0.8, -0.2, -0.6]])

    def first(values, create_graph=False):
        v = tg.tensor(values, requires_grad=True)
        return v, tg.autograd.grad(criterion(v, *others), v, create_graph=create_graph)[0]

    x, g = first(x0, create_graph=True)
    along = (g * tg.tensor(direction)).sum()
    second = tg.autograd.grad(along, x)[0].numpy() if along.requires_grad else np.zeros_like(x0)
    h = 1e-6
    slope = (first(x0 + h * direction)[1].numpy() - first(x0 - h * direction)[1].numpy()) / (2 * h)
    np.testing.assert_allclose(second, slope, atol=2e-7)


@every_loss
def test_reductions_agree(name, options, arguments, loss, gradient):
    if options.get("reduction") == "batchmean" or options.get("weight") or "ignore_index" in options:
        pytest.skip("the mean is not over all elements")
    tensors = [data(a, "cpu") for a in arguments]
    each, total, mean = (made(name, {**options, "reduction": r}, "cpu")(*tensors) for r in ("none", "sum", "mean"))
    np.testing.assert_allclose(each.numpy().sum(), total.item(), rtol=1e-12)
    np.testing.assert_allclose(each.numpy().mean(), mean.item(), rtol=1e-12)


def test_cross_entropy_is_minus_log_softmax(device):
    x = np.array(DATA["x"])
    log_p = x - np.log(np.exp(x).sum(1, keepdims=True))
    loss = nn.CrossEntropyLoss(reduction="none")(data("x", device), data("c", device))
    np.testing.assert_allclose(loss.tolist(), -log_p[[0, 1], [2, 0]], rtol=1e-12)


def test_nll_of_log_softmax_is_cross_entropy_on_images(device):
    rng = np.random.default_rng(0)
    x = tg.tensor(rng.standard_normal((2, 4, 3, 5)), device=device)
    target = rng.integers(0, 4, (2, 3, 5))
    target[0, 0] = -100
    target = tg.tensor(target, device=device)
    weight = tg.tensor([0.5, 1.0, 2.0, 3.0], dtype=tg.float64, device=device)
    for reduction in ("none", "sum", "mean"):
        ours = F.nll_loss(F.log_softmax(x, 1), target, weight, reduction=reduction)
        fused = F.cross_entropy(x, target, weight, reduction=reduction)
        np.testing.assert_allclose(ours.tolist(), fused.tolist(), rtol=1e-12)


def test_an_ignored_sample_may_have_an_infinite_loss():
    x = tg.tensor([[-np.inf, 0.0], [0.0, -1.0]], dtype=tg.float64, requires_grad=True)
    loss = F.nll_loss(x, tg.tensor([-100, 1]))
    loss.backward()
    assert loss.item() == 1.0
    assert x.grad.tolist() == [[0.0, 0.0], [0.0, -1.0]]


def test_bce_of_certain_but_wrong_predictions_is_finite(device):
    x = tg.tensor([0.0, 1.0, 0.0], dtype=tg.float64, device=device, requires_grad=True)
    loss = nn.BCELoss(reduction="none")(x, tg.tensor([1.0, 0.0, 0.0], dtype=tg.float64, device=device))
    loss.sum().backward()
    assert loss.tolist() == [100.0, 100.0, 0.0]
    np.testing.assert_allclose(x.grad.tolist()[:2], [-1e12, 1e12], rtol=1e-6)  # PyTorch: 1e12 up to rounding


def test_bce_with_logits_does_not_overflow(device):
    x = tg.tensor([800.0, -800.0], device=device, requires_grad=True)
    loss = nn.BCEWithLogitsLoss(reduction="sum")(x, tg.tensor([0.0, 0.0], device=device))
    loss.backward()
    assert loss.item() == 800.0
    assert x.grad.tolist() == [1.0, 0.0]


def test_weights_of_regression_losses(device):
    x, y, w = data("x", device), data("y", device), data("p", device)
    d, weights = np.array(DATA["x"]) - np.array(DATA["y"]), np.array(DATA["p"])
    mse, l1 = F.mse_loss(x, y, weight=w).item(), F.l1_loss(x, y, weight=w).item()
    np.testing.assert_allclose(mse, (weights * d**2).sum() / weights.sum())
    np.testing.assert_allclose(l1, (weights * abs(d)).sum() / weights.sum())
    huber = np.where(abs(d) <= 1, d**2 / 2, abs(d) - 0.5)
    np.testing.assert_allclose(F.huber_loss(x, y, weight=w).item(), (weights * huber).mean())
    with pytest.raises(ValueError, match="must have the shape"):
        F.mse_loss(x, y, weight=w[0])


def test_gaussian_variance_shapes_and_floor():
    x, y = data("x", "cpu"), data("y", "cpu")
    row = tg.tensor([0.5, 2.0], dtype=tg.float64)
    full = tg.tensor([[0.5] * 3, [2.0] * 3], dtype=tg.float64)
    expected = F.gaussian_nll_loss(x, y, full).item()
    assert F.gaussian_nll_loss(x, y, row).item() == expected
    assert F.gaussian_nll_loss(x, y, row.expand_dims(1)).item() == expected
    var = tg.zeros(2, 3, dtype=tg.float64, requires_grad=True)
    F.gaussian_nll_loss(x, y, var, eps=0.5).backward()
    d = np.array(DATA["x"]) - np.array(DATA["y"])
    np.testing.assert_allclose(var.grad.tolist(), (0.5 / 0.5 - 0.5 * d**2 / 0.25) / 6)
    with pytest.raises(ValueError, match="var must have the shape"):
        F.gaussian_nll_loss(x, y, tg.ones(3))


def test_a_target_of_another_shape_warns_or_raises():
    with pytest.warns(UserWarning, match=r"mse_loss: the target has shape \(2,\), the input \(2, 1\)"):
        assert F.mse_loss(tg.ones(2, 1), tg.zeros(2), reduction="none").shape == (2, 2)
    for loss in (F.binary_cross_entropy, F.binary_cross_entropy_with_logits, F.soft_margin_loss):
        with pytest.raises(ValueError, match="must have the shape"):
            loss(tg.ones(2, 1), tg.ones(2))


def test_errors_name_the_option():
    x = tg.ones(2, 3)
    for call, text in (
        (lambda: nn.MSELoss(reduction="average"), 'MSELoss: reduction must be one of "mean", "sum", "none"'),
        (lambda: F.mse_loss(x, x, "average"), "mse_loss: reduction must be"),
        (lambda: nn.CrossEntropyLoss(label_smoothing=1.5), "label_smoothing must be between 0 and 1"),
        (lambda: F.huber_loss(x, x, delta=0.0), "delta must be greater than 0"),
        (lambda: F.smooth_l1_loss(x, x, beta=-1.0), "beta must be at least 0"),
        (lambda: F.nll_loss(x, tg.tensor([0.0, 1.0])), "needs class indices"),
        (lambda: F.nll_loss(x, tg.tensor([0, 1]), tg.ones(2)), "3 classes need weights"),
        (lambda: nn.MultiMarginLoss(p=3), "p must be 1 or 2"),
        (lambda: nn.TripletMarginLoss(margin=0.0), "margin must be greater than 0"),
        (lambda: F.cosine_embedding_loss(x, x, tg.ones(2, 3)), "expected inputs"),
        (lambda: F.multilabel_margin_loss(x, x), "need integer targets"),
    ):
        with pytest.raises(ValueError, match=text):
            call()


@pytest.mark.parametrize(
    ("average", "reduce", "reduction"), [(None, False, "none"), (False, None, "sum"), (True, True, "mean")]
)
def test_former_names_of_reduction_are_honoured(average, reduce, reduction):
    with pytest.warns(UserWarning, match=f'say reduction="{reduction}"'):
        assert nn.MSELoss(average, reduce).reduction == reduction


def test_weights_are_buffers():
    loss = nn.CrossEntropyLoss(tg.ones(3), None, 1)
    assert list(loss.state_dict()) == ["weight"]
    assert loss.ignore_index == 1
    assert loss.double().weight.dtype == tg.float64
    assert list(nn.CrossEntropyLoss().state_dict()) == []


def test_distances(device):
    a, b = tg.tensor([[3.0, 4.0]], device=device), tg.tensor([[0.0, 0.0]], device=device)
    np.testing.assert_allclose(nn.PairwiseDistance(eps=0.0)(a, b).tolist(), [5.0])
    np.testing.assert_allclose(nn.PairwiseDistance(1.0, 0.0, True)(a, b).tolist(), [[7.0]])
    np.testing.assert_allclose(nn.PairwiseDistance(np.inf, 0.0)(a, b).tolist(), [4.0])
    np.testing.assert_allclose(nn.CosineSimilarity()(a, tg.tensor([[4.0, 3.0]], device=device)).tolist(), [0.96], 1e-6)
    np.testing.assert_allclose(F.normalize(a).tolist(), [[0.6, 0.8]], 1e-6)
    x = tg.zeros(1, 2, device=device, requires_grad=True)
    F.pairwise_distance(x, b, eps=0.0).sum().backward()
    assert x.grad.tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize("options", [{}, {"bias": True, "ignore_index": 1}, {"out_features": (2, 3), "bias": True}])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_linear_cross_entropy(reduction, options, device):
    loss = nn.LinearCrossEntropyLoss(4, 3, reduction=reduction, **options, device=device, dtype=tg.float64)
    random = np.random.default_rng(0)
    x, shape = random.normal(size=(5, 4)), options.get("out_features", ())
    target = random.integers(0, 3, (5, *shape))
    w = loss.linear.weight.detach().cpu().numpy().reshape(3, *shape, 4)
    b = loss.linear.bias.detach().cpu().numpy().reshape(3, *shape) if "bias" in options else 0
    logits = np.moveaxis(np.tensordot(x, w, (1, w.ndim - 1)) + b, 1, -1)
    losses = np.log(np.exp(logits).sum(-1)) - np.take_along_axis(logits, target[..., None], -1)[..., 0]
    counted = target != options.get("ignore_index", -100)
    losses = losses * counted
    expected = {"mean": losses.sum() / counted.sum(), "sum": losses.sum(), "none": losses}[reduction]
    found = loss(tg.tensor(x, device=device), tg.tensor(target, device=device))
    np.testing.assert_allclose(found.detach().cpu().numpy(), expected, rtol=1e-10)


def test_what_linear_cross_entropy_refuses():
    with pytest.raises(ValueError, match="expected an input"):
        F.linear_cross_entropy(tg.ones(2, 3), tg.ones(4, 2), tg.tensor([0, 1]))
    with pytest.raises(ValueError, match="needs an input"):
        F.linear_cross_entropy(tg.ones(3), tg.ones(4, 2, 3), tg.tensor([0, 1]))
    with pytest.raises(ValueError, match="linear_bias"):
        F.linear_cross_entropy(tg.ones(2, 3), tg.ones(4, 3), tg.tensor([0, 1]), linear_bias=tg.ones(3))
    with pytest.raises(ValueError, match="ignore_index"):
        F.linear_cross_entropy(tg.ones(2, 3), tg.ones(4, 3), tg.ones(2, 4), ignore_index=1)
    for options, match in (({"weight": tg.ones(2)}, "weight"), ({"label_smoothing": 2.0}, "label_smoothing")):
        with pytest.raises(ValueError, match=match):
            nn.LinearCrossEntropyLoss(4, 3, **options)


@pytest.mark.parametrize("p", [0.0, 0.5, 1.0, 2.0, 3.0, np.inf])
def test_pdist(p, device):
    x = np.random.default_rng(0).normal(size=(4, 3))
    pairs = [(i, j) for i in range(4) for j in range(i + 1, 4)]
    expected = [np.linalg.norm(x[i] - x[j], p) if p >= 1 or p == 0 else (np.abs(x[i] - x[j]) ** p).sum() ** (1 / p)
                for i, j in pairs]  # fmt: skip
    leaf = tg.tensor(x, device=device, requires_grad=True)
    np.testing.assert_allclose(F.pdist(leaf, p).detach().cpu().numpy(), expected, rtol=1e-12)
    if p:
        assert tg.testing.gradcheck(lambda x: F.pdist(x, p), leaf)
    assert F.pdist(tg.ones(1, 3, device=device)).shape == (0,)


def test_what_pdist_refuses():
    with pytest.raises(ValueError, match="2 axes"):
        F.pdist(tg.ones(2, 2, 2))
    with pytest.raises(ValueError, match="p must be"):
        F.pdist(tg.ones(2, 2), -1.0)


def test_a_number_is_the_score_of_the_one_class():
    x = tg.tensor(0.5, requires_grad=True)
    assert F.multi_margin_loss(x, tg.tensor(0)).item() == 0.0
    assert F.multilabel_margin_loss(x, tg.tensor(0)).item() == 0.0
    row = tg.tensor([0.1, 0.9, 0.2])
    assert F.multi_margin_loss(row, tg.tensor([1])).item() == F.multi_margin_loss(row, tg.tensor(1)).item()


def test_kl_div_of_numbers_is_their_batch_mean():
    x, y = tg.tensor(-0.5), tg.tensor(0.3)
    assert F.kl_div(x, y, reduction="batchmean").item() == F.kl_div(x, y, reduction="sum").item()


def test_gaussian_variance_may_be_one_for_all_samples():
    x, y, var = tg.ones(4, 3), tg.zeros(4, 3), tg.tensor([[1.0, 2.0, 4.0]])
    expected = F.gaussian_nll_loss(x, y, tg.broadcast_to(var, (4, 3))).item()
    assert F.gaussian_nll_loss(x, y, var).item() == expected


def test_class_weights_and_gradients(device):
    """With probabilities the weight has a gradient; with class indices it has none, which is said."""
    rng = np.random.default_rng(0)
    z, p, w = rng.standard_normal((3, 4)), rng.dirichlet(np.ones(4), 3), rng.uniform(0.5, 1.5, 4)
    logits, target, weight = (tg.tensor(a, device=device) for a in (z, p, w))
    weight.requires_grad = True
    log_p = z - np.log(np.exp(z).sum(1, keepdims=True))
    mixed = 0.8 * p + 0.2 / 4
    for reduction, scale in (("mean", 1 / 3), ("sum", 1.0)):
        loss = F.cross_entropy(logits, target, weight, reduction=reduction, label_smoothing=0.2)
        (gradient,) = tg.autograd.grad(loss, [weight])
        np.testing.assert_allclose(loss.item(), -(mixed * w * log_p).sum() * scale)
        np.testing.assert_allclose(gradient.cpu().numpy(), -(mixed * log_p).sum(0) * scale)
    with pytest.raises(RuntimeError, match="weight has no gradient"):
        F.cross_entropy(logits, tg.tensor([0, 1, 2], device=device), weight)


def test_losses_of_nothing_and_of_infinity(device):
    empty = tg.zeros(0, 4, device=device)
    assert np.isnan(F.cross_entropy(empty, empty).item())
    assert F.cross_entropy(empty, empty, reduction="sum").item() == 0
    for loss in (F.smooth_l1_loss, F.huber_loss):
        x = tg.tensor([np.inf, 1e30, 0.0], device=device, requires_grad=True)
        loss(x, tg.zeros(3, device=device), reduction="sum").backward()
        assert x.grad.tolist() == [1, 1, 0]
    row, target = tg.randn(3, 4, device=device), tg.ones(4, device=device)
    y = F.multilabel_soft_margin_loss(row, target, reduction="none")
    assert y.tolist() == F.multilabel_soft_margin_loss(row, tg.ones(3, 4, device=device), reduction="none").tolist()


def test_errors_are_also_pytorchs():
    for call in (
        lambda: F.glu(tg.ones(3)), lambda: F.huber_loss(tg.ones(1), tg.ones(1), delta=0.0),
        lambda: F.gelu(tg.ones(1), "bad"), lambda: F.linear(tg.ones(2, 3), tg.ones(4, 2)),
        lambda: F.conv1d(tg.ones(1, 2, 3), tg.ones(1, 1, 1)), lambda: F.prelu(tg.ones(2, 3), tg.ones(2)),
    ):  # fmt: skip
        for kind in (ValueError, RuntimeError):
            with pytest.raises(kind):
                call()


def test_small_class_indices(device):
    x = tg.tensor([[-1.0, -2.0], [-3.0, -0.5]], device=device)
    for dtype in ("uint8", "uint32", "int16"):
        target = tg.tensor([1, 0], dtype=dtype, device=device)
        assert F.nll_loss(x, target).item() == 2.5
        assert F.nll_loss(x, target, ignore_index=1).item() == 3.0


def test_triplets_own_their_distance():
    assert isinstance(nn.TripletMarginWithDistanceLoss().distance_function, nn.PairwiseDistance)
