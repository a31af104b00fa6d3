"""The table: every layer, loss, optimizer and schedule with its options. After a change, run make_vectors.py.

A layer's or a loss's case is a module and what it is called with; see specs.py for the values (``N(2, 3)`` is a normal
array of that shape). What is not in the table has a reason in `EXEMPT`.
"""

from __future__ import annotations

from .specs import (
    Bits,
    Case,
    FixedN,
    FixedU,
    I,
    Made,
    N,
    P,
    Shares,
    Signs,
    U,
    V,
    after,
    at,
    evaluating,
    made,
)

EXEMPT = {
    "Module": "the base class",
    "ModuleList": "has no forward",
    "ModuleDict": "has no forward",
    "ParameterList": "has no forward",
    "ParameterDict": "has no forward",
    "Optimizer": "the base class",
    "LRScheduler": "the base class",
    "Lion": "not in PyTorch; tests/optim compares it with its formula",
}

ACTIVATIONS = [
    *(at(made(kind), N(3, 4)) for kind in (
        "CELU", "ELU", "GELU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyReLU", "LogSigmoid", "Mish",
        "PReLU", "ReLU", "ReLU6", "SELU", "SiLU", "Sigmoid", "Softplus", "Softshrink", "Softsign", "Tanh", "Tanhshrink",
    )),
    at(made("CELU", 0.5), N(3, 4)),
    at(made("ELU", 0.5), N(3, 4)),
    at(made("GELU", approximate="tanh"), N(3, 4)),
    at(made("GLU"), N(3, 4)),
    at(made("GLU", 0), N(4, 3)),
    at(made("Hardshrink", 0.8), N(3, 4)),
    at(made("Hardtanh", -0.5, 0.7), N(3, 4)),
    at(made("LeakyReLU", 0.2), N(3, 4)),
    at(made("PReLU", 3, 0.1), N(2, 3, 2)),
    evaluating(made("RReLU", 0.1, 0.3), N(3, 4)),
    at(made("RReLU", 0.2, 0.2), N(3, 4)),
    *(at(made(kind, dim), N(2, 3, 2)) for kind in ("Softmax", "LogSoftmax", "Softmin") for dim in (1, -1)),
    at(made("Softmax2d"), N(2, 3, 2, 2)),
    at(made("Softplus", 2.0, 1.0), N(3, 4)),
    at(made("Softshrink", 0.8), N(3, 4)),
    at(made("Threshold", 0.3, -2.0), N(3, 4)),
]  # fmt: skip

LINEAR = [
    at(made("Identity", 5, extra=True), N(2, 3)),
    at(made("Linear", 3, 4), N(2, 3)),
    at(made("Linear", 3, 4, bias=False), N(2, 2, 3)),
    at(made("Linear", 3, 1), N(3)),
    at(made("Bilinear", 2, 3, 2), N(2, 2), N(2, 3)),
    at(made("Bilinear", 2, 3, 2, bias=False), N(2, 2, 2), N(2, 2, 3)),
    at(made("Embedding", 5, 3), I(5, 2, 3)),
    at(made("Embedding", 5, 3, padding_idx=1), I(5, 2, 6)),
    at(made("Embedding", 5, 3, max_norm=0.5, norm_type=1.0), I(5, 4)),
    at(made("Embedding", 5, 3, scale_grad_by_freq=True), I(5, 8)),
    *(at(made("EmbeddingBag", 5, 3, mode=mode), I(5, 2, 4)) for mode in ("sum", "mean", "max")),
    at(made("EmbeddingBag", 5, 3, mode="sum", padding_idx=2), I(5, 6), V(0, 2, 2), per_sample_weights=N(6)),
    at(made("EmbeddingBag", 5, 3, include_last_offset=True), I(5, 6), V(0, 1, 6)),
    at(made("EmbeddingBag", 5, 3, max_norm=0.5, scale_grad_by_freq=True), I(5, 6), V(0, 4)),
    at(made("CosineSimilarity"), N(3, 4), N(3, 4)),
    at(made("CosineSimilarity", dim=0, eps=0.5), N(3, 4), N(3, 4)),
    at(made("PairwiseDistance"), N(3, 4), N(3, 4)),
    at(made("PairwiseDistance", 1.0, keepdim=True), N(3, 4), N(3, 4)),
    at(made("PairwiseDistance", 3.0, eps=0.1), N(3, 4), N(4)),
    at(made("Flatten"), N(2, 2, 3)),
    at(made("Flatten", 0, 1), N(2, 2, 3)),
    at(made("Unflatten", 1, (2, -1)), N(2, 6)),
    at(made("Sequential", made("Linear", 3, 4), made("Tanh"), made("Linear", 4, 2)), N(2, 3)),
]

SPACES = {1: (7,), 2: (5, 6), 3: (3, 4, 4)}
CONVOLUTIONS = [
    *(at(made(f"Conv{d}d", 2, 3, 3 if d < 3 else 2), N(2, 2, *SPACES[d])) for d in SPACES),
    *(at(made(f"Conv{d}d", 4, 2, 2, stride=2, padding=1, dilation=2, groups=2, bias=False), N(1, 4, *SPACES[d]))
      for d in SPACES),
    *(at(made("Conv2d", 2, 2, (2, 3), padding="same", padding_mode=mode), N(1, 2, 4, 5))
      for mode in ("zeros", "reflect", "replicate", "circular")),
    at(made("Conv1d", 2, 2, 3, padding=2, padding_mode="circular"), N(1, 2, 5)),
    at(made("Conv2d", 2, 3, 2, padding="valid"), N(2, 4, 4)),
    at(made("Conv2d", 2, 3, (1, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2)), N(1, 2, 4, 5)),
    at(made("Conv3d", 1, 2, 2, padding=1, padding_mode="replicate"), N(1, 1, 2, 3, 2)),
    *(at(made(f"ConvTranspose{d}d", 2, 3, 3 if d < 3 else 2), N(2, 2, 3, *(2,) * (d - 1))) for d in SPACES),
    *(at(made(f"ConvTranspose{d}d", 4, 4, 2, 3, 1, output_padding=1, groups=2, bias=False, dilation=2),
         N(1, 4, 3, *(2,) * (d - 1))) for d in SPACES),
    at(made("ConvTranspose2d", 2, 1, (2, 3), stride=(2, 1)), N(1, 2, 2, 3), output_size=[5, 5]),
    at(made("Fold", (3, 4), 2), N(1, 8, 6)),
    at(made("Fold", (4, 5), (2, 3), dilation=(1, 2), padding=1, stride=(2, 1)), N(1, 12, 9)),
    at(made("Unfold", 2), N(1, 2, 3, 4)),
    at(made("Unfold", (2, 3), dilation=(1, 2), padding=1, stride=(2, 1)), N(1, 2, 4, 5)),
    at(made("PixelShuffle", 2), N(1, 8, 2, 3)),
    at(made("PixelUnshuffle", 2), N(1, 2, 4, 2)),
    at(made("ChannelShuffle", 2), N(1, 4, 2, 2)),
    at(made("Upsample", scale_factor=2), N(1, 2, 3)),
    at(made("Upsample", size=(3, 5)), N(1, 2, 2, 3)),
    at(made("Upsample", scale_factor=2, mode="nearest-exact"), N(1, 1, 2, 2, 3)),
    at(made("Upsample", scale_factor=1.7, mode="linear"), N(1, 2, 4)),
    *(at(made("Upsample", scale_factor=(1.5, 2.3), mode=mode, align_corners=a), N(1, 1, 4, 3))
      for mode in ("bilinear", "bicubic") for a in (False, True)),
    at(made("Upsample", scale_factor=1.6, mode="bilinear", recompute_scale_factor=True), N(1, 1, 4, 3)),
    at(made("Upsample", size=(3, 3, 4), mode="trilinear", align_corners=True), N(1, 1, 2, 2, 3)),
    at(made("UpsamplingNearest2d", scale_factor=2), N(1, 2, 2, 3)),
    at(made("UpsamplingBilinear2d", size=(5, 4)), N(1, 2, 2, 3)),
]  # fmt: skip

POOLING = [
    *(at(made(f"MaxPool{d}d", 2), N(1, 2, *SPACES[d])) for d in SPACES),
    *(at(made(f"MaxPool{d}d", 2, 1, 1, dilation=2, ceil_mode=True), N(1, 1, *SPACES[d])) for d in SPACES),
    at(made("MaxPool2d", (3, 2), return_indices=True), N(1, 2, 6, 4)),
    at(made("MaxUnpool1d", 2), N(1, 1, 2), V([[1, 2]])),
    at(made("MaxUnpool2d", 2), N(1, 1, 2, 2), V([[[0, 3], [9, 10]]])),
    at(made("MaxUnpool2d", 2), N(1, 1, 2, 2), V([[[0, 3], [9, 14]]]), output_size=[5, 4]),
    at(made("MaxUnpool3d", 2), N(1, 1, 2, 2, 2), V([[[[0, 3], [9, 10]], [[32, 34], [41, 62]]]])),
    *(at(made(f"AvgPool{d}d", 2), N(1, 2, *SPACES[d])) for d in SPACES),
    *(at(made(f"AvgPool{d}d", 3, 2, 1, ceil_mode=True, count_include_pad=False), N(1, 1, *SPACES[d])) for d in SPACES),
    at(made("AvgPool2d", (2, 3), stride=(1, 2), divisor_override=5), N(1, 1, 4, 5)),
    *(at(made(f"LPPool{d}d", 2, 2), P(1, 2, *SPACES[d])) for d in SPACES),
    at(made("LPPool2d", 3.0, (2, 3), stride=(1, 2), ceil_mode=True), P(1, 1, 4, 6)),
    *(at(made(f"Adaptive{kind}Pool{d}d", 3), N(1, 2, *SPACES[d])) for kind in ("Avg", "Max") for d in SPACES),
    at(made("AdaptiveAvgPool2d", (None, 4)), N(1, 1, 3, 6)),
    at(made("AdaptiveMaxPool2d", (2, None), return_indices=True), N(1, 1, 5, 3)),
    at(made("FractionalMaxPool2d", 2, output_size=(3, 2), _random_samples=FixedU(1, 2, 2)), N(1, 2, 6, 5)),
    at(made("FractionalMaxPool2d", (2, 3), output_ratio=0.5, _random_samples=FixedU(1, 1, 2)), N(1, 1, 6, 7)),
    at(made("FractionalMaxPool3d", 2, output_size=2, _random_samples=FixedU(1, 1, 3)), N(1, 1, 4, 5, 4)),
]  # fmt: skip

PADS = ("Zero", "Reflection", "Replication", "Circular")
PADDING = [
    *(at(made(f"{kind}Pad{d}d", 1), N(1, 2, *(3, 2, 2)[:d])) for kind in PADS for d in SPACES),
    *(at(made(f"ConstantPad{d}d", 1, 0.5), N(1, 2, *(3, 2, 2)[:d])) for d in SPACES),
    *(at(made(f"{kind}Pad2d", (2, 1, 0, 1)), N(1, 1, 3, 4)) for kind in PADS),
    at(made("ConstantPad2d", (-1, 1, 2, 0), 0.5), N(1, 1, 3, 4)),
]  # fmt: skip

NORMALIZATION = [
    *(case(made(f"{kind}Norm{d}d", 3, **options), N(3, 3, *(2, 3, 2)[:d]))
      for kind, options, case in (
        ("Batch", {}, at),
        ("Batch", {}, evaluating),
        ("Batch", {"eps": 0.1, "momentum": None, "affine": False}, at),
        ("Batch", {"track_running_stats": False}, evaluating),
        ("Instance", {}, at),
        ("Instance", {"eps": 0.1, "momentum": 0.3, "affine": True, "track_running_stats": True}, at),
        ("Instance", {"affine": True, "track_running_stats": True}, evaluating),
      ) for d in SPACES),
    at(made("BatchNorm1d", 3), N(4, 3)),
    at(made("LayerNorm", 4), N(3, 4)),
    at(made("LayerNorm", (2, 3), eps=0.1, elementwise_affine=False), N(2, 2, 3)),
    at(made("LayerNorm", (3,), bias=False), N(2, 3)),
    at(made("RMSNorm", 4), N(3, 4)),
    at(made("RMSNorm", (2, 3), eps=0.1, elementwise_affine=False), N(2, 2, 3)),
    at(made("GroupNorm", 2, 4), N(2, 4, 3)),
    at(made("GroupNorm", 1, 2, eps=0.1, affine=False), N(2, 2, 2, 2)),
    at(made("LocalResponseNorm", 2), N(1, 4, 3)),
    at(made("LocalResponseNorm", 3, 0.5, 0.6, 2.0), N(1, 4, 2, 2)),
]  # fmt: skip

DROPOUT = [
    *(evaluating(made(kind, 0.4), N(2, 2, *shape))
      for kind, shape in (("Dropout", ()), ("AlphaDropout", ()), ("FeatureAlphaDropout", (2,)), ("Dropout1d", (2,)),
                          ("Dropout2d", (2, 2)), ("Dropout3d", (2, 2, 1)))),
    *(at(made(kind, 0.0), N(2, 2, *shape))
      for kind, shape in (("Dropout", ()), ("AlphaDropout", ()), ("FeatureAlphaDropout", (2,)), ("Dropout1d", (2,)),
                          ("Dropout2d", (2, 2)), ("Dropout3d", (2, 2, 1)))),
    at(made("Dropout", 1.0), N(2, 3)),
]  # fmt: skip

LONG = {"bidirectional": True, "num_layers": 2}
RECURRENT = [
    *(at(made(kind, 2, 3), N(4, 2, 2)) for kind in ("RNN", "LSTM", "GRU")),
    *(at(made(kind, 2, 2, batch_first=True, **LONG), N(2, 3, 2), state)
      for kind, state in (("RNN", N(4, 2, 2)), ("LSTM", (N(4, 2, 2), N(4, 2, 2))), ("GRU", N(4, 2, 2)))),
    *(at(made(kind, 2, 2, bias=False), N(3, 2)) for kind in ("RNN", "LSTM", "GRU")),
    at(made("RNN", 2, 3, nonlinearity="relu"), N(3, 2, 2)),
    at(made("LSTM", 2, 3, proj_size=2, **LONG), N(3, 1, 2)),
    *(at(made(kind, 2, 3), N(2, 2), state)
      for kind, state in (("RNNCell", N(2, 3)), ("LSTMCell", (N(2, 3), N(2, 3))), ("GRUCell", N(2, 3)))),
    *(at(made(kind, 2, 3, bias=False), N(2)) for kind in ("RNNCell", "LSTMCell", "GRUCell")),
    at(made("RNNCell", 2, 3, nonlinearity="relu"), N(2, 2)),
]  # fmt: skip

MASK = V([False, True, True], [False, False, True], [False, False, False])
PADDED = V([False, False, True], [False, False, False])
ENCODER = made("TransformerEncoderLayer", 4, 2, 5, dropout=0.0)
DECODER = made("TransformerDecoderLayer", 4, 2, 5, dropout=0.0)
ATTENTION = [
    at(made("MultiheadAttention", 4, 2), N(3, 2, 4), N(3, 2, 4), N(3, 2, 4)),
    at(made("MultiheadAttention", 4, 2, batch_first=True), N(2, 3, 4), N(2, 3, 4), N(2, 3, 4), need_weights=False),
    at(made("MultiheadAttention", 4, 2, bias=False, kdim=3, vdim=2, batch_first=True), N(2, 3, 4), N(2, 2, 3),
       N(2, 2, 2), average_attn_weights=False),
    at(made("MultiheadAttention", 4, 2, add_bias_kv=True, add_zero_attn=True), N(2, 1, 4), N(3, 1, 4), N(3, 1, 4)),
    at(made("MultiheadAttention", 4, 2, batch_first=True), N(2, 3, 4), N(2, 3, 4), N(2, 3, 4), attn_mask=MASK,
       key_padding_mask=PADDED),
    at(made("MultiheadAttention", 4, 4), N(2, 4), N(3, 4), N(3, 4), attn_mask=FixedN(2, 3)),
    at(ENCODER, N(3, 2, 4)),
    at(made("TransformerEncoderLayer", 4, 2, 5, 0.0, "gelu", batch_first=True, norm_first=True), N(2, 3, 4),
       src_mask=MASK, src_key_padding_mask=PADDED),
    at(made("TransformerEncoderLayer", 4, 2, 5, 0.0, bias=False, layer_norm_eps=0.1), N(3, 1, 4)),
    evaluating(made("TransformerEncoderLayer", 4, 2, 5, batch_first=True), N(2, 3, 4)),
    at(DECODER, N(3, 2, 4), N(2, 2, 4)),
    at(made("TransformerDecoderLayer", 4, 2, 5, 0.0, "gelu", batch_first=True, norm_first=True), N(2, 3, 4),
       N(2, 3, 4), tgt_mask=MASK, memory_key_padding_mask=PADDED),
    at(made("TransformerEncoder", ENCODER, 2), N(2, 1, 4)),
    at(made("TransformerEncoder", ENCODER, 1, made("LayerNorm", 4)), N(3, 1, 4), mask=MASK),
    at(made("TransformerDecoder", DECODER, 2, made("LayerNorm", 4)), N(2, 1, 4), N(3, 1, 4)),
    at(made("Transformer", 4, 2, 1, 1, 5, 0.0), N(2, 1, 4), N(3, 1, 4), tgt_mask=MASK),
    at(made("Transformer", 4, 2, 1, 1, 5, 0.0, batch_first=True, norm_first=True, bias=False), N(2, 2, 4), N(2, 3, 4)),
]  # fmt: skip

LAYERS: list[Case] = [
    *ACTIVATIONS, *LINEAR, *CONVOLUTIONS, *POOLING, *PADDING, *NORMALIZATION, *DROPOUT, *RECURRENT, *ATTENTION,
]  # fmt: skip


def reductions(kind: str, inputs: tuple[object, ...], *others: dict[str, object]) -> list[Case]:
    """A loss with every reduction, and with other options."""
    every = [{"reduction": r} for r in ("mean", "sum", "none")]
    return [at(made(kind, **options), *inputs) for options in (*every, *others)]


LOG_SOFTMAX = made("LogSoftmax", -1)
LOSSES: list[Case] = [
    *reductions("L1Loss", (N(2, 3), N(2, 3))),
    *reductions("MSELoss", (N(2, 3), N(2, 3))),
    *reductions("SmoothL1Loss", (N(2, 3), N(2, 3)), {"beta": 0.3}, {"beta": 0.0}),
    *reductions("HuberLoss", (N(2, 3), N(2, 3)), {"delta": 0.3}),
    *reductions("BCELoss", (U(2, 3), FixedU(2, 3)), {"weight": P(3)}),
    *reductions("BCEWithLogitsLoss", (N(2, 3), FixedU(2, 3)), {"weight": P(3)}, {"pos_weight": P(3)}),
    *reductions("KLDivLoss", (N(2, 3), FixedU(2, 3)), {"reduction": "batchmean"}, {"log_target": True}),
    *reductions("PoissonNLLLoss", (P(2, 3), FixedN(2, 3)), {"log_input": False}, {"log_input": False, "eps": 0.1}),
    *reductions("PoissonNLLLoss", (P(2, 3), V([0.5, 3.0, 7.0])), {"full": True}, {"full": True, "log_input": False}),
    *reductions("GaussianNLLLoss", (N(2, 3), N(2, 3), P(2, 3)), {"full": True}, {"eps": 0.8}),
    at(made("GaussianNLLLoss"), N(2, 3), FixedN(2, 3), P(2, 1)),
    *reductions("CrossEntropyLoss", (N(4, 3), I(3, 4)), {"weight": P(3)}, {"ignore_index": 1},
                {"label_smoothing": 0.2}, {"weight": P(3), "label_smoothing": 0.2, "ignore_index": 0}),
    *reductions("CrossEntropyLoss", (N(2, 3, 2), I(3, 2, 2)), {"weight": P(3), "reduction": "none"}),
    *reductions("CrossEntropyLoss", (N(3, 4), Shares(3, 4)), {"weight": P(4), "label_smoothing": 0.1}),
    at(made("CrossEntropyLoss"), N(3), I(3)),
    *reductions("NLLLoss", (N(4, 3), I(3, 4)), {"weight": P(3)}, {"ignore_index": 1}),
    *reductions("NLLLoss", (N(2, 3, 2, 2), I(3, 2, 2, 2)), {"weight": P(3), "ignore_index": 0}),
    *reductions("SoftMarginLoss", (N(2, 3), Signs(2, 3))),
    *reductions("MultiLabelSoftMarginLoss", (N(2, 3), Bits(2, 3)), {"weight": P(3)}),
    *reductions("MultiLabelMarginLoss", (N(2, 4), V([3, 0, -1, 1], [1, -1, 0, 2]))),
    *reductions("MultiMarginLoss", (N(3, 4), I(4, 3)), {"p": 2}, {"margin": 0.4}, {"weight": P(4)}),
    *reductions("MarginRankingLoss", (N(4), N(4), Signs(4)), {"margin": 0.5}),
    *reductions("HingeEmbeddingLoss", (N(2, 3), Signs(2, 3)), {"margin": 0.5}),
    *reductions("CosineEmbeddingLoss", (N(3, 4), N(3, 4), Signs(3)), {"margin": 0.3}),
    *reductions("TripletMarginLoss", (N(3, 4), N(3, 4), N(3, 4)), {"margin": 0.5, "p": 3.0}, {"swap": True},
                {"eps": 0.1}),
    *reductions("TripletMarginWithDistanceLoss", (N(3, 4), N(3, 4), N(3, 4)), {"margin": 0.5, "swap": True},
                {"distance_function": made("PairwiseDistance", 1.0)}),
    *reductions("CTCLoss", (after(LOG_SOFTMAX, N(5, 2, 3)), V([1, 2], [2, 1]), V(5, 4), V(2, 2)),
                {"blank": 0, "zero_infinity": True}),
    at(made("CTCLoss", reduction="none", zero_infinity=True, blank=2),
       after(LOG_SOFTMAX, N(4, 2, 3)), V(1, 0, 1, 1), V(4, 2), V(1, 3)),
    at(made("AdaptiveLogSoftmaxWithLoss", 6, 7, [2, 4], div_value=2.0), N(5, 6), I(7, 5)),
    at(made("LinearCrossEntropyLoss", 4, 5, bias=True, label_smoothing=0.1), N(3, 4), I(5, 3)),
    at(made("LinearCrossEntropyLoss", 4, 5, reduction="sum", ignore_index=1), N(3, 4), I(5, 3)),
    at(made("AdaptiveLogSoftmaxWithLoss", 4, 5, [2], head_bias=True), N(3, 4), I(5, 3)),
]  # fmt: skip

ALL_DECAYS = ({}, {"weight_decay": 0.1}, {"maximize": True})
DECOUPLED = {"weight_decay": 0.1, "decoupled_weight_decay": True}
SECOND = {"lr": 0.02, "weight_decay": 0.05}
NO_SECOND: dict[str, float] = {}


def optimizers(kind: str, *variants: dict[str, object], second: dict[str, float] = SECOND) -> list[Optimizing]:
    """An optimizer with its defaults in one group, and with each of the variants in two groups."""
    return [(made(kind), NO_SECOND), *((made(kind, **options), second) for options in variants)]


Optimizing = tuple[Made, dict[str, float]]
OPTIMIZERS: list[Optimizing] = [
    *optimizers("SGD", *ALL_DECAYS, {"momentum": 0.9, "dampening": 0.3}, {"momentum": 0.9, "nesterov": True}),
    *optimizers("Adam", *ALL_DECAYS, {"betas": (0.5, 0.7), "eps": 1e-2}, {"amsgrad": True, "betas": (0.3, 0.4)},
                DECOUPLED),
    *optimizers("AdamW", *ALL_DECAYS, {"amsgrad": True, "betas": (0.3, 0.4)}),
    *optimizers("NAdam", *ALL_DECAYS, {"betas": (0.5, 0.7), "eps": 1e-2, "momentum_decay": 0.2}, DECOUPLED),
    *optimizers("RAdam", *ALL_DECAYS, {"betas": (0.5, 0.7), "eps": 1e-2}, DECOUPLED),
    *optimizers("Adamax", *ALL_DECAYS, {"betas": (0.5, 0.7), "eps": 1e-2}),
    *optimizers("Adagrad", *ALL_DECAYS, {"lr_decay": 0.1, "initial_accumulator_value": 0.3, "eps": 1e-2}),
    *optimizers("Adadelta", *ALL_DECAYS, {"rho": 0.5, "eps": 1e-2}),
    *optimizers("RMSprop", *ALL_DECAYS, {"alpha": 0.5, "eps": 1e-2}, {"momentum": 0.7}, {"centered": True}),
    *optimizers("Rprop", {"etas": (0.3, 1.5)}, {"step_sizes": (0.02, 0.05)}, {"maximize": True}, second={"lr": 0.03}),
    *optimizers("ASGD", *ALL_DECAYS, {"lambd": 0.1, "alpha": 0.5, "t0": 2.0}),
    *optimizers("Adafactor", *ALL_DECAYS, {"beta2_decay": -0.3, "eps": (1e-2, 0.5), "d": 2.0, "lr": 0.5}),
    *optimizers("Muon", {"weight_decay": 0.0, "lr": 0.1}, {"momentum": 0.5, "nesterov": False},
                {"ns_steps": 2, "eps": 9.0}, {"adjust_lr_fn": "original"}, {"adjust_lr_fn": "match_rms_adamw"},
                {"ns_coefficients": (2.0, -1.5, 0.5)}),
    *optimizers("LBFGS", {"lr": 0.1, "max_iter": 3}, {"line_search_fn": "strong_wolfe", "max_iter": 4},
                {"lr": 0.2, "history_size": 2, "max_iter": 4}, {"max_eval": 3, "lr": 0.1}, {"tolerance_grad": 5.0},
                {"tolerance_change": 1.0}, second=NO_SECOND),
]  # fmt: skip


def tenth(epoch: int) -> float:
    return 0.9**epoch


def slower(epoch: int) -> float:
    return 1.0 / (1.0 + epoch)


METRICS = [3.0, 2.0, 2.0, 2.1, 1.99999, 1.9, 1.9, 2.5, 2.5, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5]
SCHEDULERS: list[tuple[Made, list[float] | None]] = [
    *((what, None) for what in (
        made("LambdaLR", tenth),
        made("LambdaLR", [tenth, slower]),
        made("MultiplicativeLR", slower),
        made("StepLR", 3),
        made("StepLR", 4, 0.5),
        made("MultiStepLR", [2, 5, 5, 9], 0.5),
        made("ExponentialLR", 0.8),
        made("ConstantLR"),
        made("ConstantLR", 0.5, 3),
        made("LinearLR"),
        made("LinearLR", 0.2, 0.7, 8),
        made("PolynomialLR"),
        made("PolynomialLR", 9, 2.5),
        made("CosineAnnealingLR", 6),
        made("CosineAnnealingLR", 4, 0.05),
        made("CosineAnnealingWarmRestarts", 4),
        made("CosineAnnealingWarmRestarts", 2, 2, 0.05),
        *(made("CyclicLR", 0.1, 0.9, 3, mode=mode, gamma=0.8) for mode in ("triangular", "triangular2", "exp_range")),
        made("CyclicLR", [0.1, 0.2], [0.9, 0.4], 2, 4, scale_fn=slower, scale_mode="iterations", base_momentum=0.5,
             max_momentum=[0.6, 0.95]),
        made("CyclicLR", 0.1, 0.9, 3, cycle_momentum=False),
        made("OneCycleLR", 1.0, 15),
        made("OneCycleLR", [1.0, 0.5], epochs=5, steps_per_epoch=3, pct_start=0.4, anneal_strategy="linear",
             base_momentum=0.5, max_momentum=[0.6, 0.95], div_factor=5.0, final_div_factor=10.0),
        made("OneCycleLR", 1.0, 15, three_phase=True, cycle_momentum=False),
        made("SequentialLR", [made("ConstantLR", 0.1, 2), made("ExponentialLR", 0.8), made("StepLR", 2)], [3, 8]),
        made("ChainedScheduler", [made("LinearLR", 0.5, total_iters=4), made("ExponentialLR", 0.9)]),
        made("SWALR", 0.05),
        made("SWALR", [0.05, 0.2], 4, "linear"),
        made("SWALR", 0.05, 0),
    )),
    *((what, METRICS) for what in (
        made("ReduceLROnPlateau", patience=1),
        made("ReduceLROnPlateau", "max", 0.5, 1, 0.1),
        made("ReduceLROnPlateau", factor=0.5, patience=0, threshold=0.2, threshold_mode="abs", cooldown=2),
        made("ReduceLROnPlateau", factor=0.2, patience=0, min_lr=[0.1, 0.01], eps=0.02),
    )),
]  # fmt: skip
