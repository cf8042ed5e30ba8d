"""Wrong answers that real learners write, as patches of the solution, each with the words its card must show first."""

from tito.dev.checks.mistake import Equivalent, Mistake

MERGED = 'group = {**self.defaults, **group, "params": params}'
TAKEN = 'taken = {id(p) for other in self.param_groups for p in other["params"]}'
SLICED = "[a[at:at + rows] for a in arrays]"
DECAYED = "g = np.add(g, np.multiply(p, decay, out=d[:len(p)]), out=d[:len(p)])"
YIELDED = "yield (p, g, *kept, u[:len(p)])"
VELOCITY = 'blend(b, momentum, g, 1.0 if first else 1 - group["dampening"], u)'
AHEAD = 'ahead = np.add(g, np.multiply(b, momentum, out=u), out=u) if group["nesterov"] else b'
ALONG = "p -= np.multiply(ahead, lr, out=u)"
SUM = "s += np.multiply(g, g, out=u)"
FADING = "p -= np.multiply(scaled(g, s, eps, u), lr, out=u)"
SQUARES = "blend(v, alpha, np.multiply(g, g, out=u), 1 - alpha, u)"
FRACTION = "step = scaled(g, v, eps, u)"
HEAVY = "blend(b, momentum, step, 1.0, u)"
RMS_STEP = "p -= np.multiply(step, lr, out=u)"
ROOT = "r = math.sqrt(1 - beta2 ** t)"
SIZES = "size, small = lr * r / (1 - beta1 ** t), eps * r"
FIRST = "blend(m, beta1, g, 1 - beta1, u)"
SECOND = "blend(v, beta2, np.multiply(g, g, out=u), 1 - beta2, u)"
ADAM_STEP = "p -= np.multiply(scaled(m, v, small, u), size, out=u)"
ADAM_BLOCKS = 'blocks(p, g, *averages, decay=group["weight_decay"])'
SHRINK = 'p *= 1 - group["lr"] * group["weight_decay"]'
THEN_ADAM = 'super().update(p, g, state, {**group, "weight_decay": 0.0})'
COPIED = "x.copy() if isinstance(x, np.ndarray) else x"
NUMBERED = '{**group, "params": [places[p] for p in group["params"]]}'
LOADED = 'int(x) if key == "step" else np.array(x, params[i].dtype)'
TAKEN_OVER = 'ours.update({**old, "params": ours["params"]})'
STAIRS = "lr * self.gamma if t % self.step_size == 0 else lr"
LINE = "(min(1.0, self.start_factor + (1 - self.start_factor) * k / self.total_iters) for k in (t, t - 1))"
WAVE = "now / before * (lr - self.eta_min) + self.eta_min"
BETTER = "self.best, self.num_bad_epochs = metric, 0"
COOLING = "self.cooldown_counter, self.num_bad_epochs = self.cooldown_counter - 1, 0"
LOWERED = "self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0"

MISTAKES = [
    Mistake("add-group", "the defaults win", MERGED, 'group = {**group, **self.defaults, "params": params}', "the group's own settings win"),
    Mistake("add-group", "no defaults", MERGED, 'group = {**group, "params": params}', "comes from self.defaults"),
    Mistake("add-group", "changes the dict that was given", MERGED, 'group.update({**self.defaults, **group, "params": params})', "make a new dict"),
    Mistake("add-group", "fills the defaults", MERGED, 'self.defaults.update(group, params=params); group = self.defaults', "a dict of its own"),
    Mistake("add-group", "compares numbers", "any(id(p) in taken for p in params)",
            'any(bool((p == q).data.all()) for g in self.param_groups for q in g["params"] for p in params)', "compare id(p)"),
    Mistake("add-group", "does not look", "any(id(p) in taken for p in params)", "False", "any id(p) twice is a ValueError"),
    Mistake("add-group", "looks at the last group only", TAKEN, TAKEN.replace("groups", "groups[-1:]"), "ALL groups"),
    Mistake("add-group", "leaves params as they were", MERGED, "group = {**self.defaults, **group}", "as the list `params`"),

    Mistake("blocks", "the first block only", "range(0, n, rows)", "range(0, 1, rows)", "for at = 0, rows"),
    Mistake("blocks", "forgets the rest", "range(0, n, rows)", "range(0, n - rows + 1, rows)", "below n"),
    Mistake("blocks", "all of the scratch", YIELDED, "yield (p, g, *kept, u)", "u as long as p"),
    Mistake("blocks", "forgets what is kept", YIELDED, "yield (p, g, u[:len(p)])", "yield (p, g, *kept, u)"),
    Mistake("blocks", "yields copies", SLICED, "[a[at:at + rows].copy() for a in arrays]", "not copies"),
    Mistake("blocks", "always from the start", SLICED, "[a[:len(a[at:at + rows])] for a in arrays]", "slice from `at`"),
    Mistake("blocks", "the decay in the gradient", DECAYED, "g += np.multiply(p, decay, out=d[:len(p)])", "write g + decay · p into d"),
    Mistake("blocks", "the decay alone", DECAYED, "g = np.multiply(p, decay, out=d[:len(p)])", "g itself is missing"),
    Mistake("blocks", "no decay", "if decay:", "if False:", "decay is not used"),
    Mistake("blocks", "pulls away from 0", DECAYED, DECAYED.replace("np.add", "np.subtract"), "the decay is added"),
    Mistake("blocks", "decays the gradient", DECAYED, "g = np.add(g, np.multiply(g, decay, out=d[:len(p)]), out=d[:len(p)])", "multiplied with p"),
    Mistake("blocks", "one large sum", "for at in range(0, n, rows):",
            "g = arrays[1] = arrays[1] + decay * arrays[0]\n    decay = 0\n    for at in range(0, n, rows):", "write into d"),
    Mistake("blocks", "forgets that it was made flat", SLICED,
            "[a[at:at + rows] for a in [p.reshape(-1), g.reshape(-1), *(k.reshape(-1) for k in kept)]]", "below n"),

    Mistake("sgd", "forgets the velocity", AHEAD, "ahead = g", "step along b"),
    Mistake("sgd", "uphill", ALONG, "p += np.multiply(ahead, lr, out=u)", "against the velocity"),
    Mistake("sgd", "no lr", ALONG, "p -= ahead", "the step is lr · b"),
    Mistake("sgd", "an average of slopes", "1.0 if first else", "1 - momentum if not group[\"dampening\"] else", "the new slope counts fully"),
    Mistake("sgd", "dampens the first", "1.0 if first else 1 - group", "1 - group", "on the first step b is g"),
    Mistake("sgd", "never dampens", VELOCITY, "blend(b, momentum, g, 1.0, u)", "dampening is not used"),
    Mistake("sgd", "dampening instead of 1 - dampening", '1 - group["dampening"]', '(group["dampening"] or 1.0)', "1 - dampening"),
    Mistake("sgd", "always nesterov", 'if group["nesterov"] else b', "if True else b", "momentum was applied again"),
    Mistake("sgd", "never nesterov", 'if group["nesterov"] else b', "if False else b", "nesterov is not used"),
    Mistake("sgd", "looks ahead by b", "np.multiply(b, momentum, out=u)", "b", "not g + b"),
    Mistake("sgd", "keeps lr · b", ALONG, "ahead *= lr\n            p -= ahead", "not lr · b"),
    Mistake("sgd", "a new array", ALONG, "p = p - lr * ahead", "not p = p"),
    Mistake("sgd", "writes into the gradient", AHEAD, 'ahead = np.add(g, momentum * b, out=g) if group["nesterov"] else b', "never into g"),

    Mistake("adagrad", "divides by s", FADING, "p -= lr * g / (s + eps)", "divide by the root of s"),
    Mistake("adagrad", "adds the slope", SUM, "s += np.abs(g)", "the square of g"),
    Mistake("adagrad", "uphill", "p -=", "p +=", "against the slope"),
    Mistake("adagrad", "first the step", f"{SUM}\n            {FADING}", f"{FADING}\n            {SUM}", "first s, then the step"),
    Mistake("adagrad", "forgets the sum", SUM, "s[...] = np.multiply(g, g, out=u)", "s is a sum"),
    Mistake("adagrad", "eps left out", FADING, "p -= np.multiply(scaled(g, s, 0.0, u), lr, out=u)", "eps is added"),
    Mistake("adagrad", "scales the group's lr", FADING, 'p -= np.multiply(scaled(g, s, eps, u), group["lr"], out=u)', "`lr` has the decay in it"),
    Mistake("adagrad", "writes into the gradient", SUM, "s += np.multiply(g, g, out=g)", "never into g"),

    Mistake("rmsprop", "a sum", SQUARES, "v += np.multiply(g, g, out=u)", "v keeps alpha of itself"),
    Mistake("rmsprop", "divides by v", FRACTION, "step = np.divide(g, v + eps, out=u)", "divide by the root of v"),
    Mistake("rmsprop", "averages slopes", "np.multiply(g, g, out=u)", "np.abs(g)", "average the squares"),
    Mistake("rmsprop", "alpha and 1 - alpha", SQUARES, "blend(v, 1 - alpha, np.multiply(g, g, out=u), alpha, u)", "exchanged"),
    Mistake("rmsprop", "uphill", "p -=", "p +=", "against the slope"),
    Mistake("rmsprop", "no momentum", "if b is not None:", "if False:", "momentum is not used"),
    Mistake("rmsprop", "an average of steps", HEAVY, "blend(b, momentum, step, 1 - momentum, u)", "the new fraction counts fully"),
    Mistake("rmsprop", "a velocity of slopes", HEAVY, "blend(b, momentum, g, 1.0, u)", "the momentum is of g / (√v + eps)"),
    Mistake("rmsprop", "eps under the root", FRACTION, "step = np.divide(g, np.sqrt(v + eps), out=u)", "√v + eps"),
    Mistake("rmsprop", "first the step", f"{SQUARES}\n            {FRACTION}",
            f"{FRACTION}\n            v *= alpha; v += (1 - alpha) * g * g", "first v, then the step"),

    Mistake("adam", "no correction", f"{ROOT}\n        {SIZES}", "size, small = lr, eps", "no correction"),
    Mistake("adam", "corrects m only", SIZES, "size, small = lr / (1 - beta1 ** t), eps", "v is not corrected"),
    Mistake("adam", "corrects v only", SIZES, "size, small = lr * r, eps * r", "m is not corrected"),
    Mistake("adam", "counts from 0", ROOT, "t = t - 1\n        " + ROOT, "t = 1"),
    Mistake("adam", "eps as it is", SIZES, "size, small = lr * r / (1 - beta1 ** t), eps", "small = eps · r"),
    Mistake("adam", "exchanges the betas", f"{ROOT}", "beta1, beta2 = beta2, beta1\n        r = math.sqrt(1 - beta2 ** t)", "beta1 is for m"),
    Mistake("adam", "uphill", "p -=", "p +=", "against the slope"),
    Mistake("adam", "averages slopes twice", "np.multiply(g, g, out=u)", "np.abs(g)", "average"),
    Mistake("adam", "divides by v", ADAM_STEP, "p -= size * m / (v + small)", "divide by the root of v"),
    Mistake("adam", "no decay", ADAM_BLOCKS, "blocks(p, g, *averages)", "blocks(…, decay=…)"),
    Mistake("adam", "steps along g", "scaled(m, v, small, u)", "scaled(g, v, small, u)", "m is an average, corrected once"),
    Mistake("adam", "a sum of squares", SECOND, "v += np.multiply(g, g, out=u)", "v an average"),
    Mistake("adam", "corrects the averages themselves", FIRST, "blend(m, beta1, g, 1 - beta1, u); m /= 1 - beta1 ** t",
            "m is an average, corrected once"),
    Mistake("adam", "the textbook's arrays", f"for p, g, m, v, u in {ADAM_BLOCKS}:",
            'for p, g, m, v in [(p, g + group["weight_decay"] * p, *averages)]:\n            u = np.empty_like(p)', "work on the blocks"),
    Mistake("adam", "forgets the root of the correction", "math.sqrt(1 - beta2 ** t)", "1 - beta2 ** t", "a ROOT"),

    Mistake("adamw", "decays twice", THEN_ADAM, "super().update(p, g, state, group)", "the decay is still in the slope"),
    Mistake("adamw", "without lr", SHRINK, 'p *= 1 - group["weight_decay"]', "1 - lr · decay"),
    Mistake("adamw", "a new array", SHRINK, 'p = p * (1 - group["lr"] * group["weight_decay"])', "in place"),
    Mistake("adamw", "only shrinks", THEN_ADAM, "pass", "Adam's step is missing"),
    Mistake("adamw", "shrinks afterwards", f"{SHRINK}\n        {THEN_ADAM}", f"{THEN_ADAM}\n        {SHRINK}", "shrink first"),
    Mistake("adamw", "changes the group", THEN_ADAM,
            'group["weight_decay"] = 0.0\n        super().update(p, g, state, group)', "do not change the group"),

    Mistake("state", "no copies", COPIED, "x", "copy the arrays"),
    Mistake("state", "Tensors as keys", "state = {i: {", "state = {p: {", "places[p]"),
    Mistake("state", "Tensors in the groups", NUMBERED, "dict(group)", "are the numbers"),
    Mistake("state", "forgets the groups", f', "param_groups": [{NUMBERED} for group in self.param_groups]', "", "param_groups"),
    Mistake("state", "changes its own groups", f"[{NUMBERED} for group in self.param_groups]",
            '[group.update(params=[places[p] for p in group["params"]]) or group for group in self.param_groups]', "a new dict"),
    Mistake("state", "empty states too", "if self.state.get(p)}", "}", "nothing is kept"),
    Mistake("state", "keeps what was loaded", LOADED, 'int(x) if key == "step" else np.asarray(x, params[i].dtype)', "makes a copy"),
    Mistake("state", "forgets the steps", LOADED, 'np.array(x, params[i].dtype)', "int"),
    Mistake("state", "settings stay", TAKEN_OVER, "pass", "take over the groups' settings"),
    Mistake("state", "takes over the numbers", TAKEN_OVER, "ours.update(old)", "leave \"params\""),

    Mistake("schedules", "every step", STAIRS, "lr * self.gamma", "only every step_size steps"),
    Mistake("schedules", "one too early", STAIRS, "lr * self.gamma if (t + 1) % self.step_size == 0 else lr", "t % step_size"),
    Mistake("schedules", "from base", "return self.gamma * lr", "return self.gamma * base", "not from base"),
    Mistake("schedules", "from base, with a power", "return self.gamma * lr", "return self.gamma ** t * lr", "earlier gammas"),
    Mistake("schedules", "no end", LINE, LINE.replace("min(1.0, ", "(1.0 * ").replace("1.0 * self", "self"), "s is at most 1"),
    Mistake("schedules", "the line itself", "lr * (now / before)", "lr * now", "lr itself has start_factor in it"),
    Mistake("schedules", "upside down", "lr * (now / before)", "lr * (before / now)", "s(t) above"),
    Mistake("schedules", "the wave upside down", WAVE, "before / now * (lr - self.eta_min) + self.eta_min", "c(t"),
    Mistake("schedules", "without eta_min", WAVE, "now / before * lr", "above eta_min"),
    Mistake("schedules", "twice as fast", "math.pi * k / self.T_max) for k", "2 * math.pi * k / self.T_max) for k", "the cosine of"),
    Mistake("schedules", "the wave from base", WAVE, "now / 2 * (base - self.eta_min) + self.eta_min", "start from lr"),

    Mistake("plateau", "patience too short", "> self.patience", ">= self.patience", "MORE than patience"),
    Mistake("plateau", "never counts", "self.num_bad_epochs += 1", "pass", "count the bad ones"),
    Mistake("plateau", "never starts anew", BETTER, "self.best = metric", "a better metric sets num_bad_epochs to 0"),
    Mistake("plateau", "compares with the one before", "self.num_bad_epochs += 1", "self.num_bad_epochs += 1; self.best = metric",
            "`best` changes only"),
    Mistake("plateau", "does not count anew", LOWERED, "self.cooldown_counter = self.cooldown", "after lowering"),
    Mistake("plateau", "no cooldown", LOWERED, "self.num_bad_epochs = 0", "the cooldown is not used"),
    Mistake("plateau", "cools for ever", COOLING, "self.num_bad_epochs = 0", "never ends"),
    Mistake("plateau", "the best is forgotten", BETTER, "self.num_bad_epochs = 0", "keep the best"),
]

NEXT_WAVE = "now, before = (1 + math.cos(math.pi * k / self.T_max) for k in (t, t - 1))"
EQUIVALENT = [
    Equivalent("blocks", DECAYED, DECAYED.replace("decay, out=d[:len(p)]", "decay, out=d[:len(g)]"), "p and g are equally long"),
    Equivalent("blocks", DECAYED, DECAYED.replace("decay, out=d", "decay, out=u"), "nothing is in the scratch yet"),
    *[Equivalent("rmsprop", HEAVY, HEAVY.replace("u)", f"{name})"), "the scratch of a share of 1 is not used")
      for name in "self p g v b state group lr alpha eps momentum arrays buffer step".split()],
    Equivalent("schedules", f"return {STAIRS}", f"return {STAIRS}".replace("if t", "if -t"), "-t is a multiple where t is"),
    Equivalent("schedules", f"return {STAIRS}", f"return {STAIRS}".replace("% self", "% -self"), "a multiple of -n is one of n"),
    Equivalent("schedules", f"return {STAIRS}", f"return {STAIRS}".replace("==", "<="), "a remainder is never below 0"),
    Equivalent("schedules", NEXT_WAVE, NEXT_WAVE.replace("math.cos(math", "math.cos(-math"), "a cosine is the same on both sides of 0"),
    Equivalent("schedules", NEXT_WAVE, NEXT_WAVE.replace("t - 1)", "1 - t)"), "a cosine is the same on both sides of 0"),
]
