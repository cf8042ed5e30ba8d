"""Wrong answers that real learners write, as patches of the solution, each with the words its card must show first."""

from tito.dev.checks.mistake import Equivalent, Mistake

DOT = "sum(q[t, d] * k[s, d] for d in range(D)) / math.sqrt(D)"
PARTS = "[math.exp(score - max(scores)) for score in scores]"
MIX = "out[t] += parts[s] / sum(parts) * v[s]"
BOTH = 'where(mask, scores, -math.inf) if mask.dtype.kind == "b" else scores + mask'
NOTHING = "nothing = scores.data.max(axis=-1, keepdims=True) == -math.inf"
ZEROS = "return where(nothing, 0.0, softmax(where(nothing, 0.0, scores), dim=-1))"
TRI = "Tensor(np.tri(seq_len, dtype=bool))"
SCORES = "scores = Q @ K.mT * (1 / math.sqrt(Q.shape[-1]))"
SPLIT = "x.reshape(*x.shape[:-1], num_heads, x.shape[-1] // num_heads).swapaxes(-3, -2)"
MERGE = "x = x.swapaxes(-3, -2)\n    return x.reshape(*x.shape[:-2], x.shape[-2] * x.shape[-1])"
SCALE = "p *= 1 / math.sqrt(q.shape[-1])"
SHIFT = "p -= p.max(axis=-1, keepdims=True)"
DIVIDE = "p /= p.sum(axis=-1, keepdims=True)"
PAIRS = "return (d, k), (d.mT, q), (p.mT, g)"
QKV, PROJ = "self.qkv = Linear(embed_dim, 3 * embed_dim, bias, generator)", "self.proj = Linear(embed_dim, embed_dim, bias, generator)"
TURNED = "q, k = self.rotary(q), self.rotary(k)"
FAST = "if self.causal and mask is None and self.rotary is None:"

MISTAKES = [
    Mistake("attention-loops", "forgets the scale", DOT, DOT.replace(" / math.sqrt(D)", ""), "divide the scores by √D"),
    Mistake("attention-loops", "divides by D", "math.sqrt(D)", "D", "by √D, not by D"),
    Mistake("attention-loops", "multiplies by the root", "/ math.sqrt(D)", "* math.sqrt(D)", "are DIVIDED by √D"),
    Mistake("attention-loops", "does not divide by the sum", MIX, "out[t] += parts[s] * v[s]", "divide by the sum of the exponentials"),
    Mistake("attention-loops", "no softmax", MIX, "out[t] += scores[s] * v[s]", "scores are no weights"),
    Mistake("attention-loops", "overwrites", "out[t] += ", "out[t] = ", "add up over all keys"),
    Mistake("attention-loops", "takes the plain mean", MIX, "out[t] += v[s] / S", "the plain mean"),
    Mistake("attention-loops", "overflows", PARTS, "[math.exp(score) for score in scores]", "subtract the largest score"),
    Mistake("attention-loops", "compares with itself", "q[t, d] * k[s, d]", "q[t, d] * q[t, d]", "the plain mean"),
    Mistake("attention-loops", "exchanges query and key", "q[t, d] * k[s, d]", "q[s, d] * k[t, d]", "t counts queries"),

    Mistake("masked-softmax", "the mask the other way round", BOTH, BOTH.replace("mask, scores, -math.inf", "mask, -math.inf, scores"),
            "may be looked at"),
    Mistake("masked-softmax", "multiplies after the softmax", BOTH + "\n    " + NOTHING + "\n    " + ZEROS,
            'softmax(scores, dim=-1)\n    return scores * Tensor(mask.data * 1.0) if mask.dtype.kind == "b" else scores + mask',
            "mask before the softmax"),
    Mistake("masked-softmax", "forgets the mask", BOTH, "scores", "the mask is not used"),
    Mistake("masked-softmax", "takes 10,000 off", BOTH, BOTH.replace("where(mask, scores, -math.inf)", "scores - 1e4 * Tensor(~mask.data * 1.0)"),
            "no number is low enough"),
    Mistake("masked-softmax", "puts a large number", BOTH, BOTH.replace("-math.inf", "-1e9"), "all share alike"),
    Mistake("masked-softmax", "multiplies the scores", BOTH, BOTH.replace("where(mask, scores, -math.inf)", "scores * Tensor(mask.data * 1.0)"),
            "no ban"),
    Mistake("masked-softmax", "adds truth values", BOTH, "scores + Tensor(mask.data * 1.0)", "True is no score"),
    Mistake("masked-softmax", "floats as truth values", BOTH, "where(mask, scores, -math.inf)", "add floats to the scores"),
    Mistake("masked-softmax", "forgets empty rows", NOTHING + "\n    " + ZEROS, "return softmax(scores, dim=-1)", "softmax gives nan"),
    Mistake("masked-softmax", "leaves equal shares", ZEROS, "return softmax(where(nothing, 0.0, scores), dim=-1)", "all share alike"),
    Mistake("masked-softmax", "mends the nan afterwards", ZEROS, "return where(nothing, 0.0, softmax(scores, dim=-1))", "before softmax"),
    Mistake("masked-softmax", "leaves the Tensors", BOTH,
            'Tensor(np.where(mask.data, scores.data, -math.inf)) if mask.dtype.kind == "b" else scores + mask',
            "compute with Tensors"),
    Mistake("masked-softmax", "down the columns", ZEROS, ZEROS.replace("dim=-1", "dim=-2"), "along the last axis"),

    Mistake("causal-mask", "turned round", TRI, "Tensor(np.tri(seq_len, dtype=bool).T)", "turned round"),
    Mistake("causal-mask", "not itself", TRI, "Tensor(np.tri(seq_len, k=-1, dtype=bool))", "look at itself"),
    Mistake("causal-mask", "what is forbidden", TRI, "Tensor(~np.tri(seq_len, dtype=bool))", "True where it MAY look"),
    Mistake("causal-mask", "floats", TRI, "Tensor(np.tri(seq_len))", "a triangle of truth values"),
    Mistake("causal-mask", "an array", TRI, "np.tri(seq_len, dtype=bool)", "Tensor(…)"),

    Mistake("attention", "forgets the scale", SCORES, "scores = Q @ K.mT", "divide the scores by √D"),
    Mistake("attention", "divides by D", SCORES, SCORES.replace("math.sqrt(Q.shape[-1])", "Q.shape[-1]"), "by √D, not by D"),
    Mistake("attention", "multiplies by the root", SCORES, SCORES.replace("1 / ", ""), "divide by √D"),
    Mistake("attention", "takes the number of keys", SCORES, SCORES.replace("Q.shape[-1]", "K.shape[-2]"), "D is the last size of Q"),
    Mistake("attention", "exchanges the results", "return weights @ V, weights", "return weights, weights @ V", "the output comes first"),
    Mistake("attention", "returns the scores", "return weights @ V, weights", "return weights @ V, scores", "the weights, not the scores"),
    Mistake("attention", "loses the mask", "masked_softmax(scores, mask)", "masked_softmax(scores)", "masked_softmax(scores, mask)"),
    Mistake("attention", "forgets to turn K", "K.mT", "K", "Q @ K.mT"),
    Mistake("attention", "NumPy's root", SCORES, "scores = Q @ K.mT * Tensor(1 / np.sqrt(Q.shape[-1]), dtype=np.float64)", "float64"),

    Mistake("heads", "reshapes only", SPLIT, "x.reshape(*x.shape[:-2], num_heads, x.shape[-2], x.shape[-1] // num_heads)",
            "reshape alone mixes the places"),
    Mistake("heads", "does not swap", SPLIT, SPLIT.replace(".swapaxes(-3, -2)", ""), "swap the axes of places and heads"),
    Mistake("heads", "deals columns out one by one", SPLIT,
            "x.reshape(*x.shape[:-1], x.shape[-1] // num_heads, num_heads).swapaxes(-1, -2).swapaxes(-3, -2)",
            "neighbouring columns belong together"),
    Mistake("heads", "counts axes from the front", SPLIT, SPLIT.replace("(-3, -2)", "(1, 2)"), "count axes from the end"),
    Mistake("heads", "merges without a swap", MERGE, "return x.reshape(*x.shape[:-3], x.shape[-2], x.shape[-3] * x.shape[-1])",
            "swap the axes first"),
    Mistake("heads", "swaps only", MERGE, "return x.swapaxes(-3, -2)", "put the heads side by side"),
    Mistake("heads", "copies", SPLIT, SPLIT + ".copy()", "give views"),

    Mistake("causal-weights", "forgets the scale", SCALE, "pass", "divide the scores by √D"),
    Mistake("causal-weights", "divides by D", SCALE, "p *= 1 / q.shape[-1]", "by √D, not by D"),
    Mistake("causal-weights", "the number of places", SCALE, "p *= 1 / math.sqrt(q.shape[-2])", "D is the last size"),
    Mistake("causal-weights", "multiplies by the root", SCALE, "p *= math.sqrt(q.shape[-1])", "multiply by 1 / √D"),
    Mistake("causal-weights", "forgets the mask", "p += later", "pass", "nobody sees what comes later"),
    Mistake("causal-weights", "turns the mask round", "p += later", "p += later.mT", "do not turn it round"),
    Mistake("causal-weights", "down the columns", DIVIDE, "p /= p.sum(axis=-2, keepdims=True)", "each ROW"),
    Mistake("causal-weights", "forgets to divide", DIVIDE, "pass", "divide by the sum of each row"),
    Mistake("causal-weights", "overflows", SHIFT, "pass", "subtract the largest score"),
    Mistake("causal-weights", "the largest of all rows", SHIFT, "p -= p.max()", "subtract the largest score of each row"),
    Mistake("causal-weights", "loses the axis", DIVIDE, "p /= p.sum(axis=-1)", "keepdims=True"),
    Mistake("causal-weights", "a new array", "np.exp(p, out=p)", "p = np.exp(p)", "in place"),
    Mistake("causal-weights", "writes into qkv", SCALE, "q *= 1 / math.sqrt(q.shape[-1])\n    p = q @ k.mT", "write into p only"),
    Mistake("causal-weights", "another triangle", "p += later", "p += np.where(np.tri(*p.shape[-2:], dtype=bool), 0.0, -math.inf)",
            "the last n of S"),

    Mistake("attention-gradients", "forgets row", "d -= row", "pass", "subtract row"),
    Mistake("attention-gradients", "adds row", "d -= row", "d += row", "minus row, not plus"),
    Mistake("attention-gradients", "forgets p", "d *= p", "pass", "multiply by p"),
    Mistake("attention-gradients", "forgets the scale", "d *= 1 / math.sqrt(q.shape[-1])", "pass", "divide by √D here too"),
    Mistake("attention-gradients", "multiplies by the root", "d *= 1 / math.sqrt(q.shape[-1])", "d *= math.sqrt(q.shape[-1])", "times 1 / √D"),
    Mistake("attention-gradients", "divides by D", "d *= 1 / math.sqrt(q.shape[-1])", "d *= 1 / q.shape[-1]", "divide by √D once"),
    Mistake("attention-gradients", "p before row", "d -= row\n    d *= p", "d *= p\n    d -= row", "before you multiply by p"),
    Mistake("attention-gradients", "q with q", "(d, k), (d.mT, q)", "(d, q), (d.mT, q)", "made with k"),
    Mistake("attention-gradients", "k with k", "(d, k), (d.mT, q)", "(d, k), (d.mT, k)", "made with q"),
    Mistake("attention-gradients", "k not turned", "(d.mT, q)", "(d, q)", "turn d round"),
    Mistake("attention-gradients", "v not turned", "(p.mT, g)", "(p, g)", "turn p round"),
    Mistake("attention-gradients", "v by d", "(p.mT, g)", "(d.mT, g)", "not by d"),
    Mistake("attention-gradients", "v first", PAIRS, "return (p.mT, g), (d, k), (d.mT, q)", "q's comes first"),
    Mistake("attention-gradients", "products at once", PAIRS, "return d @ k, d.mT @ q, p.mT @ g", "three pairs"),
    Mistake("attention-gradients", "writes into p", "d *= p", "p *= d\n    d = p * 1.0", "p was overwritten"),
    Mistake("attention-gradients", "NumPy's functions", "d *= p", "d = np.asarray(d) * np.asarray(p)", "Tensor"),

    Mistake("multi-head", "one part only", "Linear(embed_dim, 3 * embed_dim, bias, generator)", "Linear(embed_dim, embed_dim, bias, generator)",
            "side by side"),
    Mistake("multi-head", "proj first", f"{QKV}\n        {PROJ}", f"{PROJ}\n        {QKV}", "first qkv"),
    Mistake("multi-head", "always a bias", "3 * embed_dim, bias, generator", "3 * embed_dim, True, generator", "pass bias on"),
    Mistake("multi-head", "loses the generator", "3 * embed_dim, bias, generator", "3 * embed_dim, bias", "pass generator on"),

    Mistake("multi-head-forward", "forgets proj", "return self.proj(merge_heads(self.attend(qkv, mask)[0]))",
            "return merge_heads(self.attend(qkv, mask)[0])", "end with proj"),
    Mistake("multi-head-forward", "always causal", FAST, "if mask is None and self.rotary is None:", "only a causal layer"),
    Mistake("multi-head-forward", "loses the mask", "self.attend(qkv, mask)", "self.attend(qkv)", "pass the mask on"),
    Mistake("multi-head-forward", "loses the mask where causal", FAST, "if self.causal and self.rotary is None:", "the mask is lost"),
    Mistake("multi-head-forward", "forgets rotary where causal", FAST, "if self.causal and mask is None:", "no rotary"),
    Mistake("multi-head-forward", "never in one", FAST, "if False:", "causal_attention(qkv"),
    Mistake("multi-head-forward", "turns nothing", TURNED, "pass", "turn queries and keys"),
    Mistake("multi-head-forward", "turns the queries only", TURNED, "q = self.rotary(q)", "turn both"),
    Mistake("multi-head-forward", "turns the values too", TURNED, "q, k, v = self.rotary(q), self.rotary(k), self.rotary(v)", "leave v"),
    Mistake("multi-head-forward", "heads of thirds", "3 * self.num_heads", "self.num_heads", "3 * self.num_heads"),
    Mistake("multi-head-forward", "forgets to merge", "merge_heads(self.attend(qkv, mask)[0])", "self.attend(qkv, mask)[0].reshape(*x.shape)",
            "merge_heads"),
    Mistake("multi-head-forward", "the weights for the output", "return scaled_dot_product_attention(q, k, v, mask)",
            "return scaled_dot_product_attention(q, k, v, mask)[::-1]", "merge_heads"),
]

SWAPPED = "two axes swapped are the same in either order"
WIDTHS = "queries, keys and values have one width"
TRUTH = "only asked for its truth, and -True is true"
EQUIVALENT = [
    Equivalent("masked-softmax", ZEROS, ZEROS.replace(", dim=-1", ""), "the last axis is softmax's own default"),
    Equivalent("masked-softmax", ZEROS, ZEROS.replace("0.0, scores", "1.0, scores"), "any finite score does in a row whose weights become 0"),
    Equivalent("masked-softmax", NOTHING, NOTHING.replace("==", "<="), "nothing is smaller than -inf"),
    Equivalent("heads", "return " + SPLIT, "return " + SPLIT.replace("-3, -2", "-2, -3"), SWAPPED),
    Equivalent("heads", "x = x.swapaxes(-3, -2)", "x = x.swapaxes(-2, -3)", SWAPPED),
    Equivalent("attention-gradients", "d *= 1 / math.sqrt(q.shape[-1])", "d *= 1 / math.sqrt(v.shape[-1])", WIDTHS),
    Equivalent("attention-gradients", "d *= 1 / math.sqrt(q.shape[-1])", "d *= 1 / math.sqrt(k.shape[-1])", WIDTHS),
    Equivalent("attention-gradients", "d *= 1 / math.sqrt(q.shape[-1])", "d *= 1 / math.sqrt(g.shape[-1])", WIDTHS),
    Equivalent("causal-weights", SCALE, SCALE.replace("q.", "k."), WIDTHS),
    Equivalent("multi-head", QKV, QKV.replace("bias", "-bias"), TRUTH),
    Equivalent("multi-head", PROJ, PROJ.replace("bias", "-bias"), TRUTH),
]
