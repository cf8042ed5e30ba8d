"""Wrong answers that real learners write, as patches of the solution, each with the words its card must show first."""

from tito.dev.checks.mistake import Equivalent, Mistake

PAIRED = "prediction, target = paired(prediction, target)"
SQUARES = "return reduce_loss(difference * difference, reduction)"
PIECES = "where(size <= delta, 0.5 * difference * difference, delta * (size - 0.5 * delta))"
HUBER = f"return reduce_loss({PIECES}, reduction)"
PICKED = "where(keep, -log_probs[places], 0.0)"
LARGEST = "z = logits - logits.max(axis=dim, keepdims=True)"
SHARE = "wanted += label_smoothing * z.mean(axis=dim, keepdims=True)"
OTHERS = "wanted += label_smoothing * (z.mean(axis=dim, keepdims=True) - z[places] / z.shape[dim])"
WANTED = "wanted = (1 - label_smoothing) * z[places]\n    if label_smoothing:\n        "
TOTAL = "total = np.exp(z, out=z).sum(axis=dim, keepdims=True)"
LOSS = "loss = np.where(keep, np.log(total) - wanted, 0.0)"
FLOOR = "np.maximum(np.log(x), -100.0)"
BOTH = "-(target * clamped_log(prediction) + (1 - target) * clamped_log(1 - prediction))"
SOFTPLUS = "np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))"
LOGITS = "target * softplus(-logits) + (1 - target) * softplus(logits)"

MISTAKES = [
    Mistake("paired", "compares how many numbers there are", "prediction.shape != target.shape", "prediction.size != target.size",
            "raise where the shapes differ"),
    Mistake("paired", "compares the number of axes", "prediction.shape != target.shape", "prediction.ndim != target.ndim", "not size or ndim"),
    Mistake("paired", "makes the shapes fit", 'raise ValueError(f"prediction {prediction.shape} and target {target.shape} must have one shape; reshape or squeeze one of them")',
            "target = target.reshape(*prediction.shape)", "raise where the shapes differ"),
    Mistake("paired", "exchanges the two", "return prediction, target", "return target, prediction", "the prediction comes first"),

    Mistake("reduce-loss", "divides the mean once more", "loss.sum() / count", "loss.mean() / count", "divide the sum, not the mean"),
    Mistake("reduce-loss", "does not divide", "loss.sum() / count", "loss.sum()", "that is the sum"),
    Mistake("reduce-loss", "the mean for the sum", "return loss.sum()\n", "return loss.mean()\n", "that is the mean"),
    Mistake("reduce-loss", "divides the mean by count", "return loss.sum() / count", "return loss.mean() if count == loss.size else loss.mean() / count", "divide the sum by count"),
    Mistake("reduce-loss", "counts the rows", "loss.size if count is None", "loss.shape[0] if count is None", "size counts all of them"),
    Mistake("reduce-loss", "takes a count of 0 for none given", "loss.size if count is None else count", "count or loss.size", "only None means all"),
    Mistake("reduce-loss", "forgets count", "return loss.sum() / count", "return loss.mean()", "divide by count"),
    Mistake("reduce-loss", "lets nan come back", "if not count:", "if False:", "look whether there are 0"),
    Mistake("reduce-loss", "takes any other word for mean", 'if reduction != "mean":', "if not isinstance(reduction, str):", "for all but"),

    Mistake("mse-loss", "does not square", SQUARES, "return reduce_loss(difference, reduction)", "square the differences"),
    Mistake("mse-loss", "takes the size instead", SQUARES, "return reduce_loss(absolute(difference), reduction)", "those are the sizes"),
    Mistake("mse-loss", "takes the root", SQUARES, SQUARES + " ** 0.5", "that is its square root"),
    Mistake("mse-loss", "adds up", SQUARES, 'return reduce_loss(difference * difference, "sum")', "that is the sum"),
    Mistake("mse-loss", "squares the mean", SQUARES, "mean = reduce_loss(difference, reduction)\n    return mean * mean", "first the squares, then the mean"),
    Mistake("mse-loss", "takes half", SQUARES, "return reduce_loss(0.5 * difference * difference, reduction)", "no half"),
    Mistake("mse-loss", "forgets the reduction", SQUARES, 'return reduce_loss(difference * difference, "mean")', "pass reduction on"),
    Mistake("mse-loss", "stretches shapes", PAIRED, "target = target if isinstance(target, Tensor) else Tensor(target)", "ask `paired` first"),
    Mistake("mse-loss", "leaves the Tensors", SQUARES, "return reduce_loss(Tensor(difference.data ** 2), reduction)", "compute with Tensors to the end"),
    Mistake("mse-loss", "pairs the target first", PAIRED, "prediction, target = paired(target, prediction)", "paired takes the prediction first"),
    Mistake("mse-loss", "writes into the prediction", "difference = prediction - target", "difference = prediction\n    difference.data -= target.data",
            "do not change what you were given"),

    Mistake("l1-huber", "forgets absolute", "reduce_loss(absolute(difference), reduction)", "reduce_loss(difference, reduction)", "without their sign"),
    Mistake("l1-huber", "takes the size of the mean", "reduce_loss(absolute(difference), reduction)", "absolute(reduce_loss(difference, reduction))",
            "the size of the mean"),
    Mistake("l1-huber", "exchanges the pieces", "size <= delta", "size > delta", "the two pieces are exchanged"),
    Mistake("l1-huber", "forgets the half", "0.5 * difference * difference", "difference * difference", "half the square"),
    Mistake("l1-huber", "compares the difference", "size <= delta", "difference <= delta", "not the difference"),
    Mistake("l1-huber", "the pieces do not meet", "delta * (size - 0.5 * delta)", "delta * size", "the pieces do not meet"),
    Mistake("l1-huber", "slope 1", "delta * (size - 0.5 * delta)", "(size - 0.5 * delta)", "the line's slope is delta"),
    Mistake("l1-huber", "half of 1", "delta * (size - 0.5 * delta)", "delta * (size - 0.5)", "½ delta, not ½"),
    Mistake("l1-huber", "the corner stays at 1", "size <= delta", "size <= 1", "the square goes as far as delta"),
    Mistake("l1-huber", "forgets delta", "size = absolute(difference)", "size, delta = absolute(difference), 1.0", "use delta, not 1"),
    Mistake("l1-huber", "chooses with NumPy", PIECES, "Tensor(np." + PIECES.replace("difference", "difference.data").replace("size", "size.data") + ")", "compute with Tensors to the end"),
    Mistake("l1-huber", "allows a delta of 0", "delta <= 0", "delta < 0", "unless delta > 0"),

    Mistake("nll-loss", "forgets the minus", PICKED, "where(keep, log_probs[places], 0.0)", "a loss is positive"),
    Mistake("nll-loss", "counts what is ignored", "keep.sum()", "keep.size", "still counted"),
    Mistake("nll-loss", "looks up what is ignored", PICKED, "-log_probs[places]", "-100 was looked up"),
    Mistake("nll-loss", "exchanges the pieces", PICKED, "where(keep, 0.0, -log_probs[places])", "not the other way round"),
    Mistake("nll-loss", "multiplies by keep", PICKED, "-log_probs[places] * Tensor(keep * 1.0)", "0 times infinity is nan"),
    Mistake("nll-loss", "keeps the axis", "loss.squeeze(dim)", "loss", "take axis `dim` away"),
    Mistake("nll-loss", "squeezes every axis", "loss.squeeze(dim)", "loss.squeeze()", "not every axis of size 1"),
    Mistake("nll-loss", "takes the last axis away", "loss.squeeze(dim)", "loss.squeeze(-1)", "which is not always the last"),

    Mistake("cross-entropy", "overflows", LARGEST, "z = logits.copy()", "subtract the largest score first"),
    Mistake("cross-entropy", "writes into the logits", LARGEST, "z = logits\n    z -= logits.max(axis=dim, keepdims=True)", "an array of its own"),
    Mistake("cross-entropy", "the largest of all rows", LARGEST, "z = logits - logits.max()", "each row has its own largest"),
    Mistake("cross-entropy", "loses the axis", LARGEST, "z = logits - logits.max(axis=dim)", "keepdims=True keeps"),
    Mistake("cross-entropy", "classes are last", LARGEST, "dim = -1\n    " + LARGEST, "use `dim`"),
    Mistake("cross-entropy", "plus the score", LOSS, "loss = np.where(keep, np.log(total) + wanted, 0.0)", "minus the right class's z, not plus"),
    Mistake("cross-entropy", "forgets the score", LOSS, "loss = np.where(keep, np.log(total), 0.0)", "subtract the right class's z"),
    Mistake("cross-entropy", "forgets the minus", LOSS, "loss = np.where(keep, wanted - np.log(total), 0.0)", "a loss is positive"),
    Mistake("cross-entropy", "looks up what is ignored", LOSS, "loss = np.log(total) - wanted", "looked up as class 0"),
    Mistake("cross-entropy", "picks too late", TOTAL, TOTAL + "\n    wanted = (1 - label_smoothing) * z[places]",
            "pick it first"),
    Mistake("cross-entropy", "adds up all rows", TOTAL, "total = np.exp(z, out=z).sum()", "sum along `dim` only"),
    Mistake("cross-entropy", "forgets to divide", "p = np.divide(z, total, out=z)", "p = z", "divide exp by its sum"),
    Mistake("cross-entropy", "smoothing: all of the score", "(1 - label_smoothing) * z[places]", "z[places]", "z_t counts 1 - ε"),
    Mistake("cross-entropy", "smoothing: forgets the share", SHARE, "pass", "the share ε of all classes is missing"),
    Mistake("cross-entropy", "smoothing: shared by the others", SHARE, OTHERS, "the right class gets its share"),
    Mistake("cross-entropy", "smoothing: ε/(C - 1)", SHARE, OTHERS + " * z.shape[dim] / (z.shape[dim] - 1)", "the share is ε/C"),
    Mistake("cross-entropy", "smoothing: not used", WANTED + SHARE, "wanted = z[places]", "label_smoothing is not used"),
    Mistake("cross-entropy", "an array at each step", "p = np.divide(z, total, out=z)", "p = z / total", "in the place of z"),
    Mistake("cross-entropy", "smoothing: the sum", SHARE, "wanted += label_smoothing * z.sum(axis=dim, keepdims=True)", "the mean of z, not its sum"),
    Mistake("cross-entropy", "smoothing: the mean of everything", SHARE, "wanted += label_smoothing * z.mean()", "the mean of ONE row"),
    Mistake("cross-entropy", "smoothing: always", "if label_smoothing:", "if True:", "leave the smoothing term out"),

    Mistake("binary-cross-entropy", "the smaller of the two", FLOOR, "np.minimum(np.log(x), -100.0)", "the larger of the two"),
    Mistake("binary-cross-entropy", "a floor under x", FLOOR, "np.log(np.maximum(x, 1e-7))", "the floor is under the logarithm"),
    Mistake("binary-cross-entropy", "no floor", FLOOR, "np.log(x)", "cut off at -100"),
    Mistake("binary-cross-entropy", "forgets the minus", BOTH, BOTH[1:], "a loss is positive"),
    Mistake("binary-cross-entropy", "only yes", BOTH, "-target * clamped_log(prediction)", "the target 0 asks for log(1 - p)"),
    Mistake("binary-cross-entropy", "exchanges yes and no", BOTH, "-((1 - target) * clamped_log(prediction) + target * clamped_log(1 - prediction))", "exchanged"),
    Mistake("binary-cross-entropy", "the logarithm as written", BOTH, "-(target * prediction.log() + (1 - target) * (1 - prediction).log())", "clamped_log for both logarithms"),

    Mistake("with-logits", "as written", SOFTPLUS, "np.log(1 + np.exp(z))", "exp of a positive number overflows"),
    Mistake("with-logits", "forgets max", SOFTPLUS, "np.log1p(np.exp(-np.abs(z)))", "add max(z, 0)"),
    Mistake("with-logits", "no absolute value", SOFTPLUS, "np.maximum(z, 0) + np.log1p(np.exp(-z))", "exp(-|z|), not exp(-z)"),
    Mistake("with-logits", "log of 1 + x", SOFTPLUS, "np.maximum(z, 0) + np.log(1 + np.exp(-np.abs(z)))", "use np.log1p"),
    Mistake("with-logits", "exchanges yes and no", LOGITS, "target * softplus(logits) + (1 - target) * softplus(-logits)", "the target 1 asks for softplus(-z)"),
    Mistake("with-logits", "only yes", LOGITS, "target * softplus(-logits)", "the target 0 is missing"),
    Mistake("with-logits", "through the sigmoid", LOGITS, "-(target * clamped_log(sigmoid(logits)) + (1 - target) * clamped_log(1 - sigmoid(logits)))",
            "no sigmoid, no logarithm"),
]

SYMMETRIC = "a square is the same for the difference the other way round"
EQUIVALENT = [
    Equivalent("mse-loss", PAIRED, "target, prediction = paired(prediction, target)", SYMMETRIC),
    Equivalent("mse-loss", "difference = prediction - target", "difference = target - prediction", SYMMETRIC),
    Equivalent("mse-loss", "difference = prediction - target", "difference = -(prediction - target)", SYMMETRIC),
    Equivalent("l1-huber", HUBER, HUBER.replace("<=", "<"), "the two pieces have the same value and the same slope where they meet"),
]
