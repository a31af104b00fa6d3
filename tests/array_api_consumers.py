"""Libraries that take any array of the standard, run on tensors: ``python -m tests.array_api_consumers scipy``.

What each returns must be tensors, with the values that it returns for NumPy arrays. They run in a process of their own,
because SciPy reads its switch when it is imported.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

import tensorgrad as tg

__all__ = ["CONSUMERS"]


def _to_tensors(x: Any) -> Any:
    if isinstance(x, np.ndarray):
        return tg.tensor(x)
    return tuple(_to_tensors(v) for v in x) if isinstance(x, tuple) else x


def _results(x: Any) -> list[Any]:
    return [v for part in x for v in _results(part)] if isinstance(x, (tuple, list)) else [x]


def same(name: str, function: Callable[..., Any], *args: Any, atol: float = 1e-6, **options: Any) -> None:
    """Compare a function of tensors with itself on arrays."""
    found = _results(function(*_to_tensors(args), **options))
    wanted = _results(function(*args, **options))
    assert len(found) == len(wanted), name
    for y, expected in zip(found, wanted, strict=True):
        assert isinstance(y, (tg.Tensor, float, int, bool)), f"{name} returned {type(y)}"
        np.testing.assert_allclose(np.asarray(y), expected, rtol=1e-5, atol=atol, err_msg=name)


def scipy_functions() -> None:
    """SciPy with SCIPY_ARRAY_API=1."""
    import scipy.cluster.vq
    import scipy.fft
    import scipy.integrate
    import scipy.optimize
    import scipy.signal
    import scipy.special
    import scipy.stats
    from scipy.spatial.transform import Rotation

    rng = np.random.default_rng(0)
    a, v = rng.standard_normal((6, 8)), rng.standard_normal(32)
    positive = abs(a) + 0.1
    special, stats, fft, signal = scipy.special, scipy.stats, scipy.fft, scipy.signal
    for name in ("logsumexp", "softmax", "log_softmax", "expit", "erf", "ndtr", "gammaln", "i0", "j1"):
        same(name, getattr(special, name), positive)
    for name in ("xlogy", "rel_entr"):
        same(name, getattr(special, name), positive, positive)
    for name in ("zscore", "skew", "kurtosis", "gmean", "entropy", "variation", "sem", "circmean"):
        same(name, getattr(stats, name), positive)
    same("moment", stats.moment, a, order=3)
    for name in ("jarque_bera", "normaltest", "skewtest"):
        same(name, lambda x, name=name: tuple(getattr(stats, name)(x))[:2], v)
    same("ttest_1samp", lambda x: tuple(stats.ttest_1samp(x, 0.1))[:2], a)
    same("pearsonr", lambda x, y: (stats.pearsonr(x, y).statistic, stats.pearsonr(x, y).pvalue), v, v**2)
    for name in ("fft", "ifft", "rfft", "irfft", "fftn", "fft2", "hfft", "dct", "fftshift"):
        same(name, getattr(fft, name), a)
    for name in ("fftconvolve", "convolve", "correlate"):
        same(name, getattr(signal, name), v, v[:5])
    same("detrend", signal.detrend, v)
    same("hilbert", signal.hilbert, v)
    same("sosfilt", signal.sosfilt, signal.butter(2, 0.3, output="sos"), v)
    same("resample", signal.resample, v, num=16)
    same("whiten", scipy.cluster.vq.whiten, a)
    same("vq", scipy.cluster.vq.vq, a, a[:3])
    for name in ("trapezoid", "simpson", "cumulative_trapezoid"):
        same(name, lambda x, name=name: getattr(scipy.integrate, name)(x) + 0 * x[..., 0, None].sum(), a)
    same("tanhsinh", lambda x: scipy.integrate.tanhsinh(lambda t: t**2, x * 0, x).integral, v)
    same("rosen", scipy.optimize.rosen, v)
    same("rotation", lambda x: Rotation.from_rotvec(x[:, :3]).as_matrix(), a)


def sklearn_estimators() -> None:
    """scikit-learn with array_api_dispatch."""
    from sklearn import base, config_context, decomposition, metrics, model_selection, preprocessing
    from sklearn.datasets import make_classification
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.linear_model import Ridge
    from sklearn.metrics import pairwise

    x, y = make_classification(200, 8, random_state=0)
    x = x.astype(np.float32)
    real = y.astype(np.float32)
    with config_context(array_api_dispatch=True):
        for transformer in (
            decomposition.PCA(3, svd_solver="full"),
            decomposition.PCA(3, svd_solver="covariance_eigh"),
            preprocessing.StandardScaler(),
            preprocessing.MinMaxScaler(),
            preprocessing.MaxAbsScaler(),
            preprocessing.Normalizer(),
            preprocessing.Binarizer(),
            preprocessing.PolynomialFeatures(2),
        ):
            same(str(transformer), lambda x, t=transformer: abs(base.clone(t).fit(x).transform(x)), x, atol=1e-4)
        for estimator, target in (
            (LinearDiscriminantAnalysis(), y),
            (Ridge(solver="svd"), real),
            (model_selection.GridSearchCV(Ridge(solver="svd"), {"alpha": [0.1, 1.0]}), real),
        ):
            same(str(estimator), lambda x, t, e=estimator: base.clone(e).fit(x, t).predict(x), x, target, atol=1e-4)
        same("split", lambda x, y: tuple(model_selection.train_test_split(x, y, random_state=0)), x, y)
        for name in ("accuracy_score", "f1_score", "precision_score", "zero_one_loss", "confusion_matrix"):
            same(name, getattr(metrics, name), y, 1 - y)
        for name in ("mean_squared_error", "mean_absolute_error", "r2_score", "explained_variance_score"):
            same(name, getattr(metrics, name), real, 1 - real)
        for name in ("roc_auc_score", "log_loss", "average_precision_score"):
            same(name, getattr(metrics, name), real, np.clip(abs(x[:, 0]) / 4, 0, 1))
        for name in ("cosine_similarity", "euclidean_distances", "rbf_kernel", "polynomial_kernel"):
            same(name, getattr(pairwise, name), x, x, atol=2e-3)


CONSUMERS = {"scipy": scipy_functions, "sklearn": sklearn_estimators}

if __name__ == "__main__":
    assert os.environ.get("SCIPY_ARRAY_API") == "1", "set SCIPY_ARRAY_API=1"
    for wanted in sys.argv[1:]:
        CONSUMERS[wanted]()
