"""Wrong answers that real learners write, as patches of the solution, each with the words its card must show first."""

from tito.dev.checks.mistake import Equivalent, Mistake

MADE = "self.keys, self.values, self.seq_pos = np.zeros(shape, dtype), np.zeros(shape, dtype), 0"
KEY, VALUE = "self.keys[layer, :, :, self.seq_pos:stop] = key", "self.values[layer, :, :, self.seq_pos:stop] = value"
VIEWS = "return self.keys[layer, :, :, :stop], self.values[layer, :, :, :stop]"
GOT = "return self.keys[layer, :, :, :self.seq_pos], self.values[layer, :, :, :self.seq_pos]"
TURNED = "q, k = attention.rotary(q, start=cache.seq_pos), attention.rotary(k, start=cache.seq_pos)"
ATTEND = "x = x + block.dropout(attention.proj(cached_attention(q, *cache.update(layer, k, v))))"
THINK = "return x + block.mlp(block.norm2(x))"
PLACED = "x = model.position_embedding(x, start=cache.seq_pos)"
SEEN = "ids[:, -model.max_seq_len:][:, cache.seq_pos:]"
ANEW = "if ids.shape[1] > model.max_seq_len:\n                cache.reset()"

MISTAKES = [
    Mistake("cached-attention", "leaves the heads apart", "run(merge_heads, causal_weights(q, keys) @ values)", "causal_weights(q, keys) @ values", "heads become columns"),
    Mistake("cached-attention", "reshapes", "run(merge_heads, causal_weights(q, keys) @ values)", "(causal_weights(q, keys) @ values).reshape(q.shape[0], q.shape[2], -1)",
            "a reshape does not"),
    Mistake("cached-attention", "no mask", "causal_weights(q, keys)", "np.concatenate([causal_weights(q[:, :, [n]], keys) for n in range(q.shape[2])], axis=2)",
            "does not see those after it"),
    Mistake("cached-attention", "divides twice", "causal_weights(q, keys)", "causal_weights(q / math.sqrt(q.shape[-1]), keys)", "divides by √D already"),
    Mistake("cached-attention", "keys for values", "causal_weights(q, keys) @ values", "causal_weights(q, values) @ keys", "mix the values"),

    Mistake("cache", "one array for both", MADE, "self.keys = self.values = np.zeros(shape, dtype)\n        self.seq_pos = 0", "np.zeros twice"),
    Mistake("cache", "NumPy's own dtype", "np.zeros(shape, dtype), np.zeros(shape, dtype)", "np.zeros(shape), np.zeros(shape)", "np.zeros(shape, dtype)"),
    Mistake("cache", "always float32", "np.zeros(shape, dtype), np.zeros(shape, dtype)", "np.zeros(shape, float32), np.zeros(shape, float32)", "pass dtype on"),
    Mistake("cache", "full from the start", "np.zeros(shape, dtype), 0", "np.zeros(shape, dtype), max_seq_len", "counts the tokens that are there"),
    Mistake("cache", "forgets seq_pos", MADE, "self.keys, self.values = np.zeros(shape, dtype), np.zeros(shape, dtype)", "seq_pos"),

    Mistake("update", "writes at the start", KEY + "\n    " + VALUE, KEY.replace("self.seq_pos:stop", ":key.shape[2]") + "\n    " + VALUE.replace("self.seq_pos:stop", ":key.shape[2]"),
            "the first new one stands at seq_pos"),
    Mistake("update", "returns the new ones", VIEWS, VIEWS.replace(":stop", "self.seq_pos:stop"), "not only the new ones"),
    Mistake("update", "returns the whole room", VIEWS, VIEWS.replace(", :stop", ""), "not the whole room"),
    Mistake("update", "returns what was there", VIEWS, VIEWS.replace(":stop", ":self.seq_pos"), "with the new ones"),
    Mistake("update", "returns nothing", VIEWS, "pass", "return the views"),
    Mistake("update", "every layer", KEY + "\n    " + VALUE, KEY.replace("layer", ":") + "\n    " + VALUE.replace("layer", ":"), "only this layer"),
    Mistake("update", "keys for values", KEY + "\n    " + VALUE, KEY.replace("= key", "= value") + "\n    " + VALUE.replace("= value", "= key"), "keys to keys"),
    Mistake("update", "forgets the values", VALUE, "pass", "write the values"),
    Mistake("update", "appends a copy", VIEWS, "return np.concatenate([self.keys[layer, :, :, :self.seq_pos], key], 2), np.concatenate([self.values[layer, :, :, :self.seq_pos], value], 2)",
            "concatenate and copy cost"),
    Mistake("update", "moves on", VIEWS, "self.seq_pos = stop\n    " + VIEWS, "advance() moves on"),
    Mistake("update", "values first", VIEWS, "return self.values[layer, :, :, :stop], self.keys[layer, :, :, :stop]", "keys first"),
    Mistake("update", "new arrays", KEY, "self.keys = self.keys.copy()\n    " + KEY, "write into self.keys"),

    Mistake("get", "the whole room", GOT, GOT.replace(", :self.seq_pos", ""), "up to seq_pos"),
    Mistake("get", "copies", GOT, "return self.keys[layer, :, :, :self.seq_pos].copy(), self.values[layer, :, :, :self.seq_pos].copy()", "a slice, not a copy"),
    Mistake("get", "values first", GOT, "return self.values[layer, :, :, :self.seq_pos], self.keys[layer, :, :, :self.seq_pos]", "keys first"),
    Mistake("get", "the first layer", GOT, GOT.replace("layer", "0"), "of this layer"),
    Mistake("get", "one at a time", "self.seq_pos += n", "self.seq_pos += 1", "by n"),
    Mistake("get", "forgets those before", "self.seq_pos += n", "self.seq_pos = n", "add n to those before"),
    Mistake("get", "reset makes a new cache", "self.seq_pos = 0", "self.seq_pos, self.keys, self.values = 0, self.keys * 0, self.values * 0", "only moves seq_pos"),
    Mistake("get", "reset wipes only", "self.seq_pos = 0", "self.keys[...] = self.values[...] = 0", "self.seq_pos = 0"),

    Mistake("memory-usage", "keys only", '"total_mb": 2 * each / mb', '"total_mb": each / mb', "both together"),
    Mistake("memory-usage", "millions", "2 ** 20", "1e6", "2**20 bytes are one unit"),
    Mistake("memory-usage", "counts numbers", "self.keys.nbytes", "self.keys.size", "bytes, not numbers"),
    Mistake("memory-usage", "four bytes each", "self.keys.nbytes", "self.keys.size * 4", "so many bytes as the dtype has"),
    Mistake("memory-usage", "for the batch", "(self.keys.shape[1] * self.max_seq_len)", "self.max_seq_len", "of ONE text"),
    Mistake("memory-usage", "for the text", "(self.keys.shape[1] * self.max_seq_len)", "self.keys.shape[1]", "of one token"),
    Mistake("memory-usage", "keys of a token", "per_token = 2 * each", "per_token = each", "keys and values"),
    Mistake("memory-usage", "a fraction", "//", "/", "a whole number"),

    Mistake("cached-block", "looks at the new ones only", "cached_attention(q, *cache.update(layer, k, v))", "cached_attention(q, k, v) if cache.update(layer, k, v) else None",
            "those that cache.update returns"),
    Mistake("cached-block", "the first layer", "cache.update(layer", "cache.update(0", "cache.update(layer"),
    Mistake("cached-block", "moves on", THINK, "cache.advance(x.shape[1])\n    " + THINK, "no advance() here"),
    Mistake("cached-block", "turns from 0 on", TURNED, "q, k = attention.rotary(q), attention.rotary(k)", "the first new token stands at place 3"),
    Mistake("cached-block", "turns the query only", TURNED, "q = attention.rotary(q, start=cache.seq_pos)", "and k as well"),
    Mistake("cached-block", "no rotary", TURNED, "pass", "rotary(q, start=cache.seq_pos)"),
    Mistake("cached-block", "no road past the attention", ATTEND, ATTEND.replace("x = x + ", "x = "), "add what attention finds"),
    Mistake("cached-block", "no norm before the attention", "attention.qkv(block.norm1(x))", "attention.qkv(x)", "norm1 stands before"),
    Mistake("cached-block", "forgets proj", "attention.proj(cached_attention(q, *cache.update(layer, k, v)))", "cached_attention(q, *cache.update(layer, k, v))",
            "proj comes after"),
    Mistake("cached-block", "no road past the MLP", THINK, "return block.mlp(block.norm2(x))", "add what the MLP makes"),
    Mistake("cached-block", "forgets the MLP", THINK, "return x", "the MLP comes last"),
    Mistake("cached-block", "no norm before the MLP", "block.norm2(x)", "x", "norm2 stands before"),
    Mistake("cached-block", "side by side", ATTEND + "\n    " + THINK, ATTEND.replace("x = x", "y = x") + "\n    return y + block.mlp(block.norm2(x))", "works on the sum"),
    Mistake("cached-block", "forgets the dropout", "block.dropout(attention.proj(cached_attention(q, *cache.update(layer, k, v))))",
            "attention.proj(cached_attention(q, *cache.update(layer, k, v)))", "x + block.dropout"),

    Mistake("cached-forward", "positions from 0 on", PLACED, "x = model.position_embedding(x)", "the first new token stands at cache.seq_pos"),
    Mistake("cached-forward", "forgets the positions", "if model.position_embedding is not None:\n        " + PLACED, "pass", "add the positions"),
    Mistake("cached-forward", "needs positions", "if model.position_embedding is not None:\n        " + PLACED, PLACED, "unless it is None"),
    Mistake("cached-forward", "never counts", "cache.advance(ids.shape[1])", "pass", "count them"),
    Mistake("cached-forward", "counts one", "cache.advance(ids.shape[1])", "cache.advance()", "n tokens are new, not one"),
    Mistake("cached-forward", "counts in every block", "cached_block(block, x, cache, layer)\n    cache.advance", "cached_block(block, x, cache, layer)\n        cache.advance",
            "once, not for every layer"),
    Mistake("cached-forward", "the first scores", "x[:, -1]", "x[:, 0]", "of the last position"),
    Mistake("cached-forward", "all scores", "x[:, -1]", "x", "of the last position only"),
    Mistake("cached-forward", "forgets the norm", "model.norm(x[:, -1])", "x[:, -1]", "blocks, norm, head"),
    Mistake("cached-forward", "forgets the dropout", "x = model.dropout(x)", "pass", "model.dropout(x)"),

    Mistake("block-step", "forgets x", "y += x\n", "pass\n", "add it to x"),
    Mistake("block-step", "writes into x", "y += x\n", "x += y\n    y = x\n", "x += y would change x"),
    Mistake("block-step", "forgets the bias of proj", "y += proj_bias", "pass", "add the bias of proj"),
    Mistake("block-step", "looks at the new one only", "q @ keys.mT", "q @ k.mT", "for ALL keys"),
    Mistake("block-step", "does not scale", "p *= 1 / math.sqrt(D)", "pass", "divide the scores by √D"),
    Mistake("block-step", "scales by D", "1 / math.sqrt(D)", "1 / D", "by √D, not by D"),
    Mistake("block-step", "forgets the largest", "p -= p.max(axis=-1, keepdims=True)", "pass", "take the largest away"),
    Mistake("block-step", "NumPy's root", "p *= 1 / math.sqrt(D)", "p = p * (1 / np.sqrt(D))", "math.sqrt"),
    Mistake("block-step", "heads in the wrong places", "h.reshape(parts).swapaxes(0, 1)", "h.reshape(3, B, H, 1, D)", "h → q, k, v"),
    Mistake("block-step", "forgets the sum", "out += y", "pass", "added to what the attention gave"),
    Mistake("block-step", "adds x again", "out += y", "out += x", "to the sum, not to x"),
    Mistake("block-step", "side by side", "_norm_rows(y, norm2", "_norm_rows(x, norm2", "the MLP works on the sum"),
    Mistake("block-step", "the first norm again", "_norm_rows(y, norm2, norm2_bias, eps2)", "_norm_rows(y, norm1, norm1_bias, eps1)", "norm2, not norm1"),
    Mistake("block-step", "no norm before fc", "_norm_rows(y, norm2, norm2_bias, eps2)", "y", "the norm stands before fc"),
    Mistake("block-step", "forgets the last bias", "out += back_bias", "pass", "add the bias of back"),
    Mistake("block-step", "does not bend", "_gelu_rows(h)", "h", "bend it"),
    Mistake("block-step", "the first layer", "cache.update(layer", "cache.update(0", "h → q, k, v → cache.update"),

    Mistake("generate", "reads everything again", f"decode_step(model, {SEEN}, cache, weights)", f"decode_step(model, {SEEN[:-len('[:, cache.seq_pos:]')]}, cache_for(model, len(ids)), weights)",
            "only what the cache has not seen"),
    Mistake("generate", "gives all to the cache", SEEN, "ids[:, -model.max_seq_len:]", "what is in the cache is not new"),
    Mistake("generate", "forgets the prompt", SEEN, "ids[:, -1:]", "the whole prompt is new"),
    Mistake("generate", "never begins anew", ANEW, "pass", "nothing cached is true"),
    Mistake("generate", "begins anew too early", "ids.shape[1] > model", "ids.shape[1] >= model", "reset only where there are MORE"),
    Mistake("generate", "goes on without the first", ANEW + "\n            logits = decode_step(model, " + SEEN,
            "if cache.seq_pos == model.max_seq_len:\n                cache.keys[:, :, :, :-1], cache.values[:, :, :, :-1] = cache.keys[:, :, :, 1:].copy(), cache.values[:, :, :, 1:].copy()\n"
            "                cache.seq_pos -= 1\n            logits = decode_step(model, ids[:, -1:] if cache.seq_pos else ids[:, -model.max_seq_len:]", "the cache begins anew"),
]

STOP, BYTES = "stop = self.seq_pos + key.shape[2]", "each, mb = self.keys.nbytes, 2 ** 20"
PARTS = "q, k, v = h.reshape(parts).swapaxes(0, 1)"
LONG = "if ids.shape[1] > model.max_seq_len:"
ALIKE, TWO_AXES = "keys and values have one shape and one dtype", "ids have two axes"
EQUIVALENT = [
    Equivalent("cache", MADE, MADE.replace("self.keys, self.values", "self.values, self.keys"), ALIKE),
    Equivalent("cache", MADE, MADE.replace("= np", "= -np"), "minus zero is zero"),
    Equivalent("cache", MADE, MADE.replace(", np", ", -np"), "minus zero is zero"),
    Equivalent("update", STOP, STOP.replace("key", "value"), ALIKE),
    Equivalent("update", STOP, STOP.replace("[2]", "[-2]"), "keys have four axes"),
    Equivalent("memory-usage", BYTES, BYTES.replace("2 ** 20", "(-2) ** 20"), "20 is even"),
    Equivalent("cached-forward", "cache.advance(ids.shape[1])", "cache.advance(ids.shape[-1])", TWO_AXES),
    Equivalent("cached-forward", "cache.advance(ids.shape[1])", "cache.advance(x.shape[1])", "x (B, n, C) has as many places as there are ids"),
    Equivalent("generate", LONG, LONG.replace("[1]", "[-1]"), TWO_AXES),
    Equivalent("block-step", PARTS, PARTS.replace("swapaxes(0, 1)", "swapaxes(1, 0)"), "two axes are swapped either way"),
]
