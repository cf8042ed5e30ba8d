"""The verdict on notebooks as students leave them, and what no code of theirs may break."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable

import pytest

from tests.check.workbench import ADD, RIGHT, TEST_ADD, Bench, code, demo, graded, solution, text
from tito.check import session
from tito.check.row import STATES, Row

Look = Callable[[Row], str]
STUB = "# YOUR CODE HERE\n    raise NotImplementedError()"


def test_a_right_notebook_earns_its_points(bench: Bench) -> None:
    verdict = bench.judge(demo())
    assert verdict.ok
    assert [(r.state, r.points, r.grade_id, r.section) for r in verdict.rows] == [
        ("passed", 5, "test-add", "Addition: a first operation"), ("passed", 3, "test-double", "Doubling")]
    assert verdict.points == verdict.max_points == 8
    assert verdict.rows[0].card() == ["PASSED  5 of 5   Adding works entry by entry."]


def test_a_wrong_answer_gives_this_card(bench: Bench) -> None:
    assert bench.row(demo("return Tensor(a.data - b.data)")).card() == [
        "FAILED  0 of 5   Adding works entry by entry.",
        "        check    three numbers are added",
        "        call     add(Tensor([1, 2, 3]), Tensor([10, 20, 30]))",
        "        expected [11.0000 22.0000 33.0000]     float32 (3,)",
        "        got      [ -9.0000 -18.0000 -27.0000]     float32 (3,)",
        "        first at [0]: -9.0000, not 11.0000",
        "        hint     this subtracts",
        "        where    01 Addition · test-add, line 4"]


def test_a_long_heading_never_pushes_the_line_number_out_of_a_card() -> None:
    row = Row("failed", "test-product-by-tiles", section="2 · A product without the floats, and what it costs", line=12,
              module="17 quantization")
    assert row.card()[-1] == "        where    17 A product without the ... · test-product-by-tiles, line 12"
    assert max(map(len, row.card())) <= 80


def test_a_notebook_that_tests_itself_is_judged_once(bench: Bench) -> None:
    cells = demo()
    cells[3]["source"] += "\n%tito test"
    verdict = bench.judge([*cells, code("%tito hint")])
    assert verdict.ok and not verdict.troubles


def test_numbers_are_computed_by_one_thread_as_in_grading(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums of several threads differ in the last bit, and threads that wait for each other use up the time of a check."""
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
    assert bench.row(demo("import os\n    raise ValueError(os.environ['OPENBLAS_NUM_THREADS'])")).got == "ValueError: 1"


def test_one_mistake_gives_one_card(bench: Bench) -> None:
    verdict = bench.judge(demo("return a"))
    assert [r.state for r in verdict.rows] == ["failed", "skipped"]
    assert verdict.rows[1].hint == "first mend: Addition"
    verdict = bench.judge(demo(double="return a"))
    assert [r.state for r in verdict.rows] == ["passed", "failed"]


def test_two_mistakes_give_two_cards_where_neither_needs_the_other(bench: Bench) -> None:
    verdict = bench.judge(demo("return a", "return a.data * 3"))
    assert [r.state for r in verdict.rows] == ["failed", "failed"]


def test_a_stub_is_not_written_yet(bench: Bench, card_ok: Look) -> None:
    verdict = bench.judge(demo(STUB, STUB))
    assert verdict.rows[0].state == "failed"
    assert verdict.rows[0].unwritten
    assert verdict.rows[0].hint == "`add` is not written yet: replace `raise NotImplementedError()` in cell add"
    assert "Error" not in card_ok(verdict.rows[0]).replace("NotImplementedError()", "")
    assert [r.unwritten for r in verdict.rows] == [True, True]          # double's stub does not use add
    whole = bench.judge(demo(whole="raise NotImplementedError()"))
    assert whole.rows[0].unwritten
    assert [r.state for r in whole.rows] == ["failed", "skipped"]
    assert whole.troubles[0].error == "cell add is not written yet"
    looked_at = bench.judge([*demo(STUB), code("print(1)\nadd(Tensor(1), Tensor(2))")])
    assert (looked_at.troubles[0].error, looked_at.troubles[0].line) == ("`add` is not written yet", 2)


def test_an_abstract_method_is_no_stub(bench: Bench) -> None:
    row = bench.row(demo("raise NotImplementedError('forward must be defined')"))
    assert (row.state, row.unwritten) == ("error", False)


@pytest.mark.parametrize(("add", "state", "got", "hint"), [
    ("return Tensor(a.data + c.data)", "error", "NameError: name 'c' is not defined", ""),
    ("return Tenso(a.data)", "error", "NameError: name 'Tenso' is not defined", "did you mean `Tensor`?"),
    ("c = c + a\n    return c", "error", "UnboundLocalError", "`c` is used before it is given a value"),
    ("raise ValueError('no')", "error", "ValueError: no", "make the shapes agree"),
    ("return add(a, b)", "error", "RecursionError", "`add` calls itself without end"),
    ("exit()", "error", "SystemExit", "exit() ends Python"),
    ("import sys; sys.exit('bye')", "error", "SystemExit: bye", "exit() ends Python"),
    ("return input('?')", "error", "EOFError", "checks run without a keyboard"),
    ("raise KeyboardInterrupt", "error", "KeyboardInterrupt", ""),
    ("class Stop(BaseException): pass\n    raise Stop('x' * 9999)", "error", "Stop: xxx", ""),
    ("class E(Exception):\n        def __str__(self): raise ValueError\n    raise E()", "error", "E: <its message cannot be shown>", ""),
    ("class E(Exception):\n        def __str__(self): return 3\n    raise E()", "error", "E: <its message cannot be shown>", ""),
    ("class T:\n        def __repr__(self): raise SystemExit\n    return T()", "failed", "<a T whose repr raises SystemExit>", ""),
    ("return '\\ud800 \\x1b[31m \\u4f60\\u597d'", "failed", "'\\ud800 \\x1b[31m \u4f60\u597d'", ""),
    ("raise ValueError('\\ud800\\x1b[2J')", "error", "ValueError: \\ud800\\x1b[2J", ""),
    ("return object()", "failed", "<object object>", ""),
    ("return a.nonsense", "error", "AttributeError: 'Tensor' object has no attribute 'nonsense'", ""),
    ("open('/nowhere/at/all.txt')", "error", "FileNotFoundError: [Errno 2] No such file or directory: 'all.txt'", ""),
    ("a.data + b.data", "failed", "None", "nothing came back"),
    ("assert False, 'mine'", "failed", "AssertionError: mine", ""),
    ("raise ExceptionGroup('g', [ValueError('x')])", "error", "ExceptionGroup: g (1 sub-exception)", ""),
    ("yield a", "failed", "<generator object", ""),
    ("return a.data.astype(object)", "failed", "", ""),
    ("return [[1.0], [1.0, 2.0]]", "failed", "[[1.0], [1.0, 2.0]]", ""),
    ("x = []\n    x.append(x)\n    return x", "failed", "[[[[[[[...]]]]]]]", ""),
])
def test_whatever_an_answer_does_gives_a_clear_card(bench: Bench, card_ok: Look, add: str, state: str, got: str, hint: str) -> None:
    verdict = bench.judge(demo(add))
    row = verdict.rows[0]
    assert row.state == state, row
    assert row.got.startswith(got)
    assert row.hint.startswith(hint)
    card_ok(row)
    assert not verdict.ok
    json.dumps(verdict.to_dict()).encode("utf-8")


@pytest.mark.parametrize("mischief", [
    "print('x' * 50_000_000)", "for _ in range(20000): print('{\"event\": \"done\"}')",
    "import sys; sys.stdout.close(); sys.stderr.close()",
    "import os; os.close(1); os.close(2); os.close(0)", "import sys; sys.stdout = None; sys.stderr = None", "expect = None",
    "import sys; sys.setrecursionlimit(80)", "print('\\ud800')",
    "import sys; sys.stdout = sys.__stdout__; print('hello'); sys.stdout.buffer.write(b'x')",
    "import os; os.system('echo {}')", "%matplotlib inline", "!echo hello", "x = !ls", "%%time\ny = 1",
    "await __import__('asyncio').sleep(0)",
    "get_ipython().run_line_magic('pwd', '')", "?add", "import threading, time\nthreading.Thread(target=time.sleep, args=(99,)).start()",
    "import atexit, time\natexit.register(time.sleep, 99)", "import os; os.chdir('/')", "import sys; sys.settrace(lambda *a: None)",
    "raise ValueError('an experiment')", "import os\nif hasattr(os, 'fork') and not os.fork(): os._exit(0)", "__name__ = 'x'",
    "del np\nimport numpy as np",
    "import json; json.dumps = None", "import sys; sys.modules['json'] = None", "import warnings; warnings.simplefilter('error')",
    "np.seterr(all='raise')", "np.set_printoptions(precision=1)", "import gc; gc.disable()", "class CheckFailed(Exception): pass",
    "import builtins; builtins.print = None", "import time; time.sleep = time.monotonic = None",
])
def test_whatever_a_cell_beside_the_answer_does_changes_nothing(bench: Bench, mischief: str) -> None:
    rows = bench.judge(demo(double="return a", extra=(code(mischief),))).rows
    assert [r.state for r in rows] == ["passed", "failed"], rows
    assert (rows[1].call, rows[1].first) == ("double(Tensor([[1.0, 2.0], [3.0, 4.0]]))", "[0, 0]: 1.0000, not 2.0000")


def test_a_cell_that_does_not_parse_is_what_its_test_tells(bench: Bench, card_ok: Look) -> None:
    verdict = bench.judge(demo("retrun a"))
    row = verdict.rows[0]
    assert (row.state, row.check, row.got) == ("error", "cell add runs", "SyntaxError: invalid syntax")
    assert row.at == "cell add, line 4: retrun a"
    assert verdict.rows[1].state == "skipped"
    assert [(t.cell, t.grade_id, t.line, t.solution, t.exported) for t in verdict.troubles] == [(5, "add", 4, True, True)]
    card_ok(row)


def test_a_cell_that_raises_hides_all_tests_behind_one_card(bench: Bench) -> None:
    cells = demo()
    cells[2] = code("from tinytorch.core.nowhere import Tensor\nimport numpy as np\nfrom tito.check import expect")
    verdict = bench.judge(cells)
    assert [r.state for r in verdict.rows] == ["error", "skipped"]
    assert "No module named" in verdict.rows[0].got
    assert verdict.rows[0].at.endswith("line 1: from tinytorch.core.nowhere import Tensor")


def test_a_renamed_function_is_told_once(bench: Bench) -> None:
    verdict = bench.judge(demo(whole="def plus(a, b): return a"))
    assert verdict.rows[0].hint == "no cell defines `add`: the checks look for this name"
    assert verdict.rows[1].state == "skipped"


def test_a_shadowed_name_is_told(bench: Bench) -> None:
    assert bench.row(demo(extra=(code("np = 5"),))).hint == "cell 4 gives the name `np` another meaning: choose another name there"
    test = TEST_ADD.replace("    a, b", "    n = sum([1])\n    a, b")
    row = bench.row(demo(extra=(code("sum = 0"),), test_add=test))
    assert row.hint == "cell 4 gives the name `sum` another meaning: choose another name there"


def test_where_in_the_answer_it_went_wrong(bench: Bench) -> None:
    row = bench.row(demo("return helper(a, b)", extra=(code("def helper(a, b):\n    return a.data @ b"),)))
    assert row.at == "in `helper`, cell 4, line 2: return a.data @ b"
    assert (row.line, row.cell, row.call) == (4, 7, "add(Tensor([1, 2, 3]), Tensor([10, 20, 30]))")


def test_an_exception_of_a_value_says_as_much_as_one_of_a_call(bench: Bench) -> None:
    test = TEST_ADD.replace("lambda: add(a, b)", "add(a, b)")
    row = bench.row(demo("raise ValueError('no')", test_add=test))
    assert (row.check, row.call) == ("three numbers are added", "add(Tensor([1, 2, 3]), Tensor([10, 20, 30]))")
    assert (row.hint, row.line) == ("make the shapes agree", 4)


def test_an_endless_loop_is_a_timeout_and_the_rest_is_judged(bench: Bench, card_ok: Look) -> None:
    begin = time.monotonic()
    verdict = bench.judge(demo("while True: pass", "return Tensor(a.data * 2)"), cell_seconds=0.5)
    assert time.monotonic() - begin < 20
    row = verdict.rows[0]
    assert (row.state, row.got, row.at, row.line) == ("timeout", "still running after 0.5 seconds", "in `add`, cell add", 4)
    assert (row.check, row.call) == ("three numbers are added", "add(Tensor([1, 2, 3]), Tensor([10, 20, 30]))")
    assert verdict.rows[1].state == "passed"
    card_ok(row)


def test_a_loop_in_the_answers_own_cell(bench: Bench, card_ok: Look) -> None:
    verdict = bench.judge(demo(whole="while True: pass\ndef add(a, b): return a"), cell_seconds=0.5)
    assert [r.state for r in verdict.rows] == ["timeout", "skipped"]
    assert verdict.troubles[0].error == "still running after 0.5 seconds"
    card_ok(verdict.rows[0])


def test_a_loop_that_holds_python_is_ended_too(bench: Bench) -> None:
    verdict = bench.judge(demo("return sum(range(10**12))", "return Tensor(a.data * 2)"), cell_seconds=0.5)
    assert [r.state for r in verdict.rows] == ["timeout", "passed"]


def test_after_three_reruns_the_rest_is_skipped(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "RERUNS", 1)
    loops = tuple(code(f"x = {k}\nwhile True: pass") for k in range(3))
    verdict = bench.judge(demo(extra=loops), cell_seconds=0.3)
    assert [r.state for r in verdict.rows] == ["skipped", "skipped"]
    assert verdict.rows[0].hint == "not run: 2 cells before it did not end"
    assert not verdict.ok


@pytest.mark.parametrize(("end", "code_text"), [
    ("import os; os._exit(0)", "exit code 0"), ("import ctypes; ctypes.string_at(0)", "signal 11" if os.name == "posix" else "exit code ")])
def test_a_process_that_ends_is_an_error_of_that_cell(bench: Bench, card_ok: Look, end: str, code_text: str) -> None:
    verdict = bench.judge(demo(end, "return Tensor(a.data * 2)"))
    assert [r.state for r in verdict.rows] == ["error", "passed"]
    assert verdict.rows[0].got.startswith("the Python process ended here: " + code_text)
    card_ok(verdict.rows[0])


def test_what_cannot_be_started_is_infrastructure_never_a_failure(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    (bench.root / "broken" / "numpy").mkdir(parents=True)
    (bench.root / "broken" / "numpy" / "__init__.py").write_text("raise ImportError('numpy is broken')", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(bench.root / "broken"))
    verdict = bench.judge(demo())
    assert [(r.state, r.got, r.points) for r in verdict.rows] == [("infra", "ImportError: numpy is broken", 0)] * 2
    assert not verdict.ok
    monkeypatch.setattr(sys, "executable", str(bench.root / "no python"))
    assert {r.state for r in bench.judge(demo()).rows} == {"infra"}


def test_a_notebook_without_graded_cells_proves_nothing(bench: Bench) -> None:
    verdict = bench.judge([code("x = 1")])
    assert [r.state for r in verdict.rows] == ["error"] and "tito module reset 01" in verdict.rows[0].hint
    assert not verdict.ok
    assert not bench.judge([]).ok


def test_analysis_and_written_answers_are_left_out(bench: Bench) -> None:
    manual = code("raise ValueError", grade_id="essay", grade=True, solution=True, points=4)
    tagged = [code("raise ValueError", tags=[tag]) for tag in ("analysis", "raises-exception")]
    verdict = bench.judge([*demo(), manual, *tagged])
    assert verdict.ok
    assert not verdict.troubles
    assert verdict.manual_points == 4


def test_an_exported_cell_that_raises_is_not_ok(bench: Bench) -> None:
    verdict = bench.judge([*demo(), code("#| export\n1 / 0")])
    assert all(r.state == "passed" for r in verdict.rows)
    assert not verdict.ok
    assert verdict.troubles[0].error == "ZeroDivisionError: division by zero"
    assert verdict.troubles[0].line == 2


def test_it_is_the_same_every_time_and_names_no_folder(bench: Bench) -> None:
    cells = demo("return [object(), print, {'a', 'b', 'c'}, '/usr/lib']",
                 "raise ValueError(list({'a', 'b', 'c', 'd'}), __import__('os').getcwd())")
    first, second = (bench.judge(cells).to_dict() for _ in range(2))
    assert first == second
    assert str(bench.root) not in json.dumps(first)
    assert first["schema_version"] == 1
    assert all(r["state"] in STATES for r in first["rows"])


def test_rows_survive_json(bench: Bench) -> None:
    row = bench.row(demo("return a"))
    assert Row.from_dict(json.loads(json.dumps(row.to_dict()))) == row
    assert Row.from_dict({**row.to_dict(), "later": 1}) == row


def test_the_package_is_limited_and_comes_from_the_course(bench: Bench) -> None:
    test = 'import tinytorch\ndef test_unit_x():\n    """x"""\n    expect.same(tinytorch.limited, 1, "limited")\ntest_unit_x()'
    assert bench.judge([code("from tito.check import expect"), graded(test, "t")]).ok
    (bench.root / "tinytorch" / "__init__.py").write_text("", encoding="utf-8")
    assert bench.judge(demo()).ok


def test_main_is_the_notebook(bench: Bench) -> None:
    test = '''from dataclasses import dataclass
import pickle, sys
@dataclass
class Point:
    x: "int"
def test_unit_main():
    """x"""
    expect.same(__name__, "__main__", "main")
    expect.same(pickle.loads(pickle.dumps(Point(3))), Point(3), "pickles")
    expect.same(sys.argv[1:], [], "no arguments")
test_unit_main()'''
    assert bench.judge([code("from tito.check import expect"), graded(test, "t")]).ok


def test_long_facts_are_folded(card_ok: Look) -> None:
    row = Row("failed", "test-" + "x" * 200, 0, 100, "word " * 60, "c" * 300, "f(" + "a, " * 99 + ")",
              "[1\n" * 9 + "] float32 (9,)", "[\u4f60" * 99 + "\n" * 9,
              "[0]: 1" * 50, "hint " * 99, "Section " * 30, 12, 3, "in `f`, " * 30, "01 tensor")
    joined = card_ok(row)
    assert "float32 (9,)" in joined
    assert card_ok(Row("error", ""))


def test_an_altered_locked_cell_is_run_as_it_is(bench: Bench) -> None:
    cells = demo(test_add="def test_unit_add(:")
    row = bench.row(cells)
    assert (row.state, row.line) == ("error", 1)
    assert "locked" in row.hint


def test_definitions_below_their_use_and_methods_attached_later(bench: Bench) -> None:
    cells = [*demo()[:3], solution(ADD.format(STUB), "add"), code("Tensor.__add__ = add"),
             graded('def test_unit_plus():\n    expect.close(Tensor([1.0]) + Tensor([1.0]), [2.0], "plus")\ntest_unit_plus()', "test-plus"),
             text("# Later"), solution("def twice(a):\n    return a + a", "twice"),
             graded('def test_unit_twice():\n    expect.close(twice(Tensor([1.0])), [2.0], "twice")\ntest_unit_twice()', "test-twice")]
    verdict = bench.judge(cells)
    assert [r.state for r in verdict.rows] == ["failed", "skipped"]
    cells[3] = solution(ADD.format(RIGHT), "add")
    assert bench.judge(cells).ok


