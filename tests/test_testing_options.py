"""The options of `tg.testing`, and the pytest plugin in a project of its own."""

from __future__ import annotations

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import testing

pytest_plugins = ["pytester"]
X = np.array([0.5, -1.0, 2.0])


def put(device):
    return tg.tensor(X, device=device, requires_grad=True)


def two(x):
    return tg.exp(x) * x, (x**2).sum()


@pytest.mark.parametrize("fast", [False, True])
def test_gradcheck_with_everything(device, fast):
    options = {"check_batched_grad": True, "fast_mode": fast}
    assert testing.gradcheck(two, put(device), check_forward_ad=True, check_batched_forward_grad=True, **options)
    assert testing.gradgradcheck(two, put(device), **options)


class Wrong(tg.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, g):
        return g * ctx.saved_tensors[0]


def test_fast_mode_finds_a_wrong_gradient():
    with pytest.raises(testing.GradcheckError, match="gradients against differences"):
        testing.gradcheck(Wrong.apply, put("cpu"), fast_mode=True)
    assert not testing.gradcheck(Wrong.apply, put("cpu"), fast_mode=True, raise_exception=False)
    with pytest.raises(testing.GradcheckError, match="jvp against differences"):
        testing.gradcheck(Wrong.apply, put("cpu"), check_backward_ad=False, check_forward_ad=True)


def test_a_backward_must_do_the_same_twice():
    calls = []

    class Unsteady(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            calls.append(1)
            return g * (1 + 1e-7 * len(calls))

    with pytest.raises(testing.GradcheckError, match="two runs of one backward"):
        testing.gradcheck(Unsteady.apply, put("cpu"))
    assert testing.gradcheck(Unsteady.apply, put("cpu"), nondet_tol=1e-5)


def test_containers():
    a = tg.tensor([1.0, 2.0])
    testing.assert_close({"x": [a, 1.0]}, {"x": [a, 1.0]})
    with pytest.raises(AssertionError, match=r"item 'x': item 1: 1 of 1"):
        testing.assert_close({"x": [a, 1.0]}, {"x": [a, 2.0]})
    with pytest.raises(AssertionError, match="keys differ"):
        testing.assert_close({"x": a}, {"y": a})
    with pytest.raises(AssertionError, match="lengths differ"):
        testing.assert_close([a, a], [a])
    with pytest.raises(AssertionError, match="strides differ"):
        testing.assert_close(tg.ones(2, 3).mT, tg.ones(3, 2), check_stride=True)
    testing.assert_close(tg.ones(2, 3).mT, tg.ones(3, 2))


def test_plugin(pytester):
    pytester.makeconftest('pytest_plugins = ["tensorgrad.testing.pytest_plugin"]')
    pytester.makepyfile(
        """
        import pytest
        import tensorgrad as tg

        def test_on_a_device(device):
            assert tg.ones(2, device=device).device == device

        @pytest.mark.parametrize("device", ["cpu"])
        def test_own_device(device):
            assert device == "cpu"

        def test_without():
            pass
        """
    )
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "--device", "cpu")
    result.assert_outcomes(passed=3)
    from tensorgrad.backend import cuda_is_available

    result = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    result.assert_outcomes(**({"passed": 4} if cuda_is_available() else {"passed": 3, "skipped": 1}))
