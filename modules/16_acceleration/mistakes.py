"""Wrong answers that real learners write, as patches of the solution, each with the words its card must show first."""

from tito.dev.checks.mistake import Equivalent, Mistake

ADDED = "c[i, j] += a[i, p] * b[p, j]"
LOOPS = "for p in range(0, k, tile):"
PIECE = "into[...] = fn(*rest)"
PIECES = "for into, *rest in spans(out, *arrays):\n        " + PIECE
TENSORS = "inputs = [Tensor(x, n, x.dtype) if isinstance(x, ndarray) else x for x, n in zip(given, need)]"
GRADS = "got = grad(fn(*inputs), [x for x, n in zip(inputs, need) if n], piece, allow_unused=True)"
ADD_SLOPE = "slope += 0.0 if found is None else found.data"
INTO = "for slope, found in zip([s for s in into if s is not None], got):"
UPPER = "upper = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16"
PACKED = "return np.where(np.isnan(x), 0x7FC0, upper).astype(np.uint16)"
MOVES = "if op.__name__ in MOVES:\n            return call(arrays, params)"
START = "if op.__name__ in START and not low:\n            arrays[0], low = narrow(arrays[0]), True"
COMPUTE = "out = call(each(widen, arrays), params)"
NARROWED = "return each(narrow, out) if low and op.__name__ not in FULL else out"
DIVIDED = "p.grad.data /= self.loss_scale"
FINITE = "valid = valid and bool(np.isfinite(p.grad.data).all())"
COUNT = "self.good_steps = 0 if overflow else self.good_steps + 1"
HALVED = "self.loss_scale = max(self.loss_scale / 2, 1.0)"
GROWN = "self.loss_scale, self.good_steps = min(self.loss_scale * 2, self.max_loss_scale), 0"
STEP = "if valid:\n            self.optimizer.step()"

MISTAKES = [
    Mistake("loop-matmul", "overwrites", "+=", "=", "add the products up"),
    Mistake("loop-matmul", "b turned", "b[p, j]", "b[j, p]", "p runs along the rows of a"),
    Mistake("loop-matmul", "number by number", "a[i, p] * b[p, j]", "a[i, j] * b[i, j]", "add up a[i, p] * b[p, j]"),
    Mistake("loop-matmul", "square results only", "for j in range(m):", "for j in range(n):", "j columns of b"),

    Mistake("tiled-matmul", "overwrites", "+=", "=", "the tiles of p are added up"),
    Mistake("tiled-matmul", "one tile for all", LOOPS, "tile = max(n, k, m, 1)\n    " + LOOPS, "multiply tiles, with @"),
    Mistake("tiled-matmul", "the whole at once", LOOPS, "return a.astype(dtype) @ b.astype(dtype)\n    " + LOOPS, "multiply tiles, with @"),
    Mistake("tiled-matmul", "b turned", "b[p:p + tile, j:j + tile]", "b[j:j + tile, p:p + tile]", "b has its rows at p"),
    Mistake("tiled-matmul", "full tiles only", "range(0, k, tile)", "range(0, k - tile + 1, tile)", "the last tile may be smaller"),
    Mistake("tiled-matmul", "halves as halves", "a[i:i + tile, p:p + tile].astype(dtype) @ right",
            "a[i:i + tile, p:p + tile] @ right.astype(b.dtype)",
            "convert each tile to dtype"),
    Mistake("tiled-matmul", "converts one of them", "a[i:i + tile, p:p + tile].astype(dtype)", "a[i:i + tile, p:p + tile]", "convert both tiles"),

    Mistake("gelu-into", "a new array", "np.multiply(x, x, out=out)", "out = x * x", "nothing was written into `out`"),
    Mistake("gelu-into", "a formula with temporaries", "np.multiply(x, x, out=out)\n", "out[...] = x * x\n", "an expression such as x * x"),
    Mistake("gelu-into", "forgets the half", "out *= 0.5", "pass", "multiply by a half"),
    Mistake("gelu-into", "forgets the last x", "out += 1.0\n    out *= x", "out += 1.0", "multiply by x once more"),
    Mistake("gelu-into", "only the square has c", "out *= c * k\n    out += c", "out *= c * k\n    out += 1.0", "both terms have c"),
    Mistake("gelu-into", "forgets c at the square", "out *= c * k", "out *= k", "both terms have c"),
    Mistake("gelu-into", "the square of x stays", "out += c\n    out *= x", "out += c", "then tanh, + 1"),
    Mistake("gelu-into", "forgets the 1", "out += 1.0", "pass", "1 is added after tanh"),
    Mistake("gelu-into", "writes into x", "np.multiply(x, x, out=out)", "s = x.copy(); x *= x; out[...] = x; x = s", "write into `out`, not into x"),

    Mistake("in-pieces", "moves a name", "into[...] = fn(*rest)", "into = fn(*rest)", "for `into = …` only moves a name"),
    Mistake("in-pieces", "all at once", PIECES, "out[...] = fn(*arrays)", "call fn on every piece"),
    Mistake("in-pieces", "does not spread", "fn(*rest)", "fn(rest)", "spread the pieces with *"),
    Mistake("in-pieces", "the first piece only", PIECE + "\n    return out", PIECE + "\n        return out", "every piece"),
    Mistake("in-pieces", "returns the piece", "return out", "return into", "return out"),

    Mistake("slopes-in-pieces", "a slope of 1", "piece, allow_unused=True)", "np.ones_like(piece), allow_unused=True)", "from g: give it to grad"),
    Mistake("slopes-in-pieces", "nothing requires a gradient", "Tensor(x, n, x.dtype)", "Tensor(x, dtype=x.dtype)", "require a gradient"),
    Mistake("slopes-in-pieces", "severed by .data", "fn(*inputs)", "Tensor(fn(*inputs).data)", "require a gradient"),
    Mistake("slopes-in-pieces", "float32 for all", "Tensor(x, n, x.dtype)", "Tensor(x, n)", "Tensor(x, n, x.dtype)"),
    Mistake("slopes-in-pieces", "wraps numbers", " if isinstance(x, ndarray) else x for", " for", "a number stays as it is"),
    Mistake("slopes-in-pieces", "all are used", ", allow_unused=True", "", "allow_unused=True"),
    Mistake("slopes-in-pieces", "None is no number", ADD_SLOPE, "slope += found.data", "a None stands for zeros"),
    Mistake("slopes-in-pieces", "moves a name", "slope += 0.0 if found is None else found.data", "slope = 0.0 if found is None else found.data",
            "add each slope into its piece"),
    Mistake("slopes-in-pieces", "the whole arrays", "zip(given, need)]", "zip(arrays, need)]", "each piece has its own inputs"),

    Mistake("bfloat16", "cuts off", " + 0x7FFF + (bits >> 16 & 1)", "", "round, do not cut"),
    Mistake("bfloat16", "rounds up at the middle", "0x7FFF + (bits >> 16 & 1)", "0x8000", "0x8000 always rounds up"),
    Mistake("bfloat16", "forgets the even one", " + (bits >> 16 & 1)", "", "add the last bit that STAYS"),
    Mistake("bfloat16", "the last bit of all", "(bits >> 16 & 1)", "(bits & 1)", "add the last bit that STAYS"),
    Mistake("bfloat16", "converts the numbers", "np.ascontiguousarray(x).view(np.uint32)",
            "np.ascontiguousarray(x).astype(np.int64).astype(np.uint32)", "astype would convert"),
    Mistake("bfloat16", "nan becomes zero", PACKED, "return upper.astype(np.uint16)", "where np.isnan(x)"),
    Mistake("bfloat16", "four bytes", ".astype(np.uint16)", "", "astype(np.uint16) at the end"),
    Mistake("bfloat16", "does not move back", "(bits.astype(np.uint32) << 16)", "bits.astype(np.uint32)", "move the bits up by 16"),
    Mistake("bfloat16", "converts on the way back", ".view(float32)", ".astype(float32)", "view the bits"),
    Mistake("bfloat16", "kept in float32", PACKED, "return (upper << 16).astype(np.uint32).view(float32)", "two bytes a number"),

    Mistake("half-door", "stays in float32", "return each(narrow, out) if low and op.__name__ not in FULL else out", "return out",
            "narrow what call returns"),
    Mistake("half-door", "rounds, and keeps float32", NARROWED, "return each(widen, each(narrow, out)) if low and op.__name__ not in FULL else out",
            "narrow what call returns"),
    Mistake("half-door", "computes in halves", "each(widen, arrays)", "arrays", "widen the inputs"),
    Mistake("half-door", "widens the list itself", COMPUTE, "arrays[:] = each(widen, arrays)\n        out = call(arrays, params)",
            "leave the half in `arrays`"),
    Mistake("half-door", "a half beside the list", START,
        "if op.__name__ in START and not low:\n            arrays, low = [narrow(arrays[0]), *arrays[1:]], True",
            "narrow what call returns"),
    Mistake("half-door", "parameters as well", "arrays[0], low = narrow(arrays[0]), True", "arrays[:], low = each(narrow, arrays), True",
            "arrays[0] = narrow(arrays[0])"),
    Mistake("half-door", "every first input", "op.__name__ in START and not low", "op.__name__ in START", "not low"),
    Mistake("half-door", "never begins", START, "pass", "narrow what call returns"),
    Mistake("half-door", "sums in halves", " and op.__name__ not in FULL", "", "FULL"),
    Mistake("half-door", "everything is narrowed", "if low and op", "if op", "narrow only where `low`"),
    Mistake("half-door", "moves float32", MOVES, "pass", "MOVES comes first"),
    Mistake("half-door", "no answer", "return each(narrow, out) if low and op.__name__ not in FULL else out", "each(narrow, out)",
            "nothing came back"),

    Mistake("unscale", "multiplies", "/=", "*=", "divide by the scale"),
    Mistake("unscale", "a new array", DIVIDED, "g = p.grad.data / self.loss_scale", "write into p.grad.data"),
    Mistake("unscale", "every one has a gradient", "if p.grad is not None:", "if True:", "p.grad may be None"),
    Mistake("unscale", "looks for nan only", "np.isfinite(p.grad.data).all()", "not np.isnan(p.grad.data).any()",
            "np.isfinite tells infinity and nan"),
    Mistake("unscale", "looks for infinity only", "np.isfinite(p.grad.data).all()", "not np.isinf(p.grad.data).any()",
            "np.isfinite tells infinity and nan"),
    Mistake("unscale", "the last one decides", "valid and bool(", "bool(", "np.isfinite tells infinity and nan; one bad gradient"),
    Mistake("unscale", "leaves early", FINITE, "if not np.isfinite(p.grad.data).all():\n                return False", "do not leave the loop early"),
    Mistake("unscale", "one good number is enough", ".all())", ".any())", "one bad gradient is enough"),
    Mistake("unscale", "answers the other way", "return valid", "return not valid", "return a bool of Python"),

    Mistake("update-scale", "doubles on overflow", "self.loss_scale / 2", "self.loss_scale * 2", "smaller after an overflow"),
    Mistake("update-scale", "doubles at each step", "elif self.good_steps == self.growth_interval:", "else:",
            "only after growth_interval good steps"),
    Mistake("update-scale", "counts on", COUNT, "self.good_steps = self.good_steps if overflow else self.good_steps + 1", "good steps in a row"),
    Mistake("update-scale", "does not count anew", GROWN, "self.loss_scale = min(self.loss_scale * 2, self.max_loss_scale)", "start counting anew"),
    Mistake("update-scale", "grows from then on", "elif self.good_steps == self.growth_interval:\n        " + GROWN,
            "elif self.good_steps >= self.growth_interval:\n        self.loss_scale = min(self.loss_scale * 2, self.max_loss_scale)",
            "start counting anew"),
    Mistake("update-scale", "one step late", "== self.growth_interval", "> self.growth_interval", "the third step counts already"),
    Mistake("update-scale", "no upper end", "min(self.loss_scale * 2, self.max_loss_scale)", "self.loss_scale * 2", "self.max_loss_scale"),
    Mistake("update-scale", "no lower end", HALVED, "self.loss_scale = self.loss_scale / 2", "max(…, 1.0)"),

    Mistake("train-step", "gradients pile up", "self.optimizer.zero_grad()", "pass", "zero_grad, scaled backward"),
    Mistake("train-step", "the plain loss goes back", "self.scale_loss(loss).backward()", "loss.backward()", "zero_grad, scaled backward"),
    Mistake("train-step", "severed by .data", "self.scale_loss(loss).backward()",
            "Tensor(self.scale_loss(loss).data, requires_grad=True).backward()", "zero_grad, scaled backward"),
    Mistake("train-step", "forgets to unscale", "valid = self.unscale_gradients(self.model.parameters())",
            "valid = all(np.isfinite(p.grad.data).all() for p in self.model.parameters())", "zero_grad, scaled backward"),
    Mistake("train-step", "in float32", "loss = self.loss(x, y)", "loss = self.loss_fn(self.model(x), y)", "self.loss runs the model under autocast"),
    Mistake("train-step", "steps in any case", STEP, "self.optimizer.step()", "step only where the gradients are valid"),
    Mistake("train-step", "reports the scaled loss", "loss.item()", "self.scale_loss(loss).item()", "report the loss, not the scaled one"),
    Mistake("train-step", "never updates the scale", "self.update_loss_scale(not valid)", "pass", "update_loss_scale(not valid)"),
    Mistake("train-step", "updates the other way", "self.update_loss_scale(not valid)", "self.update_loss_scale(valid)",
            "update_loss_scale(not valid)"),
]

EQUIVALENT = [
    Equivalent("bfloat16", UPPER, UPPER.replace("(bits >> 16 & 1)", "(-(bits >> 16) & 1)"),
               "a whole number and its negative are both odd, or both even"),
    Equivalent("bfloat16", PACKED, PACKED.replace("isnan(x)", "isnan(-x)"), "nan has no sign that counts"),
    Equivalent("slopes-in-pieces", INTO, INTO.replace("into", "rest"), "the slopes come first in it, and there are as many as were got"),
    Equivalent("unscale", FINITE, FINITE.replace("(p.grad", "(-p.grad"), "infinity and nan stay that with another sign"),
]
