"""Outlines of answers: what they are made of, by names; formulas and prose as a terminal shows them; stubs."""

from __future__ import annotations

import pytest

from tito.dev.outline import Outline, outlines
from tito.ladder.formula import plain
from tito.ladder.prose import readable
from tito.ladder.stubs import stubs

SOLVED = '''#| export
class Net(Module):
    """Given."""
    def forward(self, x, act):
        """Runs."""
        size = len(x)
        ### BEGIN SOLUTION
        # a comment
        total = np.random.default_rng(0).normal(size=size) @ x

        for part in self.parts:
            if part is not None and size > 3:
                total += math.pi * part.sum(axis=0)
        helper = lambda y: y
        return [act(helper(v)) for v in total if v] or math.exp(-total[0])
        ### END SOLUTION


def other():
    ### BEGIN SOLUTION
    raise ValueError("no")
    ### END SOLUTION
'''


STUBS = '''@rule(add)
def _(g,
      need):
    """One."""
    # YOUR CODE HERE
    raise NotImplementedError()

class A:
    """Two."""
    x = 1
    def f(self):
        given = 1
        # YOUR CODE HERE
        raise NotImplementedError()
'''


def test_an_outline_counts_and_names() -> None:
    first, second = outlines(SOLVED)
    assert (first.name, first.lines, first.loops, first.branches, first.returns) == ("Net.forward", 6, 2, 2, 1)
    assert set(first.uses) == {"np.random", "np.random.default_rng", "math.exp", "math.pi", ".normal", ".sum"}
    assert set(first.signs) == {"@", "*", "+=", "-", ">", "and", "is not", "or", "lambda", "[…]"}
    assert second == Outline("other", 1, ("ValueError",), (), 0, 0, 0)


def test_a_cell_without_marks_is_an_answer_as_a_whole() -> None:
    assert outlines("%time x\na = 1\nprint(a)") == [Outline("", 3, ("print",), (), 0, 0, 0)]


def test_a_stub_shows_its_signature_and_docstring_and_what_it_stands_in() -> None:
    first, second = stubs(STUBS)
    assert first.given == '@rule(add)\ndef _(g,\n      need):\n    """One."""'
    assert second.given == 'class A:\n    """Two."""\n    def f(self):' and second.name == "A.f"
    assert first.named_in("`@rule(add)` is not written yet") and first.named_in("add.rule.run(1)") and not first.named_in("sub.rule")
    assert second.named_in("in `f`, cell 3") and not second.named_in("if this")
    assert stubs("def f(:") == [] and stubs("x = 1") == []


@pytest.mark.parametrize(("tex", "text"), [
    (r"\frac{1}{\sqrt{n}} \cdot x^2", "1/√n · x²"), (r"\mathrm{var}(y) = \overline{x^2}", "var(y) = mean(x²)"),
    (r"e^{-x} + 10^{-7}", "e^(-x) + 10⁻⁷"), (r"z_{ts} = \frac{q_t \cdot k_s}{\sqrt D}", "z_ts = (q_t · k_s)/√D"),
    (r"\log \sum_j e^{z_j}", "log Σ_j e^(z_j)"), (r"a \qquad b", "a   b"), (r"\frac{\partial L}{\partial a}", "∂L/∂a"),
    (r"a\cos t", "a cos t"), (r"\unknown{x", "unknownx"), ("", ""), (r"^", "^()"), (r"\frac", "()/()")])
def test_formulas_as_text(tex: str, text: str) -> None:
    assert plain(tex) == text


def test_prose_keeps_code_and_drops_what_does_not_fit() -> None:
    picture = "```\n    a ──► b\n\n    c\n```"
    assert readable(picture, 20) == "```\na ──► b\n\nc\n```"
    assert readable(picture, 5) == "(a picture: look at it in the notebook)"
    assert readable("It is `$x$` and $n_1 \\cdot 2$.", 80) == "It is `` `$x$` `` and n\\_1 · 2."
    assert readable("costs 5 $ or 6 $ each", 80) == "costs 5 $ or 6 $ each"
