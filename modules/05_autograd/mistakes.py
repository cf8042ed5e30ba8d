"""Wrong answers that real learners write, as patches of the solution, each with the words its card must show first."""

from tito.dev.checks.mistake import Equivalent, Mistake

BOTH_STEPS = """x[i] = before + eps
        above = f(x)
        x[i] = before - eps
        below = f(x)
        x[i] = before
        slopes[i] = (above - below) / (2 * eps)"""

WALK = """seen, stack = set(roots), list(roots)
    while stack:
        for i in stack.pop().inputs:
            if type(i) is Node and i not in seen:
                seen.add(i)
                stack.append(i)
    return sorted(seen, key=age, reverse=True)"""

ONE_BY_ONE = """seen, found = set(), []
    def visit(node):
        if type(node) is Node and node not in seen:
            seen.add(node)
            for i in node.inputs:
                visit(i)
            found.append(node)
    for root in roots:
        visit(root)
    return found[::-1]"""

EVERY_PATH = """found, stack = [], list(roots)
    while stack:
        node = stack.pop()
        found.append(node)
        stack += [i for i in node.inputs if type(i) is Node]
    return sorted(found, key=age, reverse=True)"""

SET_AT_THE_END = """found, stack = [], list(roots)
    while stack:
        node = stack.pop()
        found.append(node)
        stack += [i for i in node.inputs if type(i) is Node]
    return sorted(set(found), key=age, reverse=True)"""

AS_FOUND = """found = list(roots)
    for node in found:
        found += [i for i in dict.fromkeys(node.inputs) if type(i) is Node and i not in found]
    return found"""

TIDY_UP = """try:
        yield
    finally:
        recording.reset(token)"""

AS_TABLES = """g = rows(g)
    dx = (g @ w.mT).reshape(x.shape) if need[0] else None
    dw = rows(x).mT @ g if need[1] else None"""

MISTAKES = [
    # 1 · a slope by small steps
    Mistake("numerical-gradient", "one step only", BOTH_STEPS, """below = f(x)
        x[i] = before + eps
        above = f(x)
        x[i] = before
        slopes[i] = (above - below) / eps""", "a step to one side only"),
    Mistake("numerical-gradient", "divides by eps", "(2 * eps)", "eps", "2·eps apart: divide by all"),
    Mistake("numerical-gradient", "forgets to divide", " / (2 * eps)", "", "divide the difference by how far"),
    Mistake("numerical-gradient", "never restores", "x[i] = before\n        slopes", "slopes", "write it back after both steps"),
    Mistake("numerical-gradient", "moves the whole array", BOTH_STEPS, "slopes[i] = (f(x + eps) - f(x - eps)) / (2 * eps)",
            "change one at a time"),
    Mistake("numerical-gradient", "below minus above", "above - below", "below - above", "after the step up, minus f after"),

    # 4 · the table
    Mistake("rules-arithmetic", "negative: no sign", "return -g", "return g", "when a grows, -a falls"),
    Mistake("rules-arithmetic", "negative: into g itself", "return -g", "g *= -1\n    return g", "never write into g"),
    Mistake("rules-arithmetic", "subtract: no sign", "return g, -g if need[1] else None", "return g, g if need[1] else None", "b is taken away"),
    Mistake("rules-arithmetic", "multiply: own side", "g * b if need[0] else None, g * a if", "g * a if need[0] else None, g * b if",
            "the slope for a is b"),
    Mistake("rules-arithmetic", "multiply: no chain rule", "g * b if need[0] else None, g * a if", "b if need[0] else None, a if",
            "multiply by g: the chain rule"),
    Mistake("rules-arithmetic", "multiply: gives both", "g * b if need[0] else None, g * a if need[1] else None", "g * b, g * a", "look at need[0] and need[1]"),
    Mistake("rules-arithmetic", "divide: no chain rule", "g / b if need[0] else None, -g * out", "1 / b if need[0] else None, -out",
            "multiply by g: the chain rule"),
    Mistake("rules-arithmetic", "divide: no sign", "-g * out / b", "g * out / b", "a larger divisor makes less"),
    Mistake("rules-arithmetic", "divide: one b only", "-g * out / b", "-g * out", "out has only one of the two b"),
    Mistake("rules-arithmetic", "divide: takes out for a", "-g * out / b", "-g * out / b ** 2", "out is a / b already"),

    # the product of matrices
    Mistake("matmul-gradients", "no transpose", "g @ b.mT", "g @ b", "write the shapes down"),
    Mistake("matmul-gradients", "wrong order", "a.mT @ g", "g @ a.mT", "write the shapes down"),
    Mistake("matmul-gradients", "the transpose of the answer", "a.mT @ g", "g.mT @ a", "b's gradient has b's shape"),
    Mistake("matmul-gradients", "T turns the batch", "g @ b.mT", "g @ b.T", "mT, not T: T would"),
    Mistake("matmul-gradients", "gives both", " if need[1] else None", "", "look at need[0] and need[1]"),

    # 5 · undoing the stretch
    Mistake("unbroadcast", "mean for sum", "g.sum(axis", "g.mean(axis", "sum, do not average"),
    Mistake("unbroadcast", "only the missing axes", "axis=axes", "axis=tuple(range(extra))", "sum also over the axes where"),
    Mistake("unbroadcast", "keepdims forgotten", ".sum(axis=axes).reshape(shape)", ".sum(axis=axes)", "the axis of size 1 stays"),
    Mistake("unbroadcast", "axes from the left", "tuple(i for i in range(g.ndim) if i < extra or shape[i - extra] == 1)",
            "(*range(extra), *(i for i, n in enumerate(shape) if n == 1))", "shapes line up on the right"),
    Mistake("unbroadcast", "takes any shape", " or any(n not in (1, m) for n, m in zip(shape, g.shape[extra:]))", "", "compare the sizes from the right"),

    # 6 · newest first
    Mistake("newest-first", "oldest first", ", reverse=True", "", "sort by `order`, newest first"),
    Mistake("newest-first", "each use anew", WALK, EVERY_PATH, "remember what you have seen"),
    Mistake("newest-first", "every path, then a set", WALK, SET_AT_THE_END, "you walk down every path"),
    Mistake("newest-first", "recursion", WALK, ONE_BY_ONE, "use a list as a stack"),
    Mistake("newest-first", "as found", WALK, AS_FOUND, "sort by `order`, newest first"),
    Mistake("newest-first", "follows leaves", "type(i) is Node and i", "i is not None and i", "a leaf has no `inputs`"),
    Mistake("newest-first", "eats the roots", "list(roots)", "roots", "pop from a list of your own"),
    Mistake("newest-first", "without the roots", "seen, stack = set(roots)", "seen, stack = set()", "the roots belong to it"),
    Mistake("simple-pull", "overwrites", "grads[i] = grads[i] + gi if i in grads else gi", "grads[i] = gi", "replaced another: add them"),
    Mistake("simple-pull", "adds to nothing", "grads[i] + gi if i in grads else gi", "grads[i] + gi", "an input's first gradient is put into the dict"),
    Mistake("simple-pull", "no unbroadcast", "gi = unbroadcast(gi, i.shape)", "pass", "unbroadcast to the input's shape"),
    Mistake("simple-pull", "the node's shape", "gi = unbroadcast(gi, i.shape)", "gi = unbroadcast(gi, node.shape)", "unbroadcast to the input's shape"),
    Mistake("simple-pull", "follows None", "i is not None and gi", "gi", "skip inputs that are None"),
    Mistake("simple-pull", "takes any gradient", "i is not None and gi is not None", "i is not None", "skip gradients that are None"),

    # 8 · not now
    Mistake("grad-mode", "no finally", TIDY_UP, "yield\n    recording.reset(token)", "reset in `finally`"),
    Mistake("grad-mode", "always on afterwards", "recording.reset(token)", "recording.set(True)", "comes back what was there before it"),
    Mistake("grad-mode", "forgets to reset", TIDY_UP, "yield", "comes back what was there before it"),
    Mistake("grad-mode", "always off", "recording.set(on)", "recording.set(False)", "set what `on` says"),
    Mistake("grad-mode", "swallows the error", "    finally:\n", "    except Exception:\n        pass\n    finally:\n", "do not catch the error"),

    # 9 · the rest of the table
    Mistake("rules-reductions", "sum: hands on g as it is", "return spread(g, shape, dim)", "return g", "belongs to a whole row"),
    Mistake("rules-reductions", "mean: as a sum", "g * (g.size / max(math.prod(shape), 1))", "g", "moves the mean by an n-th"),
    Mistake("rules-reductions", "mean: multiplies", "g.size / max(math.prod(shape), 1)", "math.prod(shape) / max(g.size, 1)", "results divided by inputs"),
    Mistake("rules-reductions", "mean: by everything", "(g.size / max", "(1 / max", "into *one* result"),
    Mistake("rules-activations", "relu: no mask", "return g * (out > 0)", "return g", "nothing gets through where out"),
    Mistake("rules-activations", "relu: asks g", "g * (out > 0)", "g * (g > 0)", "look at out, not at g"),
    Mistake("rules-activations", "relu: no chain rule", "g * (out > 0)", "(out > 0)", "multiply by g: the chain rule"),
    Mistake("rules-activations", "sigmoid: no chain rule", "g * (out * (1.0 - out))", "out * (1.0 - out)", "multiply by g: the chain rule"),
    Mistake("rules-activations", "sigmoid: half", "out * (1.0 - out)", "out", "both factors: out"),
    Mistake("rules-activations", "tanh: no square", "1.0 - out * out", "1.0 - out", "the output is squared"),
    Mistake("rules-activations", "tanh: no chain rule", "g * (1.0 - out * out)", "1.0 - out * out", "multiply by g: the chain rule"),
    Mistake("rules-activations", "softmax: each by itself", "out * (g - (g * out).sum(axis=dim, keepdims=True))", "g * out * (1 - out)", "the sum is missing"),
    Mistake("rules-activations", "softmax: sum of g", "(g * out).sum", "g.sum", "g · out is summed"),
    Mistake("rules-activations", "softmax: sums everything", "(g * out).sum(axis=dim, keepdims=True)", "(g * out).sum()", "not over everything"),
    Mistake("rules-activations", "softmax: loses the axis", "axis=dim, keepdims=True", "axis=dim", "the sum keeps its axis"),
    Mistake("rules-activations", "softmax: the last axis", "axis=dim, keepdims", "axis=-1, keepdims", "use `dim`, not a fixed"),

    # a layer
    Mistake("rule-linear", "x: stays a table", "(g @ w.mT).reshape(x.shape)", "g @ w.mT", "bring it back to x.shape"),
    Mistake("rule-linear", "x: no transpose", "g @ w.mT", "g @ w", "write the shapes of the tables down"),
    Mistake("rule-linear", "w: turned round", "rows(x).mT @ g", "g.mT @ rows(x)", "x comes first in the product"),
    Mistake("rule-linear", "w: not as tables", "rows(x).mT @ g", "x.mT @ g", "write the shapes of the tables down"),
    Mistake("rule-linear", "w and b: batch by batch", AS_TABLES, """dx = g @ w.mT if need[0] else None
    dw = x.mT @ g if need[1] else None""", "read x and g as tables first"),
    Mistake("rule-linear", "b: the first axis only", AS_TABLES, """dx = g @ w.mT if need[0] else None
    dw = rows(x).mT @ rows(g) if need[1] else None""", "over every axis but the last"),
    Mistake("rule-linear", "b: mean", "g.sum(axis=0)", "g.mean(axis=0)", "sum over the rows, do not average"),
    Mistake("rule-linear", "gives all three", " if need[2] else None", "", "look at need[0], need[1]"),
]

LAST = "need has two entries, so the last one is the second"

EQUIVALENT = [
    Equivalent("rules-arithmetic", "return g, -g if need[1] else None", "return g, -g if need[-1] else None", LAST),
    Equivalent("rules-arithmetic", "return g * b if need[0] else None, g * a if need[1] else None",
               "return g * b if need[0] else None, g * a if need[-1] else None", LAST),
    Equivalent("rules-arithmetic", "return g / b if need[0] else None, -g * out / b if need[1] else None",
               "return g / b if need[0] else None, -g * out / b if need[-1] else None", LAST),
    Equivalent("matmul-gradients", "return g @ b.mT if need[0] else None, a.mT @ g if need[1] else None",
               "return g @ b.mT if need[0] else None, a.mT @ g if need[-1] else None", LAST),
    Equivalent("newest-first", "for i in stack.pop().inputs:", "for i in stack.pop(0).inputs:", "the nodes are sorted in the end: the order of visits does not show"),
]
