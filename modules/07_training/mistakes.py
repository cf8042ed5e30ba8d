"""Wrong answers that real learners write, as patches of the solution, each with the words its card must show first."""

from tito.dev.checks.mistake import Equivalent, Mistake

CLASSES = 'targets.dtype.kind not in "iu" or '
SHAPES = "if logits.shape[:1] + logits.shape[2:] != targets.shape:"
SHARE = "float((logits.argmax(axis=1) == targets).mean())"

MODES = "modes = [(module, module.training) for module in self.model.modules()]"
RESTORE = "for module, mode in modes:\n            module.training = mode"
FINALLY = "    finally:\n        " + RESTORE + "\n"
TOTAL = "total += self.loss_fn(logits, targets).item() * n"
RIGHT = "right = None if share is None else right + share * n"
RETURN = "return total / samples, None if right is None else right / samples"
TO_THE_END = "\n                samples += n\n" + FINALLY + "    " + RETURN

GROUPS = "while group := list(itertools.islice(pairs, accumulation_steps)):"
CLEAR = "        self.optimizer.zero_grad()\n"
BACK = "(loss * (n / size)).backward()"
EPOCH_TOTAL = "total += loss.item() * n"
CLIP = "        if self.grad_clip_norm is not None:\n            clip_grad_norm(self.model.parameters(), self.grad_clip_norm)\n"
STEP = "        self.optimizer.step()\n    return"

NORM = "float(np.linalg.norm([np.linalg.norm(g.ravel(), norm_type) for g in grads], norm_type)) if grads else 0.0"
FACTOR = "g *= 1.0 if factor > 1 else factor"

COSINE = "self.min_lr + (self.max_lr - self.min_lr) * (1 + math.cos(math.pi * done)) / 2"

BETTER = 'if row["val_loss"] < (self.best["loss"] if self.best else math.inf):'
PLATEAU = 'self.scheduler.step(row.get("val_loss", row["train_loss"]))'

OPEN = 'with open(new, "wb") as file:'
SYNC = "            file.flush()\n            os.fsync(file.fileno())\n"
EXCEPT = "    except BaseException:\n        new.unlink(missing_ok=True)\n        raise"

MISTAKES = [
    Mistake("accuracy", "counts the right ones", ").mean())", ").sum())", "take the mean"),
    Mistake("accuracy", "the smallest logit", "logits.argmax(axis=1)", "logits.argmin(axis=1)", "argmax(axis=1)"),
    Mistake("accuracy", "the wrong ones", "== targets).mean", "!= targets).mean", "the share of wrong ones"),
    Mistake("accuracy", "the largest of all", "logits.argmax(axis=1)", "logits.argmax()", "argmax(axis=1)"),
    Mistake("accuracy", "the last axis", "logits.argmax(axis=1)", "logits.argmax(axis=-1)", "not always the last"),
    Mistake("accuracy", "the largest sample of each class", "logits.argmax(axis=1)", "logits.argmax(axis=0)", "axis 1 has the classes"),
    Mistake("accuracy", "compares shapes that stretch", SHAPES, "if len(logits) != len(targets):", "look at the shapes"),
    Mistake("accuracy", "takes numbers for classes", CLASSES, "", "unless the targets are integers"),
    Mistake("accuracy", "minds the shape of pairs", " or targets.shape == logits.shape", "", "where both have one shape"),
    Mistake("accuracy", "a NumPy number", SHARE, SHARE[6:-1], "makes one of NumPy's"),

    Mistake("evaluate", "a mean of means", TOTAL, "total += self.loss_fn(logits, targets).item()\n                samples += 1 - n", "a mean of batch means"),
    Mistake("evaluate", "forgets to divide", "total / samples, None", "total, None", "divide by the number of samples"),
    Mistake("evaluate", "keeps the last batch", TOTAL, "total = self.loss_fn(logits, targets).item() * n\n                samples = 0", "the last batch only"),
    Mistake("evaluate", "accuracies without weights", RIGHT, "right = None if share is None else right + share", "weigh each batch's accuracy"),
    Mistake("evaluate", "a mean of accuracies", RIGHT + TO_THE_END, (RIGHT + TO_THE_END).replace("share * n", "share").replace("right / samples", "right / len(loader)"),
            "weigh each batch's accuracy"),
    Mistake("evaluate", "forgets eval", "    self.model.eval()\n", "", "self.model.eval() before"),
    Mistake("evaluate", "puts only itself into evaluation", "self.model.eval()", "self.model.training = False", "self.model.eval() before"),
    Mistake("evaluate", "records", "with no_grad():", "if True:", "with no_grad()"),
    Mistake("evaluate", "forgets to restore", RESTORE, "pass", "give each its own back"),
    Mistake("evaluate", "trains all of it afterwards", RESTORE, "self.model.train()", "give each its own back"),
    Mistake("evaluate", "restores the outermost mode only", MODES, "modes = []\n    was = self.model.training", "give each its own back"),
    Mistake("evaluate", "restores one mode everywhere", RESTORE, "self.model.train(modes[0][1])", "give each its own back"),
    Mistake("evaluate", "restores only where nothing went wrong", FINALLY, "    except ZeroDivisionError:\n        pass\n    " + RESTORE.replace("\n    ", "\n") + "\n", "in `finally:`"),
    Mistake("evaluate", "swallows errors", FINALLY, "    except KeyError:\n        pass\n" + FINALLY, "except: would swallow"),
    Mistake("evaluate", "reads the loader itself", "batches(loader)", "((Tensor(a), Tensor(b)) for a, b in loader)", "go through batches(loader)"),
    Mistake("evaluate", "no classes, accuracy 0", RIGHT, "right += (share or 0) * n", "None stays None"),

    Mistake("train-epoch", "never clears", CLEAR, "", "clear the gradients before each step"),
    Mistake("train-epoch", "clears before each batch", "            loss, n = self.loss_fn", "            self.optimizer.zero_grad()\n            loss, n = self.loss_fn", "not before each batch"),
    Mistake("train-epoch", "adds up without weights", BACK, "loss.backward()", "weigh each loss"),
    Mistake("train-epoch", "weighs all batches alike", BACK, "(loss * (1 / len(group))).backward()", "weigh each loss"),
    Mistake("train-epoch", "divides by accumulation_steps", BACK, "(loss * (1 / accumulation_steps)).backward()", "weigh each loss"),
    Mistake("train-epoch", "weighs by samples alone", BACK, "(loss * n).backward()", "divide by the samples of the group"),
    Mistake("train-epoch", "drops a short group", GROUPS, GROUPS + "\n        if len(group) < accumulation_steps:\n            samples += samples == 0\n            break", "it makes a step too"),
    Mistake("train-epoch", "steps after each batch", BACK, BACK + "\n            self.optimizer.step()", "one step a group"),
    Mistake("train-epoch", "never steps", STEP, "    return", "backward, then step"),
    Mistake("train-epoch", "a mean of means", EPOCH_TOTAL, "total += loss.item() * size / len(group)", "add up loss · len(targets)"),
    Mistake("train-epoch", "the weighted loss", EPOCH_TOTAL, "total += loss.item() * n / size", "add up loss · len(targets)"),
    Mistake("train-epoch", "forgets to divide", "return total / samples", "return total", "divide by all samples"),
    Mistake("train-epoch", "forgets to clip", CLIP, "", "call clip_grad_norm"),
    Mistake("train-epoch", "clips after the step", CLIP + "        self.optimizer.step()\n", "        self.optimizer.step()\n" + CLIP, "call clip_grad_norm"),
    Mistake("train-epoch", "clips each batch", BACK, BACK + "\n" + CLIP.replace("        if", "            if").replace("            clip", "                clip").rstrip("\n"), "clip once"),
    Mistake("train-epoch", "clips by value", "clip_grad_norm(self.model", "clip_grad_value(self.model", "call clip_grad_norm"),
    Mistake("train-epoch", "one batch at a time", GROUPS, "while group := list(itertools.islice(pairs, 1)):", "one step a group"),

    Mistake("clip", "adds up the norms", "], norm_type)) if", "], 1)) if", "squares add up, norms do not"),
    Mistake("clip", "forgets the root", NORM, NORM.replace("], norm_type))", "], norm_type)) ** 2"), "take the root"),
    Mistake("clip", "the largest norm", "], norm_type)) if", "], math.inf)) if", "that is the largest"),
    Mistake("clip", "the norm afterwards", "    return norm", "    return min(norm, max_norm)", "as it was before"),
    Mistake("clip", "always scales", FACTOR, "g *= factor", "the factor is at most 1"),
    Mistake("clip", "each by its own norm", FACTOR, "g *= min(1.0, max_norm / (float(np.linalg.norm(g)) + 1e-6))", "their common norm"),
    Mistake("clip", "makes new arrays", FACTOR, "g = g * min(1.0, factor)", "writes in place"),
    Mistake("clip", "hides nan", FACTOR, "g *= min(1.0, factor)", "ask whether the factor is above 1"),
    Mistake("clip", "divides by 0", "(norm + 1e-6)", "norm", "add 1e-6"),
    Mistake("clip", "always the norm of type 2", NORM, NORM.replace("norm_type", "2"), "hand norm_type to both"),
    Mistake("clip", "type 2 of the norms", "], norm_type)) if", "], 2)) if", "hand norm_type to both"),
    Mistake("clip", "the factor upside down", "max_norm / (norm + 1e-6)", "(norm + 1e-6) / max_norm", "not the other way round"),
    Mistake("clip", "only from above", "np.clip(g, -clip_value, clip_value, out=g)", "np.minimum(g, clip_value, out=g)", "the lower end is -clip_value"),
    Mistake("clip", "from 0", "np.clip(g, -clip_value, clip_value, out=g)", "np.clip(g, 0, clip_value, out=g)", "not 0"),
    Mistake("clip", "values in new arrays", "np.clip(g, -clip_value, clip_value, out=g)", "g = np.clip(g, -clip_value, clip_value)", "with out=g"),

    Mistake("cosine", "rises", COSINE, COSINE.replace("1 + math", "1 - math"), "it falls"),
    Mistake("cosine", "forgets the half", ")) / 2", "))", "halve it"),
    Mistake("cosine", "forgets the minimum", "self.min_lr + (self.max_lr", "(self.max_lr", "add min_lr"),
    Mistake("cosine", "a whole cosine", "math.pi * done", "2 * math.pi * done", "half a cosine"),
    Mistake("cosine", "from 0 to the maximum", "(self.max_lr - self.min_lr)", "self.max_lr", "the height is the difference"),
    Mistake("cosine", "ends an epoch early", "epoch / self.total_epochs", "epoch / max(self.total_epochs - 1, 1)", "not total_epochs - 1"),
    Mistake("cosine", "rises again", "min(epoch / self.total_epochs, 1.0)", "epoch / self.total_epochs", "at most 1"),
    Mistake("cosine", "starts anew", "min(epoch / self.total_epochs, 1.0)", "epoch % (self.total_epochs + 1) / self.total_epochs", "at most 1"),
    Mistake("cosine", "a straight line", "(1 + math.cos(math.pi * done)) / 2", "(1 - done)", "not a straight line"),
    Mistake("cosine", "a NumPy number", "math.cos", "np.cos", "math.cos gives"),

    Mistake("end-epoch", "keeps only the last number", "self.history[name].append(number)", "self.history[name] = [number]", "append each number"),
    Mistake("end-epoch", "forgets to count", "    self.epoch += 1\n", "", "self.epoch += 1"),
    Mistake("end-epoch", "keeps the arrays themselves", "self.model.state_dict()}, 0", "{name: p.data for name, p in self.model.named_parameters()}}, 0", "state_dict() copies"),
    Mistake("end-epoch", "keeps the largest", BETTER, BETTER.replace("<", ">").replace("math.inf", "-math.inf"), "smaller than the best so far"),
    Mistake("end-epoch", "as good is better", BETTER, BETTER.replace("<", "<="), "not smaller or equal"),
    Mistake("end-epoch", "compares with the last", BETTER, 'if row["val_loss"] < (self.history["val_loss"] + [math.inf])[max(len(self.history["val_loss"]) - 2, 0)] or len(self.history["val_loss"]) == 1:', "not with the last one"),
    Mistake("end-epoch", "never starts anew", ', "model": self.model.state_dict()}, 0', ', "model": self.model.state_dict()}, self.stale - (self.best is None)', "epochs since the best one"),
    Mistake("end-epoch", "one epoch too patient", "self.stale >= patience", "self.stale > patience", "stop at stale >= patience"),
    Mistake("end-epoch", "watches the training loss", BETTER, BETTER.replace("val_loss", "train_loss"), "not the training loss"),
    Mistake("end-epoch", "the first may be nan", BETTER, 'if self.best is None or row["val_loss"] < self.best["loss"]:', "begin with infinity"),
    Mistake("end-epoch", "the plateau sees nothing", PLATEAU, "self.scheduler.step()", "wants to know the loss"),
    Mistake("end-epoch", "the plateau sees the training loss", PLATEAU, 'self.scheduler.step(row["train_loss"])', "give it the validation loss"),
    Mistake("end-epoch", "the plateau needs validation", PLATEAU, 'self.scheduler.step(row["val_loss"])', 'the number to watch'),
    Mistake("end-epoch", "never steps the scheduler", "        self.scheduler.step()\n", "        pass\n", "self.scheduler.step()"),
    Mistake("end-epoch", "steps the cosine", " and not isinstance(self.scheduler, CosineSchedule)", "", "ask isinstance"),
    Mistake("end-epoch", "always watches", "    if patience is not None:\n", "    patience = patience or 2\n    if True:\n", "look at patience first"),

    Mistake("replace-file", "writes into the old file", OPEN, 'with open(path, "wb") as file:', "write into `new`"),
    Mistake("replace-file", "removes the old one first", "    try:\n        with open", "    path.unlink(missing_ok=True)\n    try:\n        with open", "touch `path` only when"),
    Mistake("replace-file", "leaves the new file", "        new.unlink(missing_ok=True)\n", "", "remove the new file"),
    Mistake("replace-file", "Ctrl-C leaves it", "except BaseException:", "except Exception:", "for Ctrl-C as well"),
    Mistake("replace-file", "hides the error", "missing_ok=True)\n        raise", "missing_ok=True)", "hands the error on"),
    Mistake("replace-file", "never moves it", "        os.replace(new, path)\n", "", "moves it into its place"),
    Mistake("replace-file", "copies it", "os.replace(new, path)", "shutil.copy(new, path)", "moves it into its place"),
    Mistake("replace-file", "does not wait for the disk", SYNC, "", "os.fsync"),
    Mistake("replace-file", "moves, then waits", SYNC, "            file.flush()\n            os.replace(new, path)\n            os.fsync(file.fileno())\n            return\n", "then os.replace"),
    Mistake("replace-file", "moves it come what may", EXCEPT, "    except BaseException:\n        os.replace(new, path)\n        raise", "remove the new file"),
]

PAIRS = "a batch has as many inputs as targets"
EQUIVALENT = [
    Equivalent("evaluate", "logits, n = self.model(inputs), len(targets)", "logits, n = self.model(inputs), len(inputs)", PAIRS),
    Equivalent("evaluate", "logits, n = self.model(inputs), len(targets)", "logits, n = self.model(inputs), -len(targets)", "both sums change their sign, and so their quotient is the same"),
    Equivalent("evaluate", RETURN, RETURN.replace("right is", "share is"), "the batches of a loader all have classes, or none has"),
    Equivalent("train-epoch", "loss, n = self.loss_fn(self.model(inputs), targets), len(targets)", "loss, n = self.loss_fn(self.model(inputs), targets), len(inputs)", PAIRS),
    Equivalent("train-epoch", "size = sum(len(targets) for _, targets in group)", "size = sum(len(targets) for targets, _ in group)", PAIRS),
    Equivalent("train-epoch", "size = sum(len(targets) for _, targets in group)", "size = sum(len(_) for _, targets in group)", PAIRS),
    Equivalent("clip", "g *= 1.0 if factor > 1 else factor", "g *= 1.0 if factor >= 1 else factor", "a factor of 1 is 1.0"),
    Equivalent("clip", "np.clip(g, -clip_value, clip_value, out=g)", "np.clip(-clip_value, g, clip_value, out=g)", "the larger of two numbers is the same either way round"),
    Equivalent("clip", f"norm = {NORM}", f"norm = {NORM}".replace("(g.ravel()", "(-g.ravel()"), "a norm has no sign"),
    Equivalent("clip", "factor = max_norm / (norm + 1e-6)", "factor = max_norm / (norm + np.float64(1e-6))", "in place the gradients keep their dtype; the last bit may be rounded another way, which no check should mind"),
    Equivalent("cosine", "done = min(epoch / self.total_epochs, 1.0)", "done = -min(epoch / self.total_epochs, 1.0)", "a cosine is the same to both sides"),
    Equivalent("cosine", f"return {COSINE}", f"return {COSINE}".replace("(math.pi", "(-math.pi"), "a cosine is the same to both sides"),
    Equivalent("replace-file", "os.fsync(file.fileno())", "os.fsync(file)", "fsync takes a file as well as its number"),
]
