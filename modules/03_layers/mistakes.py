"""Wrong answers that real learners write, as patches of the solution, each with the words its card must show first."""

from tito.dev.checks.mistake import Equivalent, Mistake

BIAS = "y = np.add(y, b, out=y if y.dtype == b.dtype else None)"
ROWS = "return y.reshape(*front, fan_out)"
KAIMING = "bound = math.sqrt(6 / ((1 + a * a) * (fan_in or shape[0])))\n    return rand(*shape, generator=generator) * (2 * bound) - bound"
XAVIER = "bound = gain * math.sqrt(6 / ((fan_in or shape[0]) + (fan_out or shape[-1])))\n    return rand(*shape, generator=generator)"
SEEN = "if id(value) in seen:\n        return\n    seen.add(id(value))"
YIELD = "if isinstance(value, (Module, Tensor)):\n        yield name, value\n    "
DEEPER = "yield from _walk(part, f\"{name}.{key}\" if name else str(key), seen)"
WEIGHT = "self.weight = Parameter(kaiming_uniform((in_features, out_features), math.sqrt(5), generator=generator))"
BIAS_START = "Parameter(kaiming_uniform((out_features,), math.sqrt(5), fan_in=in_features, generator=generator)) if bias else None"
REFUSE = "if wrong:\n        raise ValueError(f\"load_state_dict: this state does not fit {type(self).__name__}: {'; '.join(wrong)}\")\n    "
WRITE = "for name, t in ours.items():\n        t.data[...] = state[name]\n    "
DROP = "return (x * kept / (1 - p) if p < 1 else x * 0.0), {\"keep\": kept}"
EACH = "for module in self.modules():\n        module.training = mode"

MISTAKES = [
    Mistake("linear", "forgets the bias", BIAS, "pass", "the bias is missing"),
    Mistake("linear", "subtracts the bias", "np.add(y, b,", "np.subtract(y, b,", "the bias is subtracted"),
    Mistake("linear", "turns the weight round", "fan_in) @ w", "fan_in) @ w.T", "w has shape (in, out)"),
    Mistake("linear", "adds into the bias", BIAS, "y = np.add(y, b, out=b)", "b is added to every row"),
    Mistake("linear", "knows no single sample", "x.shape[-1] != fan_in", "x.shape[1] != fan_in", "a single sample has one axis"),
    Mistake("linear", "leaves the axis of rows", ROWS, "return y", "take the axis of rows off again"),
    Mistake("linear", "keeps two axes only", ROWS, "return y if x.ndim > 1 else y[0]", "give the axes in front back"),
    Mistake("linear", "asks only for the bias's last axis", "np.shape(b) != (fan_out,)", "np.shape(b)[-1] != fan_out", "it would be broadcast"),
    Mistake("linear", "always adds in place", "out=y if y.dtype == b.dtype else None", "out=y", "out=y keeps y's dtype"),
    Mistake("linear", "never means w.T", "x.shape[-1] == fan_out else", "x.shape[-1] == fan_in else", "is the last size of w"),

    Mistake("initialisers", "the spread for the bound", "sqrt(6 / ((1 + a", "sqrt(2 / ((1 + a", "that makes the spread the bound"),
    Mistake("initialisers", "counts the outputs", KAIMING, KAIMING.replace("shape[0]", "shape[-1]"), "fan_in is shape[0]"),
    Mistake("initialisers", "does not shift", KAIMING, KAIMING.removesuffix(" - bound"), "then shift by -bound"),
    Mistake("initialisers", "half the width", KAIMING, KAIMING.replace("(2 * bound) - bound", "bound - bound / 2"), "stretch by 2 * bound"),
    Mistake("initialisers", "draws normal numbers", KAIMING, "bound = math.sqrt(2 / ((1 + a * a) * (fan_in or shape[0])))\n    "
            "from tinytorch.core.tensor import randn\n    return randn(*shape, generator=generator) * bound", "draw with rand, not randn"),
    Mistake("initialisers", "does not square the slope", "1 + a * a", "1 + a", "the slope squared"),
    Mistake("initialisers", "forgets the given fan_in", "(fan_in or shape[0])))", "shape[0]))", "use `fan_in` where"),
    Mistake("initialisers", "gain under the root", XAVIER, XAVIER.replace("gain * math.sqrt(6", "math.sqrt(gain * 6"), "gain multiplies the bound"),
    Mistake("initialisers", "a generator of its own", XAVIER, XAVIER.replace("generator=generator", ""), "pass generator on to rand"),

    Mistake("walk", "does not remember", "seen.add(id(value))", "pass", "visit each id once"),
    Mistake("walk", "does not pass on what it saw", ", seen)", ")", "visit each id once"),
    Mistake("walk", "remembers values", SEEN, SEEN.replace("id(value)", "value"), "a list cannot be in a set"),
    Mistake("walk", "forgets the way", DEEPER, "yield from _walk(part, str(key), seen)", "pass the name on"),
    Mistake("walk", "a dot in front", DEEPER, "yield from _walk(part, f\"{name}.{key}\", seen)", "no dot in front"),
    Mistake("walk", "calls and drops", DEEPER, DEEPER.replace("yield from ", ""), "has to be passed on"),
    Mistake("walk", "passes over lists", DEEPER, f"if isinstance(part, (Module, Tensor)):\n            {DEEPER}", "lists are looked into"),
    Mistake("walk", "yields parameters only", "(Module, Tensor)", "Parameter", "yield Modules and Tensors"),
    Mistake("walk", "yields lists too", YIELD, "yield name, value\n    ", "yield Modules and Tensors"),

    Mistake("linear-layer", "(out, in)", "(in_features, out_features)", "(out_features, in_features)", "weight has shape (in, out)"),
    Mistake("linear-layer", "plain tensors", WEIGHT, WEIGHT.replace("Parameter(", "")[:-1], "only a Parameter is found"),
    Mistake("linear-layer", "bias first", f"{WEIGHT}\n        self.bias = {BIAS_START}", f"self.bias = {BIAS_START}\n        {WEIGHT}", "weight first, then bias"),
    Mistake("linear-layer", "Kaiming for ReLU", WEIGHT, WEIGHT.replace("math.sqrt(5), ", ""), "with a = √5"),
    Mistake("linear-layer", "biases of zero", BIAS_START, "Parameter(zeros(out_features)) if bias else None", "biases start at random"),
    Mistake("linear-layer", "the bias's own shape", "fan_in=in_features, ", "", "a bias's fan_in is in_features"),
    Mistake("linear-layer", "always a bias", " if bias else None", "", "set self.bias to None"),
    Mistake("linear-layer", "another generator", "fan_in=in_features, generator=generator", "fan_in=in_features", "to both draws"),
    Mistake("linear-layer", "forgets the bias", "self.weight, self.bias)", "self.weight)", "self.bias is not added"),
    Mistake("linear-layer", "adds None", "linear(x, self.weight, self.bias)", "linear(x, self.weight) + self.bias", "hand self.bias on"),

    Mistake("state", "the same arrays", "t.data.copy() for", "t.data for", "copy the arrays"),
    Mistake("state", "Tensors", "t.data.copy() for", "t.copy() for", "a state holds arrays"),
    Mistake("state", "parameters only", "t.data.copy() for name, t in _walk(self) if isinstance(t, Tensor)",
            "t.data.copy() for name, t in _walk(self) if isinstance(t, Parameter)", "a buffer is saved too"),
    Mistake("state", "a new array", "t.data[...] = state[name]", "t.data = state[name].copy()", "write into the array"),
    Mistake("state", "the state's own array", "t.data[...] = state[name]", "t.data = state[name]", "write into the array"),
    Mistake("state", "returns nothing", "return self", "pass", "end with `return self`"),
    Mistake("state", "lets unexpected names pass", "if strict and name not in ours", "if False", "collect all that is"),
    Mistake("state", "writes, then looks", REFUSE + WRITE, WRITE + REFUSE, "before the first is written"),
    Mistake("state", "counts the numbers", "if np.shape(state[name]) != t.shape", "if np.size(state[name]) != t.size", "wrongly shaped"),
    Mistake("state", "always strict", "name in ours if strict and name not in state", "name in ours if name not in state", "with strict=False"),

    Mistake("dropout", "does not divide", DROP, "return x * kept, {\"keep\": kept}", "must be divided by 1 - p"),
    Mistake("dropout", "divides by p", "/ (1 - p) if", "/ p if", "the share that is kept"),
    Mistake("dropout", "keeps what should go", ">= p", "< p", "p is the chance to become zero"),
    Mistake("dropout", "writes into x", DROP, "x *= kept / (1 - p)\n    return x, {\"keep\": kept}", "make a new array"),
    Mistake("dropout", "one draw a row", "generator.random(x.shape, dtype=np.float32)", "generator.random(x.shape[:1] + (1,) * (x.ndim - 1), dtype=np.float32)",
            "as many numbers as x has"),
    Mistake("dropout", "NumPy's own numbers", "generator.random(x.shape, dtype=np.float32)", "np.random.random(x.shape)", "draw from `generator`"),
    Mistake("dropout", "nothing divided by nothing", DROP, "return x * kept * (1 / (1 - p)), {\"keep\": kept}", "there is nothing to divide"),
    Mistake("dropout", "divides the places", DROP, "kept = kept / (1 - p or 1)\n    return (x * kept).astype(x.dtype), {\"keep\": kept}",
            "keep says where"),
    Mistake("dropout", "a wide divisor", "/ (1 - p) if", "/ np.float64(1 - p) if", "does not widen an array"),

    Mistake("train", "only itself", EACH, "self.training = mode", "all of self.modules()"),
    Mistake("train", "all but itself", "self.modules():", "self.modules()[1:]:", "the module itself too"),
    Mistake("train", "always on", "module.training = mode", "module.training = True", "set it to `mode`"),
    Mistake("train", "returns nothing", "return self", "return", "return self: then"),
    Mistake("train", "throws dice in use", " if self.training and self.p else x", "", "it still drops"),
    Mistake("train", "shrinks in use", "if self.training and self.p else x", "if self.training else x * (1 - self.p)", "in training already"),
    Mistake("train", "throws dice for nothing", " and self.p else x", " else x", "where self.p is 0"),
    Mistake("train", "one share for all", "p=self.p, ", "", "a share of its own"),
    Mistake("train", "one generator for all", ", generator=self.generator", "", "a generator of its own"),

    Mistake("sequential", "the last first", "in self.layers:", "in self.layers[::-1]:", "the first layer comes first"),
    Mistake("sequential", "each gets the first x", "x = layer(x)\n    return x", "out = layer(x)\n    return out", "each layer gets what"),
    Mistake("sequential", "returns too early", "x = layer(x)\n    return x", "x = layer(x)\n        return x", "all layers, not only"),
    Mistake("sequential", "keeps no layer", "setattr(self, str(len(self)), layer)", "self.layers.append(layer)", "no layer was kept"),
    Mistake("sequential", "a number as a name", "str(len(self)), layer", "len(self), layer", "an attribute's name is text"),
    Mistake("sequential", "modules only", "not callable(layer)", "not isinstance(layer, Module)", "may stand in the row"),
    Mistake("sequential", "counts from one", "str(len(self)), layer", "str(len(self) + 1), layer", "the first layer is number 0"),
    Mistake("sequential", "a slice is a list", "Sequential(*self.layers[at]) if isinstance(at, slice) else self.layers[at]", "self.layers[at]",
            "into a new Sequential"),
    Mistake("sequential", "takes lists", "if not callable(layer)", "if layer is None", "refuse what is not"),
]

TABLE = "y = x.reshape(math.prod(front), fan_in) @ w"
DRAW = "kept = generator.random(x.shape, dtype=np.float32) >= p"

EQUIVALENT = [
    Equivalent("linear", TABLE, "y = x @ w", "NumPy multiplies batches as well, one by one: slower, the same numbers"),
    Equivalent("linear", TABLE, TABLE.replace("math", "-math"), "NumPy takes any negative size for -1, to be worked out"),
    Equivalent("linear", BIAS, BIAS.replace("==", ">="), "a product that is wider than the bias can take it in, too"),
    Equivalent("linear", BIAS, BIAS.replace("y.dtype", "x.dtype"), "the product is never narrower than x, and takes in what is as wide as x"),
    Equivalent("linear", BIAS, BIAS.replace("y.dtype", "w.dtype"), "the product is never narrower than w, and takes in what is as wide as w"),
    Equivalent("linear-layer", WEIGHT, WEIGHT.replace("math", "-math"), "the slope is squared"),
    Equivalent("linear-layer", f"self.bias = {BIAS_START}", f"self.bias = {BIAS_START}".replace("math", "-math"), "the slope is squared"),
    Equivalent("dropout", DRAW, DRAW.replace(", dtype=np.float32", ""), "a finer random number is below p as often"),
    Equivalent("dropout", DRAW, DRAW.replace("32", "64"), "a finer random number is below p as often"),
    Equivalent("dropout", DROP, DROP.replace("else x", "else -x"), "-0 is 0"),
    Equivalent("dropout", DROP, DROP.replace("0.0", "np.float64(0.0)"), "the door settles the dtype of what is all zero"),
    Equivalent("dropout", DROP, DROP.replace("else x", "else kept"), "nothing is kept where p is 1, and the door settles the dtype"),
]
