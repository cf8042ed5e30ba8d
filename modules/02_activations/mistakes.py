"""Wrong answers that real learners write in module 02, as patches of the solutions, each with the words its card must show first."""

from tito.dev.checks.mistake import Equivalent, Mistake

RELU = "np.maximum(x, 0)"
LEAKY = "np.where(x > 0, x, negative_slope * x)"
STABLE = "    e = np.exp(-np.abs(x))\n    return np.where(x >= 0, 1.0, e) / (1.0 + e)"
ERF = "0.5 * x * (1 + error_function(x * math.sqrt(0.5)))"
CUBE = "x + 0.044715 * x * x * x"
BRANCHES = f'    if approximate == "none":\n        return {ERF}\n    if approximate == "tanh":'
EXCHANGED = BRANCHES.replace("none", "TANH").replace("tanh", "none").replace("TANH", "tanh")
REFUSAL = "    raise ValueError(f\"approximate is 'none' or 'tanh', not {approximate!r}\")"
SHIFT = "    z = z - z.max(axis=dim, keepdims=True)\n"
LARGEST = "z.max(axis=dim, keepdims=True)"
SUM = "e.sum(axis=dim, keepdims=True)"
LOG_SUM = "np.log(np.exp(z).sum(axis=dim, keepdims=True))"

MISTAKES = [
    Mistake("relu", "keeps the negative half", RELU, "np.minimum(x, 0)", "that is the smaller of x and 0"),
    Mistake("relu", "absolute value", RELU, "np.abs(x)", "that is the absolute value"),
    Mistake("relu", "answers with truth values", RELU, "(x > 0).astype(x.dtype)", "give x itself there"),
    Mistake("relu", "np.max", RELU, "np.max(x, 0)", "np.max finds the largest of all"),
    Mistake("relu", "Python's max", RELU, "max(x, 0)", "need one truth value"),
    Mistake("relu", "writes where x is negative", "    return np.maximum(x, 0)", "    x[x < 0] = 0\n    return x", "wrote into the caller's array"),
    Mistake("relu", "swallows nan", RELU, "np.where(x > 0, x, 0.0)", "a choice gives 0"),
    Mistake("relu", "multiplies by a mask", RELU, "x * (x > 0)", "compare, do not calculate"),
    Mistake("relu", "half of x + |x|", RELU, "(x + np.abs(x)) / 2", "compare, do not calculate"),

    Mistake("leaky-relu", "sides exchanged", LEAKY, "np.where(x > 0, negative_slope * x, x)", "the sides are exchanged"),
    Mistake("leaky-relu", "slope on both sides", LEAKY, "negative_slope * x", "for the negative side only"),
    Mistake("leaky-relu", "slope itself", LEAKY, "np.where(x > 0, x, negative_slope)", "the slope itself came out"),
    Mistake("leaky-relu", "plain ReLU", LEAKY, "np.maximum(x, 0)", "nothing leaks"),
    Mistake("leaky-relu", "turned upwards", LEAKY, "np.maximum(x, 0) - negative_slope * np.minimum(x, 0)", "comes out positive"),
    Mistake("leaky-relu", "if for an array", LEAKY, "x if x > 0 else negative_slope * x", "decides once for the whole array"),
    Mistake("leaky-relu", "its own constant", "negative_slope * x", "0.01 * x", "only its default"),
    Mistake("leaky-relu", "the larger one", LEAKY, "np.maximum(x, negative_slope * x)", "right for small slopes only"),
    Mistake("leaky-relu", "adds masks", LEAKY, "(x > 0) * x + (x <= 0) * negative_slope * x", "choose, do not add"),

    Mistake("sigmoid", "as written", STABLE, "    return 1 / (1 + np.exp(-x))", "at most 1"),
    Mistake("sigmoid", "both forms in where", STABLE, "    return np.where(x >= 0, 1 / (1 + np.exp(-x)), np.exp(x) / (1 + np.exp(x)))", "computes both of its sides"),
    Mistake("sigmoid", "if for an array", "np.where(x >= 0, 1.0, e)", "(1.0 if x >= 0 else e)", "decides once for the whole array"),
    Mistake("sigmoid", "forms exchanged", "x >= 0", "x < 0", "it falls where it should rise"),
    Mistake("sigmoid", "always 1 above the line", "np.where(x >= 0, 1.0, e)", "1.0", "where x < 0, e stands above the line"),
    Mistake("sigmoid", "always e above the line", "np.where(x >= 0, 1.0, e)", "e", "e stands above the line on both sides"),
    Mistake("sigmoid", "forgets abs", "-np.abs(x)", "-x", "and e is e^-|x|"),
    Mistake("sigmoid", "1 minus the other side", "np.where(x >= 0, 1.0, e) / (1.0 + e)", "np.where(x >= 0, 1 / (1 + e), 1 - 1 / (1 + e))", "1 minus almost 1"),
    Mistake("sigmoid", "cuts off", STABLE, "    return 1 / (1 + np.exp(-np.clip(x, -15, 15)))", "do not cut x off"),
    Mistake("sigmoid", "array of ones", "np.where(x >= 0, 1.0, e)", "np.where(x >= 0, np.ones(x.shape), e)", "make no float64 array"),

    Mistake("tanh", "the sigmoid", "np.tanh(x)", "logistic(x)", "that is the sigmoid"),
    Mistake("tanh", "half as steep", "np.tanh(x)", "2 * logistic(x) - 1", "half as steep"),
    Mistake("tanh", "math.tanh", "np.tanh(x)", "math.tanh(x)", "NumPy's tanh takes all"),
    Mistake("tanh", "exponentials", "np.tanh(x)", "(np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x))", "is built to avoid it"),
    Mistake("tanh", "through the sigmoid", "np.tanh(x)", "2 * logistic(2 * x) - 1", "nearly equal numbers loses them"),

    Mistake("gelu", "no root of 2", "x * math.sqrt(0.5)", "x", "erf takes x / √2"),
    Mistake("gelu", "the multiplier alone", "0.5 * x * (1 + error_function", "0.5 * (1 + error_function", "multiply it by x"),
    Mistake("gelu", "no half", "0.5 * x * (1 + error_function", "x * (1 + error_function", "the ½ is missing"),
    Mistake("gelu", "math.erf", "error_function(", "math.erf(", "error_function all of x"),
    Mistake("gelu", "forms exchanged", BRANCHES, EXCHANGED, "that is the tanh form"),
    Mistake("gelu", "'none' is refused", 'approximate == "none"', "approximate is None", "'none' is a setting as well"),
    Mistake("gelu", "or a text, which is true", 'approximate == "none"', 'approximate == "none" or "exact"', "that is the exact form"),
    Mistake("gelu", "the 1.702 form", ERF, "x * logistic(1.702 * x)", "yet another approximation"),
    Mistake("gelu", "x squared", CUBE, "x + 0.044715 * x * x", "the term is 0.044715 x³"),
    Mistake("gelu", "root on x alone", f"math.sqrt(2 / math.pi) * ({CUBE})", f"math.sqrt(2 / math.pi) * {CUBE}", "multiplies the whole bracket"),
    Mistake("gelu", "upside down", "2 / math.pi", "math.pi / 2", "2 stands above π"),
    Mistake("gelu", "takes any setting", REFUSAL, f"    return {ERF}", "raise a ValueError that names"),
    Mistake("gelu", "float64 leaks", "math.sqrt(2 / math.pi)", "np.sqrt(2 / np.pi)", "widens the array"),

    Mistake("silu", "the gate alone", "x * logistic(x)", "logistic(x)", "that is the sigmoid alone"),
    Mistake("silu", "gate turned", "logistic(x)", "logistic(-x)", "the gate is turned"),
    Mistake("silu", "as written", "logistic(x)", "1 / (1 + np.exp(-x))", "which you made safe"),
    Mistake("silu", "the operation inside the operation", "logistic(x)", "sigmoid(x)", "x is an array here"),

    Mistake("softmax", "sums everything", SUM, "e.sum()", "the whole array adds up to 1"),
    Mistake("softmax", "always columns", SUM, "e.sum(axis=0, keepdims=True)", "the columns add up to 1"),
    Mistake("softmax", "always the last axis", SUM, "e.sum(axis=-1, keepdims=True)", "the rows add up to 1 again"),
    Mistake("softmax", "loses the axis", SUM, "e.sum(axis=dim)", "keepdims=True keeps (2, 1)"),
    Mistake("softmax", "no exponential", "np.exp(z)", "z", "exp makes them positive first"),
    Mistake("softmax", "gives logarithms", f"e / {SUM}", f"z - np.log({SUM})", "those are the logarithms"),
    Mistake("softmax", "overflows", SHIFT, "", "subtract the largest score before exp"),
    Mistake("softmax", "one largest for all", LARGEST, "z.max()", "each row has its own largest score"),
    Mistake("softmax", "largest of each row", LARGEST, "z.max(axis=-1, keepdims=True)", "but the max does not"),
    Mistake("softmax", "writes into z", "z = z - z.max", "z -= z.max", "wrote into the caller's array"),
    Mistake("softmax", "an epsilon below the line", SUM, f"({SUM} + 1e-7)", "add nothing below the line"),
    Mistake("softmax", "hides nan", f"e / {SUM}", f"np.nan_to_num(e / {SUM})", "let nan stand"),

    Mistake("log-softmax", "log of softmax", f"z - {LOG_SUM}", "np.log(np.exp(z) / np.exp(z).sum(axis=dim, keepdims=True))", "rounded to 0 before its logarithm"),
    Mistake("log-softmax", "an epsilon", f"z - {LOG_SUM}", "np.log(np.exp(z) / np.exp(z).sum(axis=dim, keepdims=True) + 1e-30)", "hides the rounding"),
    Mistake("log-softmax", "probabilities", f"z - {LOG_SUM}", "np.exp(z) / np.exp(z).sum(axis=dim, keepdims=True)", "those are the probabilities"),
    Mistake("log-softmax", "no logarithm", LOG_SUM, "np.exp(z).sum(axis=dim, keepdims=True)", "here the sum itself was subtracted"),
    Mistake("log-softmax", "no exponential", "np.exp(z).sum", "z.sum", "the sum is of e^z"),
    Mistake("log-softmax", "shifts the sum only", SHIFT + f"    return z - {LOG_SUM}",
            SHIFT.replace("z = ", "shifted = ") + f"    return z - {LOG_SUM.replace('exp(z)', 'exp(shifted)')}", "subtracted in the sum only"),
    Mistake("log-softmax", "sums everything", "np.exp(z).sum(axis=dim, keepdims=True)", "np.exp(z).sum()", "the whole array was summed"),
    Mistake("log-softmax", "always columns", "np.exp(z).sum(axis=dim, keepdims=True)", "np.exp(z).sum(axis=0, keepdims=True)", "the columns were summed"),
    Mistake("log-softmax", "always the last axis", "np.exp(z).sum(axis=dim, keepdims=True)", "np.exp(z).sum(axis=-1, keepdims=True)", "the rows were summed again"),
    Mistake("log-softmax", "loses the axis", "np.exp(z).sum(axis=dim, keepdims=True)", "np.exp(z).sum(axis=dim)", "keepdims=True keeps (2, 1)"),
    Mistake("log-softmax", "overflows", SHIFT, "", "subtract the largest score before exp"),
    Mistake("log-softmax", "one largest for all", LARGEST, "z.max()", "each row has its own largest score"),
    Mistake("log-softmax", "largest of each row", LARGEST, "z.max(axis=-1, keepdims=True)", "but the max does not"),
    Mistake("log-softmax", "writes into z", "z = z - z.max", "z -= z.max", "wrote into the caller's array"),

    Mistake("objects", "GELU's setting lost", "gelu(x, approximate=self.approximate)", "gelu(x)", "the setting is not passed on"),
    Mistake("objects", "GELU's setting by place", "gelu(x, approximate=self.approximate)", "gelu(x, self.approximate)", "give a setting by its name"),
    Mistake("objects", "Softmax's setting lost", "return softmax(x, dim=self.dim)", "return softmax(x)", "the setting is not passed on"),
    Mistake("objects", "LogSoftmax's setting lost", "log_softmax(x, dim=self.dim)", "log_softmax(x)", "the setting is not passed on"),
    Mistake("objects", "log_softmax for softmax", "return softmax(x, dim=self.dim)", "return log_softmax(x, dim=self.dim)", "that is log_softmax"),
    Mistake("objects", "softmax for log_softmax", "log_softmax(x, dim=self.dim)", "softmax(x, dim=self.dim)", "that is softmax"),
    Mistake("objects", "log of softmax", "log_softmax(x, dim=self.dim)", "softmax(x, dim=self.dim).log()", "keeps small probabilities"),
]

EQUIVALENT = [
    Equivalent("softmax", "e = np.exp(z)", "e = -np.exp(z)", "the sign stands above and below the line, and cancels"),
    Equivalent("leaky-relu", "return np.where(x > 0, x, negative_slope * x)", "return np.where(x >= 0, x, negative_slope * x)",
               "they part at 0 only, where both sides are 0"),
    Equivalent("sigmoid", "return np.where(x >= 0, 1.0, e) / (1.0 + e)", "return np.where(x > 0, 1.0, e) / (1.0 + e)",
               "they part at 0 only, where e is 1"),
]
