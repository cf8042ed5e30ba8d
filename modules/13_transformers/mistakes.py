"""Wrong answers that real learners write, as patches of the solution, each with the words its card must show first."""

from tito.dev.checks.mistake import Equivalent, Mistake

AWAY = "away = x - x.mean(axis=-1, keepdims=True) if center else x * 1.0"
SCALE = "scale = ((away * away).mean(axis=-1, keepdims=True) + eps) ** -0.5"
CENTRED = "d = g - g.mean(axis=-1, keepdims=True) if center else g * 1.0"
ALONG = "along = (g * normal).mean(axis=-1, keepdims=True)"
TIMES = "y if weight is None else y * weight.ravel()\n"
PLUS = "y = y if bias is None else y + bias.ravel()"
ATTEND = "x = x + self.dropout(self.attention(self.norm1(x), mask))"
THINK = "return x + self.mlp(self.norm2(x))"
STD = 'std = 0.02 / math.sqrt(2 * len(model.blocks)) if name.endswith("proj.weight") else 0.02'
DRAWN = "p.data[...] = std * randn(p.shape, generator=generator)"
PLACED = "if self.position_embedding is not None:\n        x = self.position_embedding(x)"
BLOCKS = "for block in self.blocks:\n        x = block(x)"
SUM = "p = np.where(p < least, 0.0, p)\n        p /= p.sum(axis=-1, keepdims=True)"
SEEN = "self(ids[:, -self.max_seq_len:])[:, -1]"
NEW = "sample_tokens(token_probabilities(logits, temperature, top_k, top_p), generator)"

MISTAKES = [
    Mistake("standardize", "by columns", AWAY + "\n    " + SCALE, (AWAY + "\n    " + SCALE).replace("axis=-1", "axis=0"), "each row has its own"),
    Mistake("standardize", "leaves the mean", AWAY, "away = x * 1.0", "take the mean away"),
    Mistake("standardize", "forgets the root", "** -0.5", "** -1", "divide by the root"),
    Mistake("standardize", "eps beside the root", SCALE, "scale = 1 / (((away * away).mean(axis=-1, keepdims=True)) ** 0.5 + eps)", "eps stands inside the root"),
    Mistake("standardize", "forgets eps", " + eps)", ")", "add eps to the variance"),
    Mistake("standardize", "squares x", "(away * away)", "(x * x)", "what is left after the mean is gone"),
    Mistake("standardize", "divides by n - 1", "(away * away).mean(axis=-1, keepdims=True)", "((away * away).sum(axis=-1, keepdims=True) / (x.shape[-1] - 1))",
            "not by n - 1"),
    Mistake("standardize", "centers always", " if center else x * 1.0", "", "nothing is taken away"),
    Mistake("standardize", "returns the root", "return away, scale", "return away, 1 / scale", "the factor is 1 over the root"),
    Mistake("standardize", "writes into x", AWAY, "away = x\n    away -= x.mean(axis=-1, keepdims=True)", "not yours to change"),
    Mistake("standardize", "loses the axis", AWAY, "away = x - x.mean(axis=-1) if center else x * 1.0", "keepdims=True keeps"),
    Mistake("standardize", "leaves the Tensors", SCALE, SCALE.replace("** -0.5", "").replace("scale = ", "scale = 1 / np.sqrt(np.asarray(") + "))",
            "x may be a Tensor"),

    Mistake("layer-norm", "forgets the weight", "y = " + TIMES, "pass\n", "multiply by the weight"),
    Mistake("layer-norm", "forgets the bias", PLUS, "pass", "add the bias"),
    Mistake("layer-norm", "first the bias", "y = " + TIMES + "    " + PLUS, PLUS + "\n    y = " + TIMES, "first the weight"),
    Mistake("layer-norm", "needs a weight", "y = " + TIMES, "y = y * weight.ravel()\n", "may be None"),
    Mistake("layer-norm", "does not flatten the weight", "y * weight.ravel()\n", "y * weight\n", "fits the rows"),
    Mistake("layer-norm", "an eps of its own", "standardize(table, eps)\n", "standardize(table, 1e-5)\n", "standardize(table, eps)"),
    Mistake("layer-norm", "RMSNorm takes the mean away", ", center=False", "", "center=False leaves the mean"),
    Mistake("layer-norm", "RMSNorm without its weight", "(y if weight is None else y * weight.ravel())", "y", "multiply by the weight"),

    Mistake("norm-gradient", "takes both for constants", CENTRED + "\n    d -= normal * along                                          # for arrays in place: d is ours",
            "d = g * 1.0", "mean and variance are made of x"),
    Mistake("norm-gradient", "takes the variance for a constant", "d -= normal * along", "pass", "the variance is made of x too"),
    Mistake("norm-gradient", "takes the mean for a constant", CENTRED, "d = g * 1.0", "the mean is made of x too"),
    Mistake("norm-gradient", "plus", "d -= normal * along", "d += normal * along", "not plus"),
    Mistake("norm-gradient", "forgets x̂", "d -= normal * along", "d -= along", "is multiplied by x̂"),
    Mistake("norm-gradient", "forgets the scale", "d *= scale", "pass", "multiply by scale"),
    Mistake("norm-gradient", "divides by the scale", "d *= scale", "d /= scale", "do not divide"),
    Mistake("norm-gradient", "sums for means", ALONG + "\n    " + CENTRED, (ALONG + "\n    " + CENTRED).replace("mean", "sum"), "means, not sums"),
    Mistake("norm-gradient", "always with center", " if center else g * 1.0", "", "mean(g) is not taken out"),
    Mistake("norm-gradient", "writes into g", CENTRED, "d = g\n    d -= g.mean(axis=-1, keepdims=True)", "others look at g"),

    Mistake("mlp", "the exact GELU", ', approximate="tanh"', "", "GELU in its short form"),
    Mistake("mlp", "no GELU", 'gelu(self.fc(x), approximate="tanh")', "self.fc(x)", "bend it between"),
    Mistake("mlp", "GELU at the end too", 'self.proj(gelu(self.fc(x), approximate="tanh"))', 'gelu(self.proj(gelu(self.fc(x), approximate="tanh")), approximate="tanh")',
            "is not bent"),
    Mistake("mlp", "forgets the dropout", 'self.dropout(self.proj(gelu(self.fc(x), approximate="tanh")))', 'self.proj(gelu(self.fc(x), approximate="tanh"))',
            "self.dropout"),

    Mistake("block", "no road past the attention", ATTEND, ATTEND.replace("x + ", ""), "add it to x"),
    Mistake("block", "no norm before the attention", "self.norm1(x)", "x", "the norm stands before the attention"),
    Mistake("block", "post-norm", ATTEND, "x = self.norm1(x + self.dropout(self.attention(x, mask)))", "not after the sum"),
    Mistake("block", "adds to the normalised", ATTEND, "x = self.norm1(x)\n        x = x + self.dropout(self.attention(x, mask))", "not to the normalised x"),
    Mistake("block", "exchanges the norms", "self.norm1(x)", "self.norm2(x)", "attention has norm1"),
    Mistake("block", "no road past the MLP", THINK, "return self.mlp(self.norm2(x))", "added to what came in"),
    Mistake("block", "no norm before the MLP", "self.norm2(x)", "x", "the norm stands before the MLP"),
    Mistake("block", "the first norm again", "self.norm2(x)", "self.norm1(x)", "the MLP has norm2"),
    Mistake("block", "side by side", ATTEND + "\n        " + THINK, ATTEND.replace("x = x", "y = x") + "\n        return y + self.mlp(self.norm2(x))",
            "after the attention"),
    Mistake("block", "forgets the mask", ", mask)", ", None)", "pass the mask on"),
    Mistake("block", "forgets the dropout", "self.dropout(self.attention(self.norm1(x), mask))", "self.attention(self.norm1(x), mask)", "self.dropout"),
    Mistake("block", "drops the stream", "x + self.dropout(self.attention(self.norm1(x), mask))", "self.dropout(x + self.attention(self.norm1(x), mask))",
            "x itself is not dropped"),

    Mistake("initialize", "the same for all", STD, "std = 0.02", "smaller by √(2L)"),
    Mistake("initialize", "counts blocks", "2 * len(model.blocks)", "len(model.blocks)", "a block adds twice"),
    Mistake("initialize", "forgets the root", "math.sqrt(2 * len(model.blocks))", "(2 * len(model.blocks))", "by the root of 2L"),
    Mistake("initialize", "only the MLP's", '"proj.weight"', '"mlp.proj.weight"', "both branches end in proj"),
    Mistake("initialize", "0.02 as the variance", DRAWN, "p.data[...] = math.sqrt(std) * randn(p.shape, generator=generator)", "not the variance"),
    Mistake("initialize", "norms of 0", '0.0 if name.endswith("bias") else 1.0', "0.0", "else 1"),
    Mistake("initialize", "forgets the generator", "generator=generator", "generator=None", "pass generator on"),
    Mistake("initialize", "new arrays", "p.data[...] = std", "p.data = std", "an optimizer holds these arrays"),

    Mistake("gpt-forward", "forgets the positions", PLACED, "pass", "add the positions"),
    Mistake("gpt-forward", "needs positions", PLACED, "x = self.position_embedding(x)", "may be None"),
    Mistake("gpt-forward", "forgets the norm", "self.norm(x)", "x", "the norm stands before the head"),
    Mistake("gpt-forward", "blocks side by side", BLOCKS, "y = x\n    for block in self.blocks:\n        x = block(y)", "what the one before it gave"),
    Mistake("gpt-forward", "one block", BLOCKS, "x = self.blocks[0](x) if self.blocks else x", "not only one"),
    Mistake("gpt-forward", "from the last to the first", "for block in self.blocks:", "for block in self.blocks[::-1]:", "the first block comes first"),
    Mistake("gpt-forward", "forgets the dropout", "x = self.dropout(x)", "pass", "dropout comes after the positions"),

    Mistake("next-token-loss", "does not flatten", "logits.flatten(0, -2), np.ravel(targets)", "logits, np.asarray(targets)",
            "the classes are the last axis"),
    Mistake("next-token-loss", "moves the targets once more", "logits.flatten(0, -2), np.ravel(targets)",
            "logits[..., :-1, :].flatten(0, -2), np.ravel(np.asarray(targets)[..., 1:])", "are moved on already"),
    Mistake("next-token-loss", "adds up", "np.ravel(targets))", 'np.ravel(targets), reduction="sum")', "not the sum"),
    Mistake("next-token-loss", "takes no lists", "np.ravel(targets)", "targets.reshape(-1)", "a list has no shape"),

    Mistake("token-probabilities", "multiplies", "z / temperature", "z * temperature", "divide by the temperature"),
    Mistake("token-probabilities", "forgets the temperature", "z / temperature", "z", "the scores are divided"),
    Mistake("token-probabilities", "heats the chances", "p = np.exp(z / temperature)\n    p /= p.sum(axis=-1, keepdims=True)",
            "p = np.exp(z)\n    p = (p / p.sum(axis=-1, keepdims=True)) ** (1 / temperature)", "the rows add up to 1"),
    Mistake("token-probabilities", "the worst k", "[..., -top_k, None]", "[..., top_k, None]", "at the end of np.sort"),
    Mistake("token-probabilities", "as many as there are", " and top_k < z.shape[-1]", "", "may be larger than V"),
    Mistake("token-probabilities", "never crosses the line", "before < top_p", "before + best <= top_p", "the one that crosses the line"),
    Mistake("token-probabilities", "one more than enough", "before < top_p", "before <= top_p", "LESS than top_p"),
    Mistake("token-probabilities", "from the worst up", "[..., ::-1]", "", "begin with the best"),
    Mistake("token-probabilities", "leaves it sorted", "np.where(p < least, 0.0, p)", "np.where(best < least, 0.0, best)", "stay in their places"),
    Mistake("token-probabilities", "does not rescale", SUM, SUM.replace("p /= p.sum(axis=-1, keepdims=True)", "pass"), "what is left adds up to 1"),

    Mistake("generate", "sees the beginning", "-self.max_seq_len:", ":self.max_seq_len", "not the first"),
    Mistake("generate", "sees everything", "ids[:, -self.max_seq_len:]", "ids", "the last max_seq_len tokens only"),
    Mistake("generate", "the first scores", "[:, -1]", "[:, 0]", "the scores of the last position"),
    Mistake("generate", "forgets the prompt", "ids = np.column_stack([ids, new])", "ids = np.column_stack([ids, new])"
            "\n            answer = np.column_stack([answer, new]) if _ else new[:, None]\n            if _ == max_new_tokens - 1:\n                ids = answer",
            "the prompt comes first"),
    Mistake("generate", "a row for a column", "np.column_stack([ids, new])", "np.concatenate([ids, new], axis=1)", "np.column_stack"),
    Mistake("generate", "forgets top_p", "top_k, top_p)", "top_k)", "pass all three on"),
    Mistake("generate", "forgets the generator", ", generator)", ")", "pass generator on"),
    Mistake("generate", "overwrites the last", "np.column_stack([ids, new])", "np.column_stack([ids[:, :-1], new])", "append a column"),
]

CENTER_0, EVEN = "the mean of (x - mean) * x is that of (x - mean) * (x - mean), since x - mean has mean 0", "a normal number is as often negative"
CUT = "z = np.where(z < np.sort(z)[..., -top_k, None], -np.inf, z)"
ZEROED, LEAST = "p = np.where(p < least, 0.0, p)", "least = np.where(before < top_p, best, 1.0).min(axis=-1, keepdims=True)"
DIVIDED = "the chances of a row are divided by their sum, which has the same sign"
EQUIVALENT = [
    Equivalent("initialize", "if p.ndim == 1:", "if p.ndim <= 1:", "no parameter of these blocks is a single number"),
    Equivalent("standardize", SCALE, SCALE.replace("away * away", "x * away"), CENTER_0),
    Equivalent("standardize", SCALE, SCALE.replace("away * away", "away * x"), CENTER_0),
    Equivalent("initialize", STD, STD.replace("else 0.02", "else -0.02"), EVEN),
    Equivalent("initialize", STD, STD.replace("/ math", "/ -math"), EVEN),
    Equivalent("initialize", STD, STD.replace("= 0.02", "= -0.02"), EVEN),
    Equivalent("initialize", DRAWN, DRAWN.replace("std * randn", "-std * randn"), EVEN),
    Equivalent("token-probabilities", CUT, CUT.replace("-top_k, None", "None, -top_k"), "of one index and one None the order does not matter"),
    Equivalent("token-probabilities", "p = np.exp(z / temperature)", "p = -np.exp(z / temperature)", DIVIDED),
    Equivalent("token-probabilities", ZEROED, ZEROED.replace("np.where", "-np.where"), DIVIDED),
    Equivalent("token-probabilities", ZEROED, ZEROED.replace(", p)", ", -p)"), DIVIDED),
    Equivalent("token-probabilities", LEAST, LEAST.replace("1.0", "2.0"), "no chance is above 1"),
    Equivalent("token-probabilities", LEAST, LEAST.replace("1.0", "0.5"), "only the best can have more than a half, and it stays"),
    Equivalent("token-probabilities", "if top_k is not None and top_k < z.shape[-1]:", "if top_k is not None and top_k < logits.shape[-1]:",
               "an array of the scores has their shape"),
    Equivalent("token-probabilities", "if top_k is not None and top_k < z.shape[-1]:", "if top_k is not None and top_k <= z.shape[-1]:",
               "none is below the worst of all"),
]
