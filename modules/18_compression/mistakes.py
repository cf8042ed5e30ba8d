"""Wrong answers that real learners write, as patches of the solution, each with the words its card must show first."""

from tito.dev.checks.mistake import Equivalent, Mistake

ORDER = 'order = np.argsort(np.abs(values), axis=None, kind="stable")'
COUNT = "round(sparsity * len(order))"
GONE = f"order[:{COUNT}]"
ZERO = "self.parameters[name].data[~keep] = 0.0"
TOGETHER = "together = keep_largest(np.concatenate([a.ravel() for a in arrays]), sparsity)"
EACH = "keep = [keep_largest(a, sparsity) for a in arrays]"
CHOSEN = '''    if scope == "layer":
        keep = [keep_largest(a, sparsity) for a in arrays]
    else:'''
APPLIED = "Masks(weights, dict(zip(weights, keep))).apply()"
GAPS = "narrow(np.diff(places, prepend=0))"
FILLED = '''y = np.zeros(self.shape[0], products.dtype)
        y[filled] = np.add.reduceat(products, self.starts[:-1][filled])
        return y'''
SIZES = "np.abs(weight).sum(axis=0)"
KEPT = "np.sort(np.argsort(-sizes)[:count])"
LOW = "return u[:, :rank] * s[:rank], v[:rank]"
LOG_P = "log_softmax(teacher_logits.detach() / temperature)"
LOG_Q = "log_softmax(student_logits / temperature)"
SOFT = "(log_p.exp() * (log_p - log_q)).sum(dim=-1).mean()"
LOSS = "alpha * temperature * temperature * soft + (1 - alpha) * cross_entropy(student_logits, targets)"

MISTAKES = [
    Mistake("keep-largest", "marks what goes", GONE, f"order[{COUNT}:]", "True means that it stays"),
    Mistake("keep-largest", "signed", "np.abs(values)", "values", "compare sizes, np.abs"),
    Mistake("keep-largest", "flat", "np.ones(values.shape, bool)", "np.ones(values.size, bool)", "of the shape of"),
    Mistake("keep-largest", "cuts off", COUNT, "int(sparsity * len(order))", "round, do not cut off"),
    Mistake("keep-largest", "rounds up", COUNT, "int(np.ceil(sparsity * len(order)))", "round to the nearest"),
    Mistake("keep-largest", "a limit", f"gone = {GONE}",
            f"sizes = np.sort(np.abs(values), axis=None)\n    return np.abs(values) > sizes[max({COUNT} - 1, 0)]", "treats all equal ones alike"),
    Mistake("keep-largest", "the last of equal ones", ORDER, 'order = np.argsort(-np.abs(values), axis=None, kind="stable")[::-1]',
            "keeps equal ones in their order"),
    Mistake("keep-largest", "sorts each row", ORDER, 'order = np.argsort(np.abs(values), kind="stable")', "sort by np.abs(values)"),

    Mistake("masks", "zeroes what stays", "[~keep]", "[keep]", "~keep is what goes"),
    Mistake("masks", "a new array", ZERO, "self.parameters[name].data = self.parameters[name].data * keep", "write into it"),
    Mistake("masks", "multiplies a copy", ZERO, "w = self.parameters[name].data.copy()\n            w[~keep] = 0.0", "write into .data"),
    Mistake("masks", "only the first", " = 0.0\n        return self", " = 0.0\n            return self", "not only the first"),
    Mistake("masks", "returns nothing", "return self", "pass", "return self"),
    Mistake("masks", "the Tensor itself", ".data[~keep]", "[~keep]", "write into .data"),

    Mistake("magnitude-prune", "always by layer", CHOSEN, CHOSEN.replace('scope == "layer"', "True"), "compared with one another"),
    Mistake("magnitude-prune", "always global", CHOSEN, CHOSEN.replace('scope == "layer"', "False"), "each layer for itself"),
    Mistake("magnitude-prune", "prunes nothing", APPLIED, APPLIED.replace(".apply()", ""), "a mask alone prunes nothing"),
    Mistake("magnitude-prune", "prunes a copy", APPLIED, "Masks({n: copy.deepcopy(p) for n, p in weights.items()}, dict(zip(weights, keep))).apply()",
            "prune the model, not a copy"),
    Mistake("magnitude-prune", "of what is left", TOGETHER, TOGETHER.replace(", sparsity)", ", 1 - (1 - sparsity) * (1 - measure_sparsity(model)))"),
            "not of those that are left"),
    Mistake("magnitude-prune", "takes the wrong pieces", "ends)", "ends[::-1])", "where the numbers of each weight end"),

    Mistake("gaps", "places", GAPS, "narrow(places)", "not places"),
    Mistake("gaps", "forgets the first", ", prepend=0", "", "counted from place 0"),
    Mistake("gaps", "zeros between", GAPS, "narrow(np.diff(places, prepend=-1) - 1)", "neighbours have gap 1"),
    Mistake("gaps", "row by row", GAPS, "narrow(np.diff(places % array.shape[-1], prepend=0).clip(0))", "through all rows"),
    Mistake("gaps", "int64", GAPS, "np.diff(places, prepend=0)", "int64 takes 8 bytes"),
    Mistake("gaps", "always one byte", GAPS, "np.diff(places, prepend=0).astype(np.uint8)", "does not fit into 8 bits"),
    Mistake("gaps", "positive ones", "array.ravel()[places]", "array[array > 0]", "negative ones too"),

    Mistake("csr", "by the zeros", FILLED, "return self.to_dense() @ x", "use the values only"),
    Mistake("csr", "asks empty rows too", FILLED, "return np.add.reduceat(products, self.starts[:-1])", "leave such rows out"),
    Mistake("csr", "with the end", FILLED, "return np.add.reduceat(products, self.starts)", "starts[:-1]"),
    Mistake("csr", "loses empty rows", FILLED, "return np.add.reduceat(products, self.starts[:-1][filled])",
            "as many sums as there are rows"),
    Mistake("csr", "float64", "np.zeros(self.shape[0], products.dtype)", "np.zeros(self.shape[0])", "unless told"),
    Mistake("csr", "the first of x", "x[self.columns]", "np.resize(x, len(self.values))", "numbers of x at the columns"),

    Mistake("strongest", "the weak stay", "-sizes", "sizes", "the large ones stay"),
    Mistake("strongest", "by size", KEPT, KEPT.replace("np.sort(", "(", 1), "in their order"),
    Mistake("strongest", "signed sums", "np.abs(weight)", "weight", "np.abs before adding up"),
    Mistake("strongest", "inputs for outputs", "axis=0", "axis=1", "outputs are the columns"),
    Mistake("strongest", "the share that stays", "(1 - ratio)", "ratio", "1 - ratio stays"),
    Mistake("strongest", "none left", "max(1, round((1 - ratio) * len(sizes)))", "round((1 - ratio) * len(sizes))", "at least one"),
    Mistake("strongest", "turned round", "kept[:, None] * each + np.arange(each)", "kept * each + np.arange(each)[:, None]", "then those of the next"),
    Mistake("strongest", "one after the other", "kept[:, None] * each", "kept[:, None]", "begins at k · each"),

    Mistake("low-rank", "forgets s", " * s[:rank]", "", "multiply by s"),
    Mistake("low-rank", "s twice", LOW, "return u[:, :rank] * s[:rank], s[:rank, None] * v[:rank]", "s counts once"),
    Mistake("low-rank", "the smallest", LOW, "return u[:, -rank:] * s[-rank:], v[-rank:]", "the largest come first"),
    Mistake("low-rank", "rows of u", "u[:, :rank]", "u[:rank]", "columns that s[:rank] belongs to"),
    Mistake("low-rank", "keeps them all", LOW, "s[rank:] = 0\n    return u * s, v", "keep `rank` columns"),
    Mistake("low-rank", "columns of v", "v[:rank]", "v.T[:rank]", "u[:, :rank] * s[:rank]"),

    Mistake("distillation-loss", "alpha for the labels", LOSS, "(1 - alpha) * temperature * temperature * soft + alpha * cross_entropy(student_logits, targets)",
            "alpha belongs to the teacher"),
    Mistake("distillation-loss", "forgets T²", " * temperature * temperature", "", "multiply by T²"),
    Mistake("distillation-loss", "T alone", " * temperature * temperature", " * temperature", "T squared"),
    Mistake("distillation-loss", "hard student", LOG_Q, LOG_Q.replace(" / temperature", ""), "soften the student too"),
    Mistake("distillation-loss", "hard teacher", LOG_P, LOG_P.replace(" / temperature", ""), "soften the teacher too"),
    Mistake("distillation-loss", "the other way", SOFT, "(log_q.exp() * (log_q - log_p)).sum(dim=-1).mean()", "the teacher's chances are the weights"),
    Mistake("distillation-loss", "mean of everything", ".sum(dim=-1).mean()", ".mean()", "add up the classes"),
    Mistake("distillation-loss", "a sum", ".sum(dim=-1).mean()", ".sum()", "the mean of the rows"),
    Mistake("distillation-loss", "cross-entropy", "(log_p - log_q)", "(-log_q)", "KL is 0 where both agree"),
    Mistake("distillation-loss", "log q - log p", "(log_p - log_q)", "(log_q - log_p)", "not the other way"),
    Mistake("distillation-loss", "all of the labels", "(1 - alpha) * ", "", "1 - alpha for the labels"),
    Mistake("distillation-loss", "the gradient is severed", LOG_Q, "log_softmax(Tensor(student_logits.data) / temperature)", "the student's way was cut"),
    Mistake("distillation-loss", "teaches the teacher", "teacher_logits.detach()", "teacher_logits", "teacher_logits.detach()"),
]

SIZE, ROWS, SUMS = "the size of a number has no sign", "y = np.zeros(self.shape[0], products.dtype)", "sizes = " + SIZES
EQUIVALENT = [
    Equivalent("magnitude-prune", EACH, EACH.replace("(a,", "(-a,"), SIZE),
    Equivalent("magnitude-prune", TOGETHER, TOGETHER.replace("(np", "(-np"), SIZE),
    Equivalent("gaps", "places = np.flatnonzero(array)", "places = np.flatnonzero(-array)", SIZE),
    Equivalent("csr", ROWS, ROWS.replace("np.zeros", "-np.zeros"), "0 and -0 are the same"),
    Equivalent("strongest", SUMS, SUMS.replace("sum", "mean"), "each output has as many weights, so means are in the order of sums"),
    Equivalent("distillation-loss", f"soft = {SOFT}", f"soft = {SOFT}".replace("-1", "1"), "logits (n, C) have two axes"),
]
