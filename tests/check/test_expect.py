"""`expect`: what passes, what fails, and what a failure says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tito.check import expect
from tito.check.expect import CheckFailed


class Tensor:
    def __init__(self, data: Any, dtype: Any = np.float32):
        self.data = np.asarray(data, dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape


class Broken:
    @property
    def data(self) -> Any:
        raise KeyError("no")

    def __eq__(self, other: object) -> bool:
        raise ZeroDivisionError

    def __repr__(self) -> str:
        raise ValueError("no")

    __hash__ = None     # type: ignore[assignment]


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


def failure(check: Callable[[], None]) -> CheckFailed:
    with pytest.raises(CheckFailed) as info:
        check()
    return info.value


@pytest.mark.parametrize(("got", "want"), [
    (Tensor([1, 2]), [1.0, 2.0]), (Tensor([1, 2]), [1, 2]), (Tensor(3.0), 3), (2.0, 2.0), (np.float32(0.1), 0.1),
    (Tensor([np.nan]), [np.nan]),
    (Tensor([[1.0]]), np.ones((1, 1))), (Tensor([], np.float32), []), (lambda: Tensor([1.0]), [1.0]), (np.inf, np.inf), (3, 3),
    (1 + 2j, 1 + 2j),
    ((Tensor([1.0]), Tensor([1.0, 2.0])), ([1.0], [1.0, 2.0])), ({"loss": 0.5}, {"loss": 0.5}), ([0.1, 0.2], np.array([0.1, 0.2])),
])
def test_close_accepts(got: Any, want: Any) -> None:
    expect.close(got, want, "it is so")


@pytest.mark.parametrize(("got", "want"), [
    (Tensor([1, 2]), [1.0, 2.1]), (Tensor([1, 2]), [[1.0, 2.0]]), (np.array([1, 2]), [1.0, 2.0]), (np.array([True]), [1]), (None, 1.0),
    ("1", 1.0),
    (Tensor(["a"], object), [1.0]), ([1.0, [2.0]], [1.0, 2.0]), (Tensor, [1.0]), (Broken(), 1.0), (np.nan, 1.0), (1.0, np.nan),
    ((1.0,), (1.0, 2.0)),
    (np.array([]), [1.0]), (np.inf, -np.inf),
])
def test_close_refuses(got: Any, want: Any) -> None:
    failed = failure(lambda: expect.close(got, want, "it is so"))
    assert failed.check == "it is so"
    assert failed.expected
    assert failed.got


@pytest.mark.parametrize(("got", "want"), [
    ((2, 3), (2, 3)), (np.float32, np.float32), (np.dtype("float32"), np.float32), (np.float32, np.dtype("float32")), ("abc", "abc"),
    (None, None),
    (np.int64(3), 3), (True, True), (Tensor([1], np.int64), [1]), (Tensor([1.0]), np.ones(1, np.float32)), (type(Tensor(1)), Tensor),
    ([1, "a", None], [1, "a", None]), ({"a": (1, 2)}, {"a": (1, 2)}), (["a", "b"], ["a", "b"]), (b"x", b"x"), ((np.int64(2), 3),
    (2, 3)), ([], []),
])
def test_same_accepts(got: Any, want: Any) -> None:
    expect.same(got, want, "it is so")


@pytest.mark.parametrize(("got", "want", "first"), [
    ([2, 3], (2, 3), "a list, not a tuple"), (6.0, 6, "a float, not an int"), (1, True, "an int, not a bool"), ((2, 3),
    (3, 2), "[0]: 2, not 3"),
    (Tensor([1.0]), np.ones(1), "dtype float32, not float64"), ("hello", "help", "[3]: 'l', not 'p'"), ("ab", "abc",
    "[2]: the text ends here"),
    ("3", 3, "type str"), (None, 3, ""), (Broken(), "x", "a Broken, not a str"), (Tensor([1, 2], np.int64), [1, 3], "[1]: 2, not 3"),
    ({"a": 1}, {"b": 1}, "the keys"), ({"a": 1}, {"a": 1, "b": 2}, "1 items, not 2"), (3, "3", "an int, not a str"), (int, float, ""),
])
def test_same_refuses(got: Any, want: Any, first: str) -> None:
    assert failure(lambda: expect.same(got, want, "it is so")).first == first


def test_identity_is_not_asked_and_equality_is_not_the_students() -> None:
    class Liar(np.ndarray):
        def __eq__(self, other: object) -> Any:
            return np.ones(self.shape, bool)

        def __ne__(self, other: object) -> Any:
            return np.zeros(self.shape, bool)

    lie = np.ones(3).view(Liar)
    expect.same(lie, np.ones(3), "equal")
    assert failure(lambda: expect.same(lie, np.zeros(3), "equal")).got
    assert failure(lambda: expect.close(lie, np.zeros(3), "equal")).got


def test_close_says_where_and_what() -> None:
    failed = failure(lambda: expect.close(Tensor([[0.1, 0.2], [0.3, 0.5]]), [[0.1, 0.2], [0.3, 0.4]], "rows", hint="look"))
    assert failed.expected == "[[0.1000 0.2000]\n [0.3000 0.4000]]     float32 (2, 2)"
    assert failed.got == "[[0.1000 0.2000]\n [0.3000 0.5000]]     float32 (2, 2)"
    assert (failed.first, failed.hint) == ("[1, 1]: 0.5000, not 0.4000", "look")
    assert str(failed).startswith("rows\ncall")


def test_decimals_are_enough_to_see_the_difference() -> None:
    failed = failure(lambda: expect.close(1.000001, 1.0, "exact", tol=1e-9))
    assert failed.got != failed.expected
    failed = failure(lambda: expect.close(np.array([1e-8, 2e-8]), [1e-8, 3e-8], "tiny", tol=1e-12))
    assert "3e-08" in failed.expected
    failed = failure(lambda: expect.close(np.array([1e20]), [2e20], "huge"))
    assert "1e+20" in failed.got
    failed = failure(lambda: expect.same(np.float64(0.1) + 0.2, 0.3, "exact"))
    assert failed.got.startswith("0.3000000000000000")


def test_big_arrays_are_shown_small() -> None:
    got = np.arange(3 * 50 * 784, dtype=np.float32).reshape(3, 50, 784)
    failed = failure(lambda: expect.close(got, got + 1, "big"))
    for text in (failed.expected, failed.got):
        assert text.count("\n") <= 4
        assert max(map(len, text.split("\n"))) <= 63
        assert text.endswith("float32 (3, 50, 784)")
    expect.close(np.zeros((0, 3)), np.zeros((0, 3)), "empty")
    assert failure(lambda: expect.close(np.zeros((0, 3)), np.zeros((2, 3)), "empty")).got == "[]     float64 (0, 3)"


def test_three_axes_have_their_brackets() -> None:
    failed = failure(lambda: expect.close(np.zeros((2, 2, 1)), np.ones((2, 2, 1)), "b"))
    assert failed.got == "[[[0.0000]\n  [0.0000]]\n [[0.0000]\n  [0.0000]]]     float64 (2, 2, 1)"


@pytest.mark.parametrize(("got", "hint"), [
    ([-1.0, -2.0], "right but for the sign"),
    ([2.0, 4.0], "every number is 2 times what it should be"), ([np.nan, 2.0], "there is nan where"),
    (None, "nothing came back"), ([[1.0], [2.0]], ""), ([[1.0, 2.0]], "there is an axis of length 1 too many"),
])
def test_plain_mistakes_are_told(got: Any, hint: str) -> None:
    assert failure(lambda: expect.close(None if got is None else np.array(got), [1.0, 2.0], "x")).hint.startswith(hint)


def test_the_own_hint_goes_before_guesses_and_mistakes_before_the_hint() -> None:
    assert failure(lambda: expect.close(-1.0, 1.0, "x", hint="mine")).hint == "mine"
    mistaken = {"never": lambda got: got.nonsense, "literal": [5.0, 5.0], "sum": lambda got: np.isclose(got.sum(), 6)}
    assert failure(lambda: expect.close(np.array([3.0, 3.0]), [1.0, 1.0], "x", hint="mine", mistaken=mistaken)).hint == "sum"
    assert failure(lambda: expect.close(np.array([5.0, 5.0]), [1.0, 1.0], "x", hint="mine", mistaken=mistaken)).hint == "literal"
    assert failure(lambda: expect.same("b", "a", "x", mistaken={"off by one": "b"})).hint == "off by one"
    assert failure(lambda: expect.close(lambda: None, 1.0, "x", hint="mine")).hint.startswith("nothing came back")


def test_a_forgotten_call_or_property_is_told() -> None:
    class Thing:
        def size(self) -> int:
            return 3

    assert "`size`" in failure(lambda: expect.same(Thing().size, 3, "x")).hint


def test_a_list_in_a_tensor_is_told() -> None:
    tensor = Tensor([1.0])
    tensor.data = [1.0]     # type: ignore[assignment]
    assert failure(lambda: expect.close(tensor, [1.0], "x")).hint == "`.data` must be a NumPy array, and is a list"


def test_exceptions_of_the_call_become_the_failure() -> None:
    def boom() -> Any:
        raise ValueError("bad shape")

    failed = failure(lambda: expect.close(boom, [1.0], "x", raises={KeyError: "k", ValueError: "v"}))
    assert (failed.got, failed.hint, failed.expected) == ("ValueError: bad shape", "v", "[1.0000]     float (1,)")
    assert isinstance(failed.__cause__, ValueError)
    assert failure(lambda: expect.true(lambda: 1 / 0, "x")).got == "ZeroDivisionError: division by zero"

    def mute() -> Any:
        raise Mute

    assert failure(lambda: expect.finite(mute, "x")).got == "Mute: <its message cannot be shown>"
    with pytest.raises(KeyboardInterrupt):
        expect.true(lambda: (_ for _ in ()).throw(KeyboardInterrupt), "x")


def test_true() -> None:
    expect.true(True, "x")
    expect.true(lambda: np.array([True, True]), "x")
    expect.true(Tensor([1.0]), "x")
    wrong: list[Any] = [False, 0, np.array([True, False]), None, []]
    for got in wrong:
        with pytest.raises(CheckFailed):
            expect.true(got, "x")


def test_finite() -> None:
    expect.finite(Tensor([1.0, 2.0]), "x")
    failed = failure(lambda: expect.finite(Tensor([[1.0, np.inf]]), "x", hint="h"))
    assert (failed.first, failed.hint) == ("[0, 1]: inf", "h")
    assert "nothing came back" in failure(lambda: expect.finite(None, "x")).hint


def test_raises() -> None:
    def bad() -> Any:
        raise ValueError("matmul: inner sizes 3 and 4 differ")

    expect.raises(ValueError, bad, "x", match="3 4 Differ")
    assert failure(lambda: expect.raises(ValueError, bad, "x", match="5 4")).first == "the message lacks 5"
    assert failure(lambda: expect.raises(TypeError, bad, "x")).got.startswith("ValueError: matmul")
    failed = failure(lambda: expect.raises((TypeError, ValueError), lambda: 3, "x"))
    assert (failed.expected, failed.got) == ("a TypeError or a ValueError", "no exception; 3 came back")
    pair = Tensor(np.ones((32, 1))), Tensor([1.0])
    assert failure(lambda: expect.raises(ValueError, lambda: pair, "x")).got == "no exception; (Tensor (32, 1), Tensor([1])) came back"


def test_a_stub_does_not_pass_for_the_runtime_error_that_is_wanted() -> None:
    def stub() -> Any:
        raise NotImplementedError

    assert failure(lambda: expect.raises(RuntimeError, stub, "x")).got == "NotImplementedError"
    expect.raises(NotImplementedError, stub, "x")


def softmax(z: Any, dim: int = 0) -> Any:
    return z


def test_the_call_is_written_as_a_person_would() -> None:
    z, dim, y = Tensor([[1.0, 2.0]]), 1, softmax(Tensor([1.0]))
    assert failure(lambda: expect.close(softmax(z, dim=dim), 0.0, "x")).call == "softmax(Tensor (1, 2), dim=1)"
    assert failure(lambda: expect.close(lambda: softmax(z, dim=dim), 0.0, "x")).call == "softmax(Tensor (1, 2), dim=1)"
    assert failure(lambda: expect.close(
        got=lambda: softmax(z.data @ z.data.T,
                            dim=1), want=0.0, why="x")).call == "softmax(Tensor (1, 2).data @ Tensor (1, 2).data.T, dim=1)"
    assert failure(lambda: expect.raises(ValueError, lambda: softmax(z), "x")).call == "softmax(Tensor (1, 2))"
    assert failure(lambda: expect.close([n + 1 for n in (1.0, 2.0)], 0.0, "x")).call == "[n + 1 for n in (1.0, 2.0)]"
    assert failure(lambda: expect.close((y, z), (y, 0.0), "x")).call == "(Tensor([1]), Tensor (1, 2))[1]"
    wide = np.dtype("float64")
    assert failure(lambda: expect.close(softmax(Tensor([1.0], dtype=wide)), 0.0, "x")).call == "softmax(Tensor([1.0], dtype=wide))"


def test_a_name_stands_for_the_call_that_made_it() -> None:
    def case() -> None:
        z = Tensor([[1.0, 2.0]])
        y = softmax(z)
        expect.close(y.data.sum(), 0.0, "x")

    assert failure(case).call == "softmax(Tensor (1, 2)).data.sum()"


def test_without_source_there_is_no_call() -> None:
    space: dict[str, Any] = {"expect": expect}
    failed = failure(lambda: exec("expect.close(1.0, 2.0, 'x')", space))
    assert (failed.call, failed.got) == ("", "1.0000")


def test_values_that_cannot_be_shown_are_shown() -> None:
    assert failure(lambda: expect.same(Broken(), 1, "x")).got == "<Broken instance>"
    assert failure(lambda: expect.same("a\ud800\x1b[31m", "b", "x")).got == "'a\\ud800\\x1b[31m'"
    assert failure(lambda: expect.same(object(), 1, "x")).got == "<object object>"
    assert len(failure(lambda: expect.same("x" * 10**7, "y", "x")).got) < 300
    endless: list[Any] = []
    endless.append(endless)
    assert failure(lambda: expect.same(endless, 1, "x")).got
    assert len(failure(lambda: expect.close(np.array(["x" * 1000]), 1.0, "x")).got) < 100
