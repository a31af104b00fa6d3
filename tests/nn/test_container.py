"""Containers of modules and parameters behave as lists and dicts."""

from __future__ import annotations

from collections import OrderedDict

import pytest

import tensorgrad as tg
from tensorgrad import nn


def layers(n):
    return [nn.Linear(i + 1, i + 2) for i in range(n)]


class TestSequential:
    def test_calls_in_order(self, device):
        a, b = nn.Linear(2, 3, device=device), nn.Linear(3, 1, device=device)
        x = tg.ones(4, 2, device=device)
        assert nn.Sequential(a, nn.Tanh(), b)(x).tolist() == b(a(x).tanh()).tolist()
        assert nn.Sequential()(x) is x

    def test_names(self):
        a, b = layers(2)
        net = nn.Sequential(OrderedDict(first=a, second=b))
        assert list(net.state_dict()) == ["first.weight", "first.bias", "second.weight", "second.bias"]
        assert net.first is a
        assert next(iter(nn.Sequential(a, b).state_dict())) == "0.weight"
        assert net[0] is a
        assert net[-1] is b
        assert [name for name, _ in net[1:].named_children()] == ["second"]

    def test_list_operations(self):
        a, b, c, d = layers(4)
        net = nn.Sequential(a, b)
        assert net.append(c) is net
        assert list(net.insert(0, d)) == [d, a, b, c]
        assert list(net.extend([a])) == [d, a, b, c, a]
        assert net.pop() is a
        assert net.pop(0) is d
        assert list(net) == [a, b, c]
        del net[0]
        assert [n for n, _ in net.named_children()] == ["0", "1"]
        net[-1] = d
        assert list(net) == [b, d]
        assert list(net + nn.Sequential(a)) == [b, d, a]
        net += nn.Sequential(c)
        assert list(net) == [b, d, c]
        del net[:2]
        assert list(net) == [c]
        assert list(net * 2) == list(2 * net) == [c, c]
        net *= 3
        assert len(net) == 3
        assert c in net
        assert a not in net
        assert type(net[:1]) is nn.Sequential

    def test_errors(self):
        net = nn.Sequential(*layers(2))
        with pytest.raises(IndexError, match="index 2 is out of range for 2 modules"):
            _ = net[2]
        with pytest.raises(IndexError, match="index -4 is out of range"):
            net.insert(-4, nn.ReLU())
        for call in (lambda: nn.Sequential(3), lambda: net.append(3), lambda: net.insert(0, 3), lambda: net + 3):
            with pytest.raises(TypeError):
                call()
        with pytest.raises(TypeError, match="expected a Module"):
            net[0] = 3
        with pytest.raises(ValueError, match="int greater than 0"):
            net * 0


class TestModuleList:
    def test_list_operations(self):
        a, b, c = layers(3)
        held = nn.ModuleList([a])
        held += [b]
        held.insert(1, c)
        assert list(held) == [a, c, b]
        assert held[1:][0] is c
        assert type(held[:1]) is nn.ModuleList
        del held[1]
        assert [n for n, _ in held.named_parameters()] == ["0.weight", "0.bias", "1.weight", "1.bias"]
        assert held.pop(0) is a
        assert len(held + nn.ModuleList([c])) == 2
        with pytest.raises(TypeError, match="expected an iterable of modules"):
            nn.ModuleList(3)
        with pytest.raises(NotImplementedError):
            held(tg.ones(1))


class TestModuleDict:
    def test_dict_operations(self):
        a, b, c = layers(3)
        held = nn.ModuleDict({"a": a})
        held["b"] = b
        held.update([("c", c), ("a", b)])
        assert list(held.keys()) == list(held) == ["a", "b", "c"]
        assert held["a"] is b
        assert held.pop("a") is b
        assert "a" not in held
        assert dict(held.items()) == {"b": b, "c": c}
        assert next(n for n, _ in held.named_parameters()) == "b.weight"
        del held["b"]
        assert list(held.values()) == [c]
        held.clear()
        assert len(held) == 0
        with pytest.raises(KeyError):
            del held["b"]
        with pytest.raises(KeyError, match="'keys' exists already"):
            held["keys"] = a
        with pytest.raises(TypeError, match="expected a mapping"):
            held.update(3)


class TestParameterList:
    def test_list_operations(self):
        held = nn.ParameterList([tg.zeros(1), nn.Parameter(tg.ones(2))])
        assert all(isinstance(p, nn.Parameter) for p in held)
        held += [tg.zeros(3)]
        held[0] = tg.ones(4)
        assert [p.shape for p in held] == [(4,), (2,), (3,)]
        assert list(held.state_dict()) == ["0", "1", "2"]
        assert held[-1].shape == (3,)
        assert len(held[1:]) == 2
        assert "(1): Parameter containing: [float32 of size 2 on cpu]" in repr(held)
        with pytest.raises(IndexError, match="index 3 is out of range"):
            _ = held[3]
        with pytest.raises(TypeError, match="expected an iterable"):
            held.extend(tg.ones(2))


class TestParameterDict:
    def test_dict_operations(self):
        held = nn.ParameterDict({"a": tg.zeros(1)})
        held["b"] = nn.Parameter(tg.ones(2))
        assert isinstance(held["a"], nn.Parameter)
        assert list(held.state_dict()) == ["a", "b"]
        assert held.setdefault("c", tg.ones(3)).shape == (3,)
        assert held.get("z") is None
        assert list(reversed(held)) == ["c", "b", "a"]
        assert held.popitem()[0] == "c"
        copy = held.copy()
        assert copy["a"] is held["a"]
        assert list(held | nn.ParameterDict({"d": tg.ones(1)})) == ["a", "b", "d"]
        del held["a"]
        assert (len(held), "a" in held, len(copy)) == (1, False, 2)
        held.clear()
        assert list(held.items()) == []
        with pytest.raises(KeyError):
            _ = held["a"]
        with pytest.raises(KeyError, match="attribute of the class"):
            held["keys"] = tg.ones(1)
        with pytest.raises(TypeError, match="names are strings"):
            held[3] = tg.ones(1)


def test_equal_neighbours_are_shown_once():
    layers = nn.ModuleList([nn.ReLU(), nn.Linear(1, 2), nn.Linear(1, 2), nn.Linear(1, 2), nn.Linear(2, 2)])
    assert repr(layers) == (
        "ModuleList(\n  (0): ReLU()\n  (1-3): 3 x Linear(in_features=1, out_features=2, bias=True)\n"
        "  (4): Linear(in_features=2, out_features=2, bias=True)\n)"
    )
    assert repr(nn.ModuleList()) == "ModuleList()"
