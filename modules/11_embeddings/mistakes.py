"""Wrong answers that real learners write, as patches of the solution, each with the words its card must show first."""

from tito.dev.checks.mistake import Equivalent, Mistake

KIND = 'if ids.dtype.kind not in "iu":'
WRONG = "wrong = ids[(ids < 0) | (ids >= vocab_size)]"
WHOLE = "return ids.astype(int64)"
LOOKED_AT = "ids = token_ids(ids, len(weight))"
HOT = "hot = np.zeros((count, n), g.dtype)"
ONES = "hot[ids, np.arange(n)] = 1"
ORDER = "order = np.argsort(ids)"
SUMS = "out[ids[first]] = np.add.reduceat(g[order], first, axis=0)"
SKIP = "g = run(where, (bare(ids) != skip)[..., None], g, 0.0)"
SKIPS = "if skip is not None:"
BY_ID = "return run(sum_by_id, g, ids, count=shape[0])"
DRAWN = "self.weight = Parameter(randn(vocab_size, embed_dim, generator=generator))"
ZEROED = "self.weight.data[self.padding_idx] = 0"
ANGLES = "return np.arange(max_seq_len)[:, None] / base ** (np.arange(0, dim, 2) / dim)"
SINES = "table[:, 0::2] = np.sin(angles)"
COSINES = "table[:, 1::2] = np.cos(angles[:, :embed_dim // 2])"
FITS = "if np.ndim(x) < 2 or x.shape[-1] != width:"
STOP = "stop = start + x.shape[-2]"
WITHIN = "if start < 0 or stop > most:"
FIXED = "return self.dropout(x + self._table[at])"
LEARNED = "return x + self.weight[at]"
TURNED = "return np.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)"
BACK = "return run(rotate, g, cos, -sin), None, None"

MISTAKES = [
    Mistake("token-ids", "lets floats pass", KIND, "if False:", 'refuse every dtype.kind but "i" and "u"'),
    Mistake("token-ids", "lets truth values pass", KIND, 'if ids.dtype.kind not in "iub":', 'refuse every dtype.kind but "i" and "u"'),
    Mistake("token-ids", "refuses bytes", KIND, 'if ids.dtype.kind != "i":', 'dtype.kind "u" is a whole number too'),
    Mistake("token-ids", "counts from 1", "ids >= vocab_size", "ids > vocab_size", "below vocab_size, not equal to it"),
    Mistake("token-ids", "counts from the end", WRONG, "wrong = ids[ids >= vocab_size]", "NumPy counts negative ones from the end"),
    Mistake("token-ids", "the smallest and the largest", WRONG, "wrong = ids[:0] if 0 <= ids.min() and ids.max() < vocab_size else ids",
            "an empty array has no min() and no max()"),
    Mistake("token-ids", "keeps the dtype", WHOLE, "return ids", ".astype(int64)"),
    Mistake("token-ids", "passes through floats", WHOLE, 'return ids.astype("float32").astype(int64)', "never make a float of an id"),
    Mistake("token-ids", "flattens", WHOLE, "return ids.astype(int64).reshape(-1)", "in their shape"),

    Mistake("embedding", "picks columns", "return weight[ids]", "return weight[:, ids]", "ids pick rows, not columns"),
    Mistake("embedding", "picks numbers", "return weight[ids]", "return np.take(weight, ids)", "whole rows"),
    Mistake("embedding", "flattens ids", "return weight[ids]", "return weight[ids.reshape(-1)]", "index with the ids as they are"),
    Mistake("embedding", "does not look at them", LOOKED_AT, "ids = np.asarray(ids)", "call token_ids"),
    Mistake("embedding", "the wrong count", LOOKED_AT, "ids = token_ids(ids, len(weight) + 1)", "the table has len(weight) rows"),

    Mistake("sum-by-product", "hot the other way", HOT + "\n    " + ONES, "hot = np.zeros((n, count), g.dtype)\n    hot[np.arange(n), ids] = 1",
            "a row for each word, a column for each place"),
    Mistake("sum-by-product", "whole rows of ones", ONES, "hot[ids] = 1", "one 1 in each column"),
    Mistake("sum-by-product", "exchanges the indices", ONES, "hot[np.arange(n), ids] = 1", "hot has count rows, n columns"),
    Mistake("sum-by-product", "float64", HOT, "hot = np.zeros((count, n))", "give the zeros g's dtype"),
    Mistake("sum-by-product", "the mean", "return hot @ g", "return hot @ g / np.maximum(hot.sum(1, keepdims=True), 1)", "the sum, not the mean"),
    Mistake("sum-by-product", "the last one wins", "return hot @ g", "out = np.zeros((count, g.shape[1]), g.dtype)\n    out[ids] += g\n    return out",
            "what has the same id adds up"),

    Mistake("sum-by-sorting", "forgets to sort g", SUMS, SUMS.replace("g[order]", "g"), "take the rows of g in the same order"),
    Mistake("sum-by-sorting", "forgets to sort the ids", "ids = ids[order]", "pass", "sort the ids too"),
    Mistake("sum-by-sorting", "the first rows", SUMS, SUMS.replace("out[ids[first]]", "out[:len(first)]"), "each sum belongs to the row of its id"),
    Mistake("sum-by-sorting", "rows of first", SUMS, SUMS.replace("out[ids[first]]", "out[first]"), "each sum belongs to the row of its id"),
    Mistake("sum-by-sorting", "does not add up", SUMS, "out[ids] = g[order]", "the sum of the run"),
    Mistake("sum-by-sorting", "the first of each run", SUMS, "out[ids[first]] = g[order][first]", "the sum of the run"),
    Mistake("sum-by-sorting", "all ids", SUMS, SUMS.replace("out[ids[first]]", "out[ids]"), "as many sums as runs"),
    Mistake("sum-by-sorting", "adds to a copy", SUMS, SUMS.replace("out[ids[first]] =", "out[ids[first]][:] ="), "nothing arrived in `out`"),
    Mistake("sum-by-sorting", "sorts in place", "ids = ids[order]", "ids.sort()", "ids.sort() sorts what somebody else still needs"),

    Mistake("embedding-gradient", "forgets padding", SKIP, "pass", "rows of g whose id is `skip` become 0"),
    Mistake("embedding-gradient", "keeps only padding", "!= skip", "== skip", "0 where the id IS skip"),
    Mistake("embedding-gradient", "0 is no padding", SKIPS, "if skip:", "0 is an id"),
    Mistake("embedding-gradient", "NumPy's where", SKIP, "g = np.where((bare(ids) != skip)[..., None], g, 0.0)", "run(…) for g, bare(ids) for the ids"),
    Mistake("embedding-gradient", "in place", SKIP, "g = g.copy()\n        g[bare(ids) == skip] = 0.0", "run(…) for g, bare(ids) for the ids"),
    Mistake("embedding-gradient", "counts tokens", "count=shape[0]", "count=len(bare(ids))", "count=shape[0]"),
    Mistake("embedding-gradient", "arrays only", BY_ID, "return sum_by_sorting(bare(g).reshape(-1, shape[1]), bare(ids).reshape(-1), shape[0])", "g may be a Tensor"),

    Mistake("embedding-class", "uniform", DRAWN, DRAWN.replace("randn(vocab_size, embed_dim, generator=generator)",
            "Tensor(generator.random((vocab_size, embed_dim), np.float32))"), "the normal distribution"),
    Mistake("embedding-class", "small", DRAWN, DRAWN.replace("generator=generator)", "generator=generator) * 0.02"), "the normal distribution"),
    Mistake("embedding-class", "forgets the generator", DRAWN, "self.weight = Parameter(randn(vocab_size, embed_dim))", "pass generator=generator on"),
    Mistake("embedding-class", "turned round", DRAWN, "self.weight = Parameter(randn(embed_dim, vocab_size, generator=generator))", "a row for each word"),
    Mistake("embedding-class", "not trained", DRAWN, "self.weight = randn(vocab_size, embed_dim, generator=generator)", "make it a Parameter"),
    Mistake("embedding-class", "row 0 is no padding", "if self.padding_idx is not None:", "if self.padding_idx:", "also row 0"),
    Mistake("embedding-class", "no padding", ZEROED, "pass", "also row 0"),
    Mistake("embedding-class", "a column", ZEROED, "self.weight.data[:, min(self.padding_idx, embed_dim - 1)] = 0", "not a column"),

    Mistake("sinusoidal", "multiplies", ANGLES, ANGLES.replace("/ base **", "* base **"), "divided by base^(2i/dim)"),
    Mistake("sinusoidal", "i for 2i", ANGLES, ANGLES.replace("np.arange(0, dim, 2)", "np.arange((dim + 1) // 2)"), "the exponent is 2i/dim"),
    Mistake("sinusoidal", "begins with 1", ANGLES, ANGLES.replace("np.arange(max_seq_len)", "np.arange(1, max_seq_len + 1)"), "the first position is 0"),
    Mistake("sinusoidal", "always 10000", ANGLES, ANGLES.replace("base **", "10000.0 **"), "use `base`"),
    Mistake("sinusoidal", "no column", ANGLES, ANGLES.replace("[:, None]", ""), "positions as a column"),
    Mistake("sinusoidal", "all columns", ANGLES, ANGLES.replace("np.arange(0, dim, 2)", "np.arange(dim)"), "a column (max_seq_len, 1) and a row (hands,)"),
    Mistake("sinusoidal", "cosines first", SINES + "\n    " + COSINES, "table[:, 1::2] = np.sin(angles[:, :embed_dim // 2])\n    table[:, 0::2] = np.cos(angles)",
            "sines first"),
    Mistake("sinusoidal", "halves", SINES + "\n    " + COSINES, "half = angles.shape[1]\n    table[:, :half] = np.sin(angles)\n"
            "    table[:, half:] = np.cos(angles[:, :embed_dim // 2])", "side by side"),
    Mistake("sinusoidal", "even numbers only", COSINES, "table[:, 1::2] = np.cos(angles)", "the last sine has no cosine"),
    Mistake("sinusoidal", "sines twice", COSINES, COSINES.replace("cos", "sin"), "odd columns np.cos(angles)"),

    Mistake("positions-of", "the first axis", STOP, "stop = start + x.shape[0]", "T is the last axis but one"),
    Mistake("positions-of", "the second axis", STOP, "stop = start + x.shape[1]", "T is the last axis but one"),
    Mistake("positions-of", "the width", STOP, "stop = start + x.shape[-1]", "T is the last axis but one, not the last"),
    Mistake("positions-of", "forgets start", STOP, "stop = x.shape[-2]", "it ends T after `start`"),
    Mistake("positions-of", "begins with 0", "return slice(start, stop)", "return slice(0, x.shape[-2])", "it begins at `start`"),
    Mistake("positions-of", "the last one", "return slice(start, stop)", "return slice(start, stop - 1)", "a slice ends after its last"),
    Mistake("positions-of", "one too many", WITHIN, "if start < 0 or stop > most + 1:", "start + T may be max_seq_len at most"),
    Mistake("positions-of", "one too few", WITHIN, "if start < 0 or stop >= most:", "position 9 is there"),
    Mistake("positions-of", "negative ones", WITHIN, "if stop > most:", "refuse a negative start"),
    Mistake("positions-of", "any width", FITS, "if np.ndim(x) < 2:", "compare the last size"),
    Mistake("positions-of", "any axes", FITS, "if x.shape[-1] != width:", "count the axes first"),

    Mistake("positions", "from position 0 on", FIXED, "return self.dropout(x + self._table[:x.shape[-2]])", "begin at `start`"),
    Mistake("positions", "learned, from position 0 on", LEARNED, "return x + self.weight[:x.shape[-2]]", "begin at `start`"),
    Mistake("positions", "positions only", LEARNED, "return self.weight[at] + x * 0", "plus x itself"),
    Mistake("positions", "multiplies", FIXED, "return self.dropout(x * self._table[at])", "added, not multiplied"),
    Mistake("positions", "the whole table", FIXED, "return self.dropout(x + self._table)", "three rows for three positions"),
    Mistake("positions", "forgets dropout", FIXED, "return x + self._table[at]", "self.dropout, last of all"),
    Mistake("positions", "drops before adding", FIXED, "return self.dropout(x) + self._table[at]", "self.dropout, last of all"),
    Mistake("positions", "not trained", LEARNED, "return x + self.weight.data[at]", "use self.weight, not its .data"),

    Mistake("rotate", "the other way round", TURNED, "return np.concatenate([a * cos + b * sin, b * cos - a * sin], axis=-1)", "the other way round"),
    Mistake("rotate", "exchanges the halves", TURNED, "return np.concatenate([b * cos + a * sin, a * cos - b * sin], axis=-1)", "the first half first"),
    Mistake("rotate", "a plus in both", TURNED, TURNED.replace("a * cos - b", "a * cos + b"), "a minus in the first half"),
    Mistake("rotate", "stacks", TURNED, TURNED.replace("axis=-1", "axis=0"), "join the halves along the last axis"),
    Mistake("rotate", "turns slopes on", BACK, BACK.replace("-sin", "sin"), "minus sin"),
    Mistake("rotate", "leaves slopes as they are", BACK, "return g, None, None", "minus sin"),
    Mistake("rotate", "minus both", BACK, BACK.replace("cos, -sin", "-cos, -sin"), "minus sin"),
    Mistake("rotate", "arrays only", BACK, "return rotate.__wrapped__(g, bare(cos), -bare(sin)), None, None", "g may be a Tensor"),
]

EQUIVALENT = [
    Equivalent("sum-by-product", HOT, HOT.replace("np.zeros", "-np.zeros"), "-0.0 times a number adds nothing"),
    Equivalent("sum-by-sorting", ORDER, ORDER.replace("ids", "-ids"), "from the largest id down, runs are runs too"),
    Equivalent("sum-by-sorting", SUMS, SUMS.replace(", axis=0", ""), "axis 0 is NumPy's default"),
    *(Equivalent("embedding-gradient", SKIPS, f"if {always}:", "no id equals None, so nothing becomes 0")
      for always in ("True", "g is not None", "ids is not None", "shape is not None")),
    Equivalent("rotate", BACK, BACK.removesuffix(", None"), "what has no gradient may be left out at the end"),
    Equivalent("embedding-gradient", SKIP, SKIP.replace("bare(ids)", "ids"), "a Tensor of ids compares as an array does"),
]
