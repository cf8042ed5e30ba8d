"""The second input of a test cell: other numbers, and what becomes of hints there."""

import ast

import numpy as np
import pytest

from tests.modules.shelf import each_module, solved
from tito.check.expect import CheckFailed
from tito.course import Module
from tito.dev.checks.second import KEPT, Call, Recorder, Replay, noted, perturbed

SOURCE = '''
x = Tensor([[1.0, -2.0, 0.0], [1.0, 3.5, 1e4]])      # ä
w = np.array([0.5], float32)
expect.close(lambda: f(x, Tensor([2.0])), Tensor([7.0]), "why", tol=1e-3, mistaken={"hint": [1.0]})
expect.raises(ValueError, lambda: f(Tensor([4.0])), "why")
rng = np.random.default_rng(0)
n = 2.5
'''


def floats(source: str) -> list[float]:
    return [n.value for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Constant) and type(n.value) is float]


def test_inputs_change_and_nothing_else() -> None:
    other = perturbed(SOURCE, 7)
    before, after = SOURCE.split("\n"), other.split("\n")
    assert len(set(floats(before[1])) & set(floats(after[1]))) == 1                 # 0.0 stays
    assert after[1].split("#")[1] == before[1].split("#")[1]
    assert before[2] != after[2] and before[4] != after[4]
    assert after[3] != before[3] and after[3].split("]")[1:] == before[3].split("]")[1:]        # only what the function is given
    assert after[5] == "rng = np.random.default_rng(7)" and after[6] == before[6]


def test_a_generator_has_another_seed_by_whatever_name_it_goes() -> None:
    assert perturbed("a, own = 1, np.random.default_rng\nown(3), own(n), a(3)", 7).endswith("own(10), own(n), a(3)")
    assert perturbed("new = default_rng\nspirals(45, seed=2, size=2), new(0)", 7).endswith("spirals(45, seed=9, size=2), new(7)")


def test_equal_numbers_stay_equal_and_signs_stay() -> None:
    values = floats(perturbed("Tensor([1.0, 1.0, 2.0])\nTensor([-1.0])", 1))
    assert values[0] == values[1] == values[3] != values[2] and min(values) > 0
    assert "-" in perturbed("Tensor([-1.0])", 1)
    assert perturbed(SOURCE, 7) == perturbed(SOURCE, 7) != perturbed(SOURCE, 8)


@each_module
def test_every_real_test_cell_has_a_second_input(module: Module) -> None:
    cells = solved(module).tests
    assert [ast.dump(ast.parse(perturbed(c.source, 7))) for c in cells]             # they all parse
    assert sum(perturbed(c.source, 7) != c.source for c in cells) > len(cells) / 2


def test_a_recorder_notes_and_never_fails() -> None:
    record = Recorder()
    record.close(lambda: 1 / 0, 3, "why")
    record.same(np.float32([1.0]), [2.0], "why")
    record.true(object(), "why")
    record.raises(ValueError, lambda: 1, "why")
    values = [call.value for call in record.calls]
    assert values[0] == "ZeroDivisionError" and values[1].tolist() == [1.0] and values[2:] == [KEPT, KEPT]


def test_a_replay_expects_what_the_reference_gave() -> None:
    reference = [Call(1, np.float32([2.0])), Call(2, KEPT)]
    replay = Replay(reference, {})
    replay.close(np.float32([2.0]), [1.0], "why")
    with pytest.raises(CheckFailed):
        replay.close(np.float32([2.0]), [1.0], "what cannot be noted is as the test says")


def test_a_typical_value_becomes_what_the_one_who_makes_the_mistake_gets() -> None:
    replay = Replay([Call(1, np.float32([2.0]))], {"too small": [[Call(1, KEPT)], [Call(1, np.float32([0.5]))]]})
    with pytest.raises(CheckFailed) as failed:
        replay.close(np.float32([0.5]), [1.0], "why", mistaken={"first": lambda got: got > 1, "too small": [99.0], "unknown": [0.5]})
    assert failed.value.hint == "too small"


@pytest.mark.parametrize("value, kept", [
    ((1, 2.5), (1, 2.5)), (["a", None], ["a", None]), ({"a": (1, 2)}, {"a": (1, 2)}), (object(), KEPT), ([1, object()], KEPT)])
def test_what_can_be_noted(value: object, kept: object) -> None:
    assert noted(value) == kept or kept is KEPT is noted(value)
