"""Wrong answers that real learners write, as patches of the solution, each with the words its card must show first."""

from tito.dev.checks.mistake import Equivalent, Mistake

INSIDE = "low, high = np.minimum(low, 0.0), np.maximum(high, 0.0)"
SCALE = "scale = np.maximum(-low, high) / largest if symmetric else (high - low) / (largest - smallest)"
ZERO = "zero_point = 0.0 * scale if symmetric else smallest - np.round(low / scale)"
OTHERS = "others = None if axis is None else tuple(k for k in range(x.ndim) if k != axis % x.ndim)"
RANGE = "low, high = x.min(axis=others, keepdims=axis is not None), x.max(axis=others, keepdims=axis is not None)"
ROUND = "return np.clip(np.round(x / scale) + zero_point, *_levels(bits)).astype(np.int8)"
BACK = "return ((q.astype(float32) - zero_point) * scale).astype(float32)"
PACKED = "packed = codes[..., :half].copy()\n    packed[..., :q.shape[-1] - half] += codes[..., half:] * 16"
LOWER = "out[..., :half] = (packed & 15).astype(np.int8) - 8"
UPPER = "out[..., half:] = (packed >> 4).astype(np.int8)[..., :n - half] - 8"
BUFFER = "buffer = np.empty((min(tile, outputs), x.shape[1]), x.dtype)"
PART = "part = slice(start, min(start + tile, outputs))\n        out = buffer[:part.stop - start]"
LOOP = "for start in range(0, outputs, tile):"
KEEP = "self.q, self.scale = Tensor(pack_int4(q) if bits == 4 else q), Tensor(np.reshape(scale, (-1, 1)))"
STORE = "q, scale, _ = quantize_int8(table, axis=0 if per_channel else None, bits=bits)"
MADE = "made = {id(layer): make(name, layer) for name, layer in model.named_modules()}"
COPY = "return copy.deepcopy(model, {key: new for key, new in made.items() if new is not None})"
NOTE = "self.ranges.append(np.percentile(x, (100 - self.percentile, self.percentile)))"
MEAN = "(sum(lows) / len(lows), sum(highs) / len(highs))"
RANGE = "low, high = x.min(axis=others, keepdims=axis is not None), x.max(axis=others, keepdims=axis is not None)"
ALL = "return (min(lows), max(highs)) if self.percentile == 100 else " + MEAN
ON = "return (kept - zero_point) * scale, "
PLACE = "at = np.round(x / scale) + zero_point"
THROUGH = "return g * inside"
LINEAR = "return linear(x, self.weight, layer.bias)"
FUNCTION = "return layer.function(x, self.weight, layer.bias, layer.stride, layer.padding, layer.dilation, layer.groups)"
INPUTS = "x = x if self.grid is None else fake_quantize(x, *self.grid)"

MISTAKES = [
    Mistake("grid", "always high", "np.maximum(-low, high)", "high", "the larger of -low and high"),
    Mistake("grid", "128 steps", "np.maximum(-low, high) / largest", "np.maximum(-low, high) / -smallest", "127 steps, not 128"),
    Mistake("grid", "high - low for both", SCALE, "scale = (high - low) / (largest - smallest)", "symmetric is not high - low"),
    Mistake("grid", "256 steps", "(largest - smallest)", "(largest - smallest + 1)", "255 steps lie between 256 numbers"),
    Mistake("grid", "symmetric for both", SCALE, "scale = np.maximum(-low, high) / largest", "all 255 steps"),
    Mistake("grid", "the sign of the zero point", "smallest - np.round(low / scale)", "smallest + np.round(low / scale)", "minus low / scale"),
    Mistake("grid", "from 0 on", "smallest - np.round(low / scale)", "-np.round(low / scale)", "low becomes the smallest whole number"),
    Mistake("grid", "forgets the 0", INSIDE, "low, high = np.asarray(low), np.asarray(high)", "low = min(low, 0)"),
    Mistake("grid", "divides by zero", "scale = np.maximum(scale, 1e-30)", "pass", "np.maximum(scale, 1e-30)"),
    Mistake("grid", "always 8 bits", SCALE, SCALE.replace("/ largest", "/ 127"), "largest, not 127"),
    Mistake("grid", "numbers only", INSIDE, "low, high = min(low, 0.0), max(high, 0.0)", "work on arrays"),

    Mistake("quantize", "the other axis", "k != axis % x.ndim", "k == axis % x.ndim", "axis is the one that keeps its own scales"),
    Mistake("quantize", "forgets keepdims", RANGE, "low, high = x.min(axis=others), x.max(axis=others)", "keepdims=True"),
    Mistake("quantize", "axis -1", "k != axis % x.ndim", "k != axis", "over all axes but"),
    Mistake("quantize", "one axis only", OTHERS, "others = None if axis is None else (1 - axis % x.ndim) % x.ndim", "over ALL other axes"),
    Mistake("quantize", "forgets the settings", "return quantization_grid(low, high, bits, symmetric)", "return quantization_grid(low, high)",
            "quantization_grid(low, high, bits, symmetric)"),
    Mistake("quantize", "cuts off", "np.round(x / scale)", "np.trunc(x / scale)", "astype cuts off"),
    Mistake("quantize", "does not clip", ROUND, "return (np.round(x / scale) + zero_point).astype(np.int64).astype(np.int8)", "int8 wraps round"),
    Mistake("quantize", "multiplies", "x / scale", "x * scale", "divide by the scale"),
    Mistake("quantize", "the zero point after clipping", ROUND,
            "return (np.clip(np.round(x / scale), *_levels(bits)) + zero_point).astype(np.int64).astype(np.int8)", "before you clip"),
    Mistake("quantize", "minus the zero point", "np.round(x / scale) + zero_point", "np.round(x / scale) - zero_point", "plus the zero point, not minus"),
    Mistake("quantize", "clips to 8 bits", "*_levels(bits)", "-128, 127", "_levels(bits)"),
    Mistake("quantize", "subtracts in bytes", BACK, "return ((q - np.int8(zero_point)) * scale).astype(float32)", "make floats first"),
    Mistake("quantize", "scales first", BACK, "return (q * scale - zero_point).astype(float32)", "first minus the zero point"),
    Mistake("quantize", "float64", BACK, "return (q.astype(float) - zero_point) * scale", "float32"),

    Mistake("pack", "neighbours", PACKED, "packed = codes[..., ::2].copy()\n    packed[..., :q.shape[-1] - half] += codes[..., 1::2] * 16", "not with its neighbour"),
    Mistake("pack", "the wrong way round", PACKED, "packed = codes[..., :half] * 16\n    packed[..., :q.shape[-1] - half] += codes[..., half:]",
            "number k goes below"),
    Mistake("pack", "forgets the 8", "(q + 8).astype", "q.astype", "add 8 first"),
    Mistake("pack", "a byte each", PACKED, "packed = codes", "two to a byte"),
    Mistake("pack", "even only", PACKED, "packed = codes[..., :half] + codes[..., half:] * 16", "half is rounded up"),
    Mistake("pack", "rounds half down", "half, codes = (q.shape[-1] + 1) // 2", "half, codes = q.shape[-1] // 2", "half is rounded up"),
    Mistake("pack", "leaves the 8", LOWER + "\n    " + UPPER, (LOWER + "\n    " + UPPER).replace(" - 8", ""), "take 8 away"),
    Mistake("pack", "has no negative numbers", LOWER + "\n    " + UPPER, (LOWER + "\n    " + UPPER).replace(".astype(np.int8)", ""),
            "a uint8 has no negative numbers"),
    Mistake("pack", "even only, back", "[..., :n - half] - 8", " - 8", "the last one above is left out"),
    Mistake("pack", "a new array", LOWER, "out = np.empty((*packed.shape[:-1], n), out.dtype)\n    " + LOWER, "out[..., :half] ="),

    Mistake("product-by-tiles", "everything at once", LOOP, "tile = outputs\n    buffer = np.empty((outputs, x.shape[1]), x.dtype)\n    " + LOOP.replace("tile", "max(tile, 1)"),
            "range(0, outputs, tile)"),
    Mistake("product-by-tiles", "a buffer for each", PART, PART.replace("buffer[:part.stop - start]", "np.empty((part.stop - start, x.shape[1]), x.dtype)"),
            "np.empty before the loop"),
    Mistake("product-by-tiles", "forgets the last", LOOP, "for start in range(0, outputs - tile + 1, tile):", "the last rows are a tile too"),
    Mistake("product-by-tiles", "a large buffer", BUFFER, "buffer = np.empty((outputs, x.shape[1]), x.dtype)", "the buffer has `tile` rows"),
    Mistake("product-by-tiles", "always a full buffer", BUFFER, "buffer = np.empty((tile, x.shape[1]), x.dtype)", "min(tile, outputs) rows"),
    Mistake("product-by-tiles", "float64", BUFFER, "buffer = np.empty((min(tile, outputs), x.shape[1]))", "np.empty(…, x.dtype)"),
    Mistake("product-by-tiles", "not turned", "np.matmul(x, out.T, out=y[:, part])", "np.matmul(x, out.reshape(x.shape[1], -1), out=y[:, part])", "x @ outᵀ"),
    Mistake("product-by-tiles", "the buffer, not its rows", "out = buffer[:part.stop - start]", "out = buffer", "as many rows as part names"),

    Mistake("store", "int8 kept in float32", KEEP, KEEP.replace("Tensor(pack_int4(q) if bits == 4 else q)", "Tensor(q.astype(float32))"), "int8, not floats"),
    Mistake("store", "keeps the layer too", KEEP, KEEP + "\n        self._layer = layer", "no float copy"),
    Mistake("store", "keeps the table too", KEEP, KEEP + "\n        self.floats = np.array(table)", "no float copy"),
    Mistake("store", "by columns", "axis=0 if", "axis=1 if", "a scale for each row: axis=0"),
    Mistake("store", "always per channel", "axis=0 if per_channel else None", "axis=0", "per_channel=False: axis=None"),
    Mistake("store", "does not pack", "pack_int4(q) if bits == 4 else q", "q", "pack_int4(q)"),
    Mistake("store", "always 8 bits", ", bits=bits)\n        self.q", ")\n        self.q", "pass bits on"),
    Mistake("store", "a flat scale", "np.reshape(scale, (-1, 1))", "np.ravel(scale)", "np.reshape(scale, (-1, 1))"),
    Mistake("store", "a Parameter", "Tensor(np.reshape(scale, (-1, 1)))", "Parameter(np.reshape(scale, (-1, 1)))", "not Parameters"),

    Mistake("replace", "changes the one that was given", COPY,
            "for layer in model.modules():\n        for key, part in list(vars(layer).items()):\n            if made.get(id(part)) is not None:\n"
            "                setattr(layer, key, made[id(part)])\n    return model", "copy.deepcopy(model, memo)"),
    Mistake("replace", "keeps the None", COPY, "return copy.deepcopy(model, dict(made))", "where make returned None"),
    Mistake("replace", "a shallow copy", COPY, COPY.replace("deepcopy(model, {", "copy(model if True else {"), "copy.deepcopy(model, memo)"),
    Mistake("replace", "replaces nothing", COPY, "return copy.deepcopy(model)", "with memo {id(old layer): new layer}"),
    Mistake("replace", "children only", "model.named_modules()", "model.named_modules()[1:]", "the model itself too"),

    Mistake("observer", "the last batch", NOTE, NOTE.replace("self.ranges.append(", "self.ranges = [").replace("percentile)))", "percentile))]"), "not only the last"),
    Mistake("observer", "the first batch", ALL, "return lows[0], highs[0]", "not only the first"),
    Mistake("observer", "always the mean", ALL, "return " + MEAN, "as wide as any of them"),
    Mistake("observer", "never the mean", ALL, "return min(lows), max(highs)", "the mean of the lows"),
    Mistake("observer", "cuts on top only", "(100 - self.percentile, self.percentile)", "(0, self.percentile)", "on either side"),
    Mistake("observer", "cuts below only", "(100 - self.percentile, self.percentile)", "(100 - self.percentile, 100)", "the percentile-th on top"),
    Mistake("observer", "cuts nothing", "np.percentile(x, (100 - self.percentile, self.percentile))", "[x.min(), x.max()]", "on either side"),

    Mistake("fake-quantize", "does not clip", "kept = np.clip(at, *_levels(bits))", "kept = at", "clip at the ends"),
    Mistake("fake-quantize", "stays on the grid", ON, "return kept - zero_point, ", "times the scale again"),
    Mistake("fake-quantize", "keeps the zero point", ON, "return kept * scale, ", "minus the zero point again"),
    Mistake("fake-quantize", "does not round", PLACE + "\n    kept = np.clip(at, *_levels(bits))\n    " + ON, "at = np.round(x / scale) + zero_point\n    kept = np.clip(at, *_levels(bits))\n    return x * 1.0, ",
            "round to whole numbers"),
    Mistake("fake-quantize", "the slope of the staircase", THROUGH, "return g * 0.0", "g itself passes"),
    Mistake("fake-quantize", "passes everywhere", THROUGH, "return g", "beyond the ends nothing passes"),
    Mistake("fake-quantize", "times the outside", THROUGH, "return g * ~inside", "where it was NOT clipped"),
    Mistake("fake-quantize", "without the ends", '"inside": kept == at', '"inside": (at > _levels(bits)[0]) & (at < _levels(bits)[1])',
            "the ends belong to the grid"),

    Mistake("aware-forward", "exact weights", LINEAR, "return linear(x, layer.weight, layer.bias)", "self.weight is the rounded weight"),
    Mistake("aware-forward", "exact kernels", FUNCTION, FUNCTION.replace("self.weight", "layer.weight"), "self.weight is the rounded weight"),
    Mistake("aware-forward", "gradient severed by .data", LINEAR, "return linear(x, self.weight.data, layer.bias)", "cut it off from its history"),
    Mistake("aware-forward", "kernels severed by Tensor", FUNCTION, FUNCTION.replace("self.weight", "Tensor(self.weight)"), "cut it off from its history"),
    Mistake("aware-forward", "exact inputs", INPUTS, "pass", "round the inputs"),
    Mistake("aware-forward", "forgets the bias", LINEAR, "return linear(x, self.weight)", "all settings of the layer"),
    Mistake("aware-forward", "forgets the stride", FUNCTION, FUNCTION.replace("layer.stride, layer.padding", "1, layer.padding"), "all settings of the layer"),
]

SYMMETRIC, NEW = "the zero point of a symmetric grid is 0, however that comes about", "codes is an array of its own, and is read no more"
EQUIVALENT = [
    *(Equivalent("grid", ZERO, ZERO.replace("0.0 * scale", zero), SYMMETRIC) for zero in ("0.0 * low", "0.0 / scale", "0.0 * -scale", "np.float64(0.0) * scale", "0.0 ** scale")),
    *(Equivalent("grid", "scale = np.maximum(scale, 1e-30)", f"scale = np.maximum(scale, {small})", "anything above 0, and far below all that is quantised, will do")
      for small in ("2e-30", "5e-31")),
    *(Equivalent("quantize", RANGE, RANGE.replace(f"{side}(axis=others, keepdims=axis", f"{side}(axis=others, keepdims=others"), "others is None where axis is")
      for side in ("min", "max")),
    Equivalent("quantize", "return quantization_grid(low, high, bits, symmetric)", "return quantization_grid(low, high, bits, -symmetric)", "-True is as true as True"),
    Equivalent("quantize", BACK, BACK.replace("q.astype(float32)", "q.astype(float64)"), "rounded to float32 at the end, which differs in the last bit at most"),
    Equivalent("pack", "packed = codes[..., :half].copy()", "packed = codes[..., :half]", NEW),
    Equivalent("product-by-tiles", BUFFER, BUFFER.replace("x.dtype", "y.dtype"), "y has the dtype of x"),
    Equivalent("product-by-tiles", BUFFER, BUFFER.replace("np.empty", "-np.empty"), "what is in it at first does not matter"),
    Equivalent("product-by-tiles", BUFFER, BUFFER.replace("x.shape[1]", "x.shape[-1]"), "x has two axes"),
    Equivalent("store", KEEP, KEEP.replace("(-1, 1)", "(-2, 1)"), "for NumPy every negative size is the one to be worked out"),
    Equivalent("observer", ALL, ALL.replace("== 100", ">= 100"), "NumPy refuses percentiles above 100"),
    Equivalent("observer", ALL, ALL.replace("sum(highs) / len(highs)", "sum(highs) / len(lows)"), "there are as many lows as highs"),
    Equivalent("observer", ALL, ALL.replace("sum(lows) / len(lows)", "sum(lows) / len(highs)"), "there are as many lows as highs"),
]
