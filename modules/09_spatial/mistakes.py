"""Wrong answers that real learners write, as patches of the solution, each with the words its card must show first."""

from tito.dev.checks.mistake import Equivalent, Mistake

SPAN = "dilation * (kernel - 1) + 1"
ROOM = "room, span = size + 2 * padding, "
SUM = "y[n, o, i, j] += x[n, c, i * stride + u, j * stride + v] * w[o, c, u, v]"
STRIDES = "seen = seen[:, :, ::stride[0], ::stride[1], ::dilation[0], ::dilation[1]]"
COLUMNS = "seen.transpose(0, 5, 3, 4, 1, 2).reshape(n, c * kh * kw, oh * ow)"
TAPS = "tap += cols[:, :, k]"
CROP = "return out[:, :, down:down + h, across:across + w]"
PRODUCT = "np.matmul(rows_of(seen[part], groups), columns, out=by_group(y[part], groups))"
BIAS = "if b is not None:\n            y[part] += b"
WEIGHTS = "dw += rows_of(seen[part], groups).mT @ by_group(g[part], groups)"
SLOPES = "slopes = by_group(g[images, rows], groups) @ per_tap"
FAN_IN = "fan_in = in_channels // groups * math.prod(self.kernel_size)"
SHAPE = "shape = out_channels, in_channels // groups, *self.kernel_size"
BIAS_DRAWN = "Parameter(kaiming_uniform((out_channels,), math.sqrt(5), fan_in=fan_in, generator=generator)) if bias else None"
LARGEST = "functools.reduce(np.maximum, lines(x, dim, kernel, stride, dilation, places))"
SHARE = "shares.append(g * (line == out))\n        g = g - shares[-1]"
MOMENTS = "mean = x.mean(axis=0).mean(axis=1)"
VARIANCE = "(away * away).mean(axis=0).mean(axis=1)"
MOVED = "running_mean += momentum * (mean - running_mean)"
MOVED_VAR = "running_var += momentum * (var * (n / (n - 1)) - running_var)"
SCALED = "y *= ((1.0 if weight is None else weight) / np.sqrt(var + eps))[:, None]"
CENTRED = "g = g - g.mean(axis=0).mean(axis=1)[:, None] - normal * (g * normal).mean(axis=0).mean(axis=1)[:, None]"

MISTAKES = [
    Mistake("output-size", "forgets the first place", "// stride + 1", "// stride", "the first place counts too"),
    Mistake("output-size", "pads one end", "2 * padding", "padding", "padding is put at both ends"),
    Mistake("output-size", "forgets the stride", "(room - span) // stride + 1", "room - span + 1", "only whole steps"),
    Mistake("output-size", "divides all of it", "(room - span) // stride + 1", "(room - span + 1) // stride", "then add 1"),
    Mistake("output-size", "rounds up", "(room - span) // stride + 1", "-((span - room) // stride) + 1", "round down"),
    Mistake("output-size", "divides with /", "(room - span) // stride", "(room - span) / stride", "divide with //"),
    Mistake("output-size", "dilation times kernel", SPAN, "dilation * kernel", "the span is d · (k - 1) + 1"),
    Mistake("output-size", "forgets dilation", SPAN, "kernel", "dilation makes the kernel wider"),
    Mistake("output-size", "refuses what just fits", "if span > room", "if span >= room", "LARGER"),
    Mistake("output-size", "lets everything pass", "if span > room", "if False", "raise where span >"),
    Mistake("output-size", "compares the kernel", "if span > room", "if kernel > room", "compare the span"),
    Mistake("output-size", "forgets padding in the comparison", "if span > room", "if span > size", "and its padding"),

    Mistake("conv2d-loops", "turns the kernel round", "w[o, c, u, v]", "w[o, c, kh - 1 - u, kw - 1 - v]", "not turned round"),
    Mistake("conv2d-loops", "exchanges lines and columns", "w[o, c, u, v]", "w[o, c, v % kh, u % kw]", "u goes with i"),
    Mistake("conv2d-loops", "overwrites", SUM, SUM.replace("+=", "="), "add the products up"),
    Mistake("conv2d-loops", "forgets stride", SUM, SUM.replace(" * stride", ""), "begins at i * stride"),
    Mistake("conv2d-loops", "stride across only", SUM, SUM.replace("i * stride", "i"), "both axes move"),
    Mistake("conv2d-loops", "multiplies u by stride", SUM, SUM.replace("i * stride + u", "min(i + u * stride, H - 1)"), "only i and j"),
    Mistake("conv2d-loops", "sees the first channel only", SUM, "if c == 0:\n                                    " + SUM, "over all channels"),
    Mistake("conv2d-loops", "uses the first kernel", "w[o, c, u, v]", "w[0, c, u, v]", "its own loop"),
    Mistake("conv2d-loops", "averages", SUM, SUM + " / (kh * kw) + 1e-3 * c", "and nothing else"),

    Mistake("patches", "forgets stride", STRIDES, "seen = seen[..., ::dilation[0], ::dilation[1]]", "keep every stride-th place"),
    Mistake("patches", "forgets dilation", STRIDES, "seen = seen[:, :, ::stride[0], ::stride[1]]", "every dilation-th number"),
    Mistake("patches", "exchanges the strides", STRIDES, STRIDES.replace("::stride[0], ::stride[1]", "::stride[1], ::stride[0]"),
            "the stride of the lines comes first"),
    Mistake("patches", "exchanges the dilations", STRIDES, STRIDES.replace("::dilation[0], ::dilation[1]", "::dilation[1], ::dilation[0]"),
            "dilation of the lines comes first"),
    Mistake("patches", "leaves the channel in front", "return seen.transpose(0, 2, 3, 4, 5, 1)", "return seen", "the channel comes last"),
    Mistake("patches", "the kernel before the places", "return seen.transpose(0, 2, 3, 4, 5, 1)", "return seen.transpose(0, 4, 5, 2, 3, 1)",
            "first the places"),
    Mistake("patches", "turns the windows round", "return seen.transpose(0, 2, 3, 4, 5, 1)", "return seen.transpose(0, 2, 3, 5, 4, 1)",
            "the kernel's lines before its columns"),
    Mistake("patches", "copies", "return seen.transpose(0, 2, 3, 4, 5, 1)", "return np.ascontiguousarray(seen.transpose(0, 2, 3, 4, 5, 1))",
            "give views"),

    Mistake("im2col", "a row for each patch", COLUMNS, COLUMNS + ".swapaxes(1, 2)", "each patch is a column"),
    Mistake("im2col", "the channel last", COLUMNS, COLUMNS.replace("0, 5, 3, 4, 1, 2", "0, 3, 4, 5, 1, 2"), "channel first"),
    Mistake("im2col", "forgets to transpose", COLUMNS, "seen.reshape(n, c * kh * kw, oh * ow)", "channel first"),
    Mistake("im2col", "overwrites where patches overlap", TAPS, TAPS.replace("+=", "[...] ="), "where patches overlap, add"),
    Mistake("im2col", "loses the sum", TAPS, "tap = tap + cols[:, :, k]", "nothing arrived in `out`"),
    Mistake("im2col", "leaves the frame on", CROP, "return out", "the frame is cut off"),
    Mistake("im2col", "cuts off the wrong end", CROP, "return out[:, :, :h, :w]", "inside the frame"),

    Mistake("convolve", "forgets the bias", BIAS, "pass", "add the bias"),
    Mistake("convolve", "adds the bias to everything each time", "y[part] += b", "y += b", "not to all of y"),
    Mistake("convolve", "adds the bias also if there is none", BIAS, "y[part] += b", "b may be None"),
    Mistake("convolve", "loses the product", PRODUCT, "by_group(y, groups)[...] = 0\n        out = rows_of(seen[part], groups) @ columns",
            "write the product into"),
    Mistake("convolve", "forgets the groups", PRODUCT, PRODUCT.replace("rows_of(seen[part], groups)", "rows_of(seen[part], 1)"), "pass `groups` on"),
    Mistake("convolve", "weights first", PRODUCT, "np.matmul(columns, rows_of(seen[part], groups), out=by_group(y[part], groups))",
            "rows (groups, places, k) @ columns"),

    Mistake("convolve-gradients", "keeps the last part only", WEIGHTS, WEIGHTS.replace("+=", "="), "add the parts up"),
    Mistake("convolve-gradients", "does not turn the rows round", WEIGHTS, WEIGHTS.replace(".mT", ""), "rows.mT"),
    Mistake("convolve-gradients", "g first", WEIGHTS, "dw += by_group(g[part], groups).mT @ rows_of(seen[part], groups)", "rows.mT"),
    Mistake("convolve-gradients", "averages over places", WEIGHTS, WEIGHTS + " / seen[part][..., 0, 0, 0].size", "a sum over all places"),
    Mistake("convolve-gradients", "takes the first part of g", SLOPES, "slopes = by_group(g[:len(g[images]), :here[0]], groups) @ per_tap",
            "the part, not all of g"),
    Mistake("convolve-gradients", "the weights turned round", SLOPES, SLOPES.replace("per_tap", "per_tap.mT"), "@ per_tap"),
    Mistake("convolve-gradients", "forgets the groups", SLOPES, SLOPES.replace("groups) @", "1) @"), "pass `groups` on"),
    Mistake("convolve-gradients", "the kernel turned round", SLOPES, SLOPES + "[::-1]", "in the kernel's order"),

    Mistake("conv2d-layer", "forgets the kernel in fan_in", FAN_IN, "fan_in = in_channels // groups", "fan_in = in_channels / groups"),
    Mistake("conv2d-layer", "forgets the groups in fan_in", FAN_IN, "fan_in = in_channels * math.prod(self.kernel_size)",
            "fan_in = in_channels / groups"),
    Mistake("conv2d-layer", "fan_out", FAN_IN, "fan_in = out_channels * math.prod(self.kernel_size)", "fan_in = in_channels / groups"),
    Mistake("conv2d-layer", "forgets the groups in the shape", SHAPE, "shape = out_channels, in_channels, *self.kernel_size",
            "weight (out, in / groups, kh, kw)"),
    Mistake("conv2d-layer", "in before out", SHAPE, "shape = in_channels // groups, out_channels, *self.kernel_size",
            "weight (out, in / groups, kh, kw)"),
    Mistake("conv2d-layer", "always a bias", " if bias else None", "", "look at `bias`"),
    Mistake("conv2d-layer", "a bias of zeros", BIAS_DRAWN, "Parameter(zeros(out_channels)) if bias else None", "the same fan_in"),
    Mistake("conv2d-layer", "weights that are not trained",
            "self.weight = Parameter(kaiming_uniform(shape, math.sqrt(5), fan_in=fan_in, generator=generator))",
            "self.weight = kaiming_uniform(shape, math.sqrt(5), fan_in=fan_in, generator=generator)", "both Parameters"),
    Mistake("conv2d-layer", "forgets the generator",
            "self.weight = Parameter(kaiming_uniform(shape, math.sqrt(5), fan_in=fan_in, generator=generator))",
            "self.weight = Parameter(kaiming_uniform(shape, math.sqrt(5), fan_in=fan_in))", "pass generator=generator on"),
    Mistake("conv2d-layer", "ReLU's gain", "self.weight = Parameter(kaiming_uniform(shape, math.sqrt(5), ",
            "self.weight = Parameter(kaiming_uniform(shape, 0.0, ", "math.sqrt(5)"),

    Mistake("max-along", "begins with zeros", LARGEST, "functools.reduce(np.maximum, [0.0, *lines(x, dim, kernel, stride, dilation, places)])",
            "begin with a line"),
    Mistake("max-along", "the smallest", LARGEST, LARGEST.replace("maximum", "minimum"), "the largest, not the smallest"),
    Mistake("max-along", "the first two only", LARGEST, LARGEST.replace("places))", "places)[:2])"), "all of the lines"),
    Mistake("max-along", "writes into x", LARGEST,
            "functools.reduce(lambda a, b: np.maximum(a, b, out=a), lines(x, dim, kernel, stride, dilation, places))", "do not write into them"),
    Mistake("max-along", "all equal ones get it", SHARE,
            "shares.append(g * (line == out))\n    g = g * (lines(bare(x), dim, kernel, stride, dilation, places)[-1] == out)",
            "only the first gets it"),
    Mistake("max-along", "the last equal one gets it", SHARE,
            "last = lines(bare(x), dim, kernel, stride, dilation, places)[len(shares) + 1:]\n"
            "        shares.append(g * ((line == out) & ~functools.reduce(np.logical_or, [l == out for l in last])))\n"
            "    for share in shares:\n        g = g - share",
            "the FIRST of two equal ones"),
    Mistake("max-along", "forgets g", SHARE, "shares.append(g * 0.0 + (line == out))\n        g = g * 0.0 + 1.0 - shares[-1]", "the chain rule"),
    Mistake("max-along", "does not take it off", SHARE, "shares.append(g * (line == out))", "take that share off g"),
    Mistake("max-along", "writes into g", SHARE, "shares.append(g * (line == out))\n        g -= shares[-1]", "others look at g"),
    Mistake("max-along", "leaves the Tensors", SHARE, "shares.append(bare(g) * (line == out))\n        g = bare(g) - shares[-1]",
            "g may be a Tensor"),

    Mistake("batch-norm", "one mean for all", MOMENTS, "mean = x.mean() + 0 * x.mean(axis=0).mean(axis=1)", "each channel has its own mean"),
    Mistake("batch-norm", "the unbiased variance", VARIANCE, VARIANCE + " * (x.shape[0] * x.shape[2] / (x.shape[0] * x.shape[2] - 1))",
            "not the unbiased one"),
    Mistake("batch-norm", "the deviation for the variance", VARIANCE, VARIANCE + " ** 0.5", "without a root"),
    Mistake("batch-norm", "absolute differences", "(away * away)", "abs(away)", "the mean of squares"),
    Mistake("batch-norm", "divides by the variance", SCALED, SCALED.replace("np.sqrt(var + eps)", "(var + eps)"), "divide by the root"),
    Mistake("batch-norm", "eps outside", SCALED, SCALED.replace("np.sqrt(var + eps)", "(np.sqrt(var) + eps)"), "inside the root"),
    Mistake("batch-norm", "forgets the weight", SCALED, "y *= (1.0 / np.sqrt(var + eps))[:, None]", "times weight"),
    Mistake("batch-norm", "forgets the bias", "if bias is not None:", "if False:", "plus bias"),
    Mistake("batch-norm", "forgets the mean", "y = flat - mean[:, None]", "y = flat.copy()", "take the mean away"),
    Mistake("batch-norm", "writes into x", "y = flat - mean[:, None]", "y = flat\n    y -= mean[:, None]", "an array of its own"),
    Mistake("batch-norm", "the share of the old value", MOVED, "running_mean += (1 - momentum) * (mean - running_mean)", "share of the new value"),
    Mistake("batch-norm", "makes a new array", MOVED, "running_mean = running_mean + momentum * (mean - running_mean)", "move it in place"),
    Mistake("batch-norm", "adds without taking away", MOVED, "running_mean += momentum * mean", "momentum * (mean - running_mean)"),
    Mistake("batch-norm", "keeps the biased variance", MOVED_VAR, "running_var += momentum * (var - running_var)", "gets the unbiased one"),
    Mistake("batch-norm", "unbiased the wrong way round", MOVED_VAR, "running_var += momentum * (var * ((n - 1) / n) - running_var)", "n / (n - 1)"),
    Mistake("batch-norm", "moves them in use, too", "if training and running_mean is not None:", "if running_mean is not None:",
            "only training moves them"),
    Mistake("batch-norm", "forgets that they may be None", "if training and running_mean is not None:", "if training:",
            "the running statistics may be None"),

    Mistake("batch-norm-gradient", "takes both for constants", CENTRED, "pass", "mean and variance are made of x"),
    Mistake("batch-norm-gradient", "takes the variance for a constant", CENTRED, "g = g - g.mean(axis=0).mean(axis=1)[:, None]",
            "the variance is made of x too"),
    Mistake("batch-norm-gradient", "takes the mean for a constant", CENTRED, "g = g - normal * (g * normal).mean(axis=0).mean(axis=1)[:, None]",
            "the mean is made of x too"),
    Mistake("batch-norm-gradient", "plus", CENTRED, CENTRED.replace("- normal", "+ normal"), "minus x̂"),
    Mistake("batch-norm-gradient", "sums for means", CENTRED, CENTRED.replace("mean", "sum"), "means, not sums"),
    Mistake("batch-norm-gradient", "forgets x̂", CENTRED, CENTRED.replace("- normal * (g", "- (g"), "the mean of g · x̂ is multiplied by x̂"),
    Mistake("batch-norm-gradient", "always", "if training:", "if True:", "without training only the factor"),
    Mistake("batch-norm-gradient", "forgets the weight", "(scale if weight is None else scale * weight)", "scale", "multiply by the weight"),
    Mistake("batch-norm-gradient", "divides by the variance", "scale = 1.0 / np.sqrt(var + eps)", "scale = 1.0 / (var + eps)",
            "the root of the variance"),
    Mistake("batch-norm-gradient", "forgets eps", "np.sqrt(var + eps)", "np.sqrt(var)", "eps belongs into the root"),
    Mistake("batch-norm-gradient", "writes into g", CENTRED,
            "g -= g.mean(axis=0).mean(axis=1)[:, None]\n        g -= normal * (g * normal).mean(axis=0).mean(axis=1)[:, None]",
            "others look at g"),
]

LAST, UNKNOWN = "of two numbers the second is the last", "reshape works out the one size that is negative"
DRAWN = "self.weight = Parameter(kaiming_uniform(shape, math.sqrt(5), fan_in=fan_in, generator=generator))"
AWAY = "away = x - mean[:, None]"
EQUIVALENT = [
    Equivalent("conv2d-loops", "for c in range(C):", "for c in range(_):", "kernels have as many channels as the picture"),
    Equivalent("patches", STRIDES, STRIDES.replace("dilation[1]", "dilation[-1]"), LAST),
    Equivalent("patches", STRIDES, STRIDES.replace("stride[1]", "stride[-1]"), LAST),
    Equivalent("conv2d-loops", "for i in range(y.shape[2]):", "for i in range(y.shape[-2]):", "axis 2 of four is axis -2"),
    Equivalent("im2col", f"return {COLUMNS}", f"return {COLUMNS.replace('(n, c', '(n, -c')}", UNKNOWN),
    Equivalent("im2col", f"return {COLUMNS}", f"return {COLUMNS.replace('oh * ow', '-oh * ow')}", UNKNOWN),
    Equivalent("im2col", f"return {COLUMNS}", f"return {COLUMNS.replace('(n,', '(-n,')}", UNKNOWN),
    Equivalent("conv2d-layer", DRAWN, DRAWN.replace("math.sqrt(5)", "-math.sqrt(5)"), "only the square of the slope is used"),
    Equivalent("conv2d-layer", f"self.bias = {BIAS_DRAWN}", f"self.bias = {BIAS_DRAWN}".replace("math.sqrt(5)", "-math.sqrt(5)"),
               "only the square of the slope is used"),
    Equivalent("batch-norm", MOMENTS, MOMENTS.replace("axis=1", "axis=-1"), "axis 1 of two is the last"),
    Equivalent("batch-norm", f"return mean, {VARIANCE}", f"return mean, {VARIANCE}".replace("axis=1", "axis=-1"), "axis 1 of two is the last"),
    Equivalent("batch-norm", AWAY, "away = -(x - mean[:, None])", "only its square is used"),
    Equivalent("batch-norm", AWAY, "away = mean[:, None] - x", "only its square is used"),
    *(Equivalent("batch-norm", f"return mean, {VARIANCE}", f"return mean, {VARIANCE}".replace("away * away", product),
                 "the mean of (x - mean) * x is that of (x - mean) * (x - mean), since x - mean has mean 0") for product in ("away * x", "x * away")),
    Equivalent("batch-norm-gradient", CENTRED, CENTRED.replace("axis=1)[:, None] - normal", "axis=-1)[:, None] - normal"),
               "axis 1 of two is the last"),
    Equivalent("batch-norm-gradient", CENTRED, "axis=-1".join(CENTRED.rsplit("axis=1", 1)), "axis 1 of two is the last"),
    Equivalent("im2col", f"return {COLUMNS}", f"return {COLUMNS.replace('5, 3,', '5, -3,')}", "axis 3 of six is axis -3"),
]
