"""Wrong answers that real learners write, as patches of the solution, each with the words its card must show first."""

from tito.dev.checks.mistake import Equivalent, Mistake

TURNS = """for k in range(warmup + rounds):
        for name, call in calls.items():
            began = clock()
            call()
            if k >= warmup:
                times[name].append(clock() - began)"""
COUNTED = "if k >= warmup:\n                times[name].append(clock() - began)"
PEAK = "_, peak = tracemalloc.get_traced_memory()\n        return peak - before"
PRODUCTS = "return 2 * np.size(result) * inputs[0].shape[-1]"
OTHERS = 'return np.size(result) if method == "__call__" else np.size(inputs[0])'
LINEAR, FILTER, SCORES = "2 * out.size * arrays[0].shape[-1]", "2 * out.size * math.prod(arrays[1].shape[1:])", "scores * (4 * head_dim + 7)"
TIMED = """self.open.append(frame)
    began = self.now()
    try:
        return call()
    finally:
        frame.seconds += self.now() - began
        frame.calls += 1
        self.open.pop()"""
PARTS = """for part in frame.parts.values():
        boxes += layout(part, left, depth + 1)
        left += part.seconds"""
COUNT = """with evaluating(model), profile() as p:
            model(x)"""

MISTAKES = [
    Mistake("compare", "one after the other", TURNS, """for name, call in calls.items():
        for k in range(warmup + rounds):
            began = clock()
            call()
            if k >= warmup:
                times[name].append(clock() - began)""", "one after the other"),
    Mistake("compare", "times the warm-up", COUNTED, "times[name].append(clock() - began)", "the warm-up does not count"),
    Mistake("compare", "no warm-up", TURNS, TURNS.replace("warmup + rounds", "rounds").replace("k >= warmup", "True"), "warmup rounds come before"),
    Mistake("compare", "warms up one by one", TURNS, "for call in calls.values():\n        for _ in range(warmup):\n            call()\n    "
            + TURNS.replace("warmup + rounds", "rounds").replace("k >= warmup", "True"), "the warm-up goes in turns too"),
    Mistake("compare", "one clock for the round", TURNS, """for k in range(warmup + rounds):
        began = clock()
        for name, call in calls.items():
            call()
            if k >= warmup:
                times[name].append(clock() - began)""", "read the clock anew"),
    Mistake("compare", "cools down", "if k >= warmup:", "if k < rounds:", "the last rounds count"),

    Mistake("peak-memory", "what is left", "_, peak =", "peak, _ =", "the peak, not what is left"),
    Mistake("peak-memory", "everything there is", "return peak - before", "return peak", "take away what was there before"),
    Mistake("peak-memory", "an earlier peak", "tracemalloc.reset_peak()", "pass", "reset the peak first"),
    Mistake("peak-memory", "a pair of numbers", "_, peak =", "peak =", "gives two numbers"),
    Mistake("peak-memory", "warms up", "call()", "call()\n        call()", "call() once"),
    Mistake("peak-memory", "the size of the result", "call()\n        " + PEAK, "return np.asarray(call()).nbytes", "the peak, not what is left"),

    Mistake("work-of", "a multiply-add as one", "return 2 * np.size(result)", "return np.size(result)", "a multiply-add counts 2"),
    Mistake("work-of", "the numbers of a product", PRODUCTS, "return np.size(result)", "a sum of k products"),
    Mistake("work-of", "forgets k", PRODUCTS, "return 2 * np.size(result)", "times k, times 2"),
    Mistake("work-of", "the other axis", PRODUCTS, "return 2 * np.size(result) * np.shape(result)[-1]", "2 · size of the result · k"),
    Mistake("work-of", "a table, always", "inputs[0].shape[-1]", "inputs[0].shape[1]", "a vector has one axis"),
    Mistake("work-of", "what goes in", OTHERS, "return sum(map(np.size, inputs))", "not taken in"),
    Mistake("work-of", "a reduction by its result", OTHERS, "return np.size(result)", "what it takes in"),
    Mistake("work-of", "everything twice", OTHERS, 'return 2 * np.size(result) if method == "__call__" else np.size(inputs[0])',
            "only products count twice"),

    Mistake("formulas", "a multiply-add as one", LINEAR, "out.size * arrays[0].shape[-1]", "a multiply-add counts 2"),
    Mistake("formulas", "adds the bias", LINEAR, LINEAR + " + out.size * (len(arrays) > 2)", "as many additions as products"),
    Mistake("formulas", "needs a bias", LINEAR, "2 * out.size * arrays[0].shape[-1] + 0 * arrays[2].size", "the bias may be missing"),
    Mistake("formulas", "one row", LINEAR, "2 * arrays[1].size", "all rows count"),
    Mistake("formulas", "a multiply-add of a filter as one", FILTER, FILTER.replace("2 * ", ""), "a multiply-add counts 2"),
    Mistake("formulas", "each pixel of the image", FILTER, "2 * len(arrays[1]) * math.prod(arrays[0].shape[2:]) * math.prod(arrays[1].shape[1:])",
            "not of the image"),
    Mistake("formulas", "one channel", FILTER, "2 * out.size * math.prod(arrays[1].shape[2:])", "over all channels"),
    Mistake("formulas", "all filters for each number", FILTER, "2 * out.size * arrays[1].size", "over one filter"),
    Mistake("formulas", "all channels, whatever the groups", FILTER, "2 * out.size * arrays[0].shape[1] * math.prod(arrays[1].shape[2:])",
            "in its own shape"),
    Mistake("formulas", "one product", SCORES, "scores * (2 * head_dim + 7)", "two products"),
    Mistake("formulas", "no softmax", SCORES, "scores * 4 * head_dim", "do not forget the softmax"),
    Mistake("formulas", "one softmax for all", SCORES, "scores * 4 * head_dim + 7", "7 for each score"),

    Mistake("timed", "no finally", TIMED, """self.open.append(frame)
    began = self.now()
    result = call()
    frame.seconds += self.now() - began
    frame.calls += 1
    self.open.pop()
    return result""", "stands in finally"),
    Mistake("timed", "only closes in finally", TIMED, """self.open.append(frame)
    began = self.now()
    try:
        result = call()
        frame.seconds += self.now() - began
        frame.calls += 1
        return result
    finally:
        self.open.pop()""", "all three lines stand in finally"),
    Mistake("timed", "never opens", "self.open.append(frame)\n    began", "self.open.append(self.open[-1])\n    began", "before call()"),
    Mistake("timed", "never closes", "frame.calls += 1\n        self.open.pop()", "frame.calls += 1", "self.open.pop()"),
    Mistake("timed", "returns nothing", "return call()", "call()", "return what call() returns"),
    Mistake("timed", "the plain clock", TIMED, TIMED.replace("self.now()", "self.clock()"), "stands still"),
    Mistake("timed", "the wrong way round", "self.now() - began", "began - self.now()", "now minus before"),
    Mistake("timed", "the last call only", "frame.seconds +=", "frame.seconds =", "add to the seconds"),
    Mistake("timed", "does not count", "frame.calls += 1\n        ", "", "count the calls"),
    Mistake("timed", "counts one", "frame.calls += 1", "frame.calls = 1", "one more at each call"),
    Mistake("timed", "swallows errors", TIMED, TIMED.replace("finally:", "except Exception:\n        pass\n    finally:"), "no except"),

    Mistake("layout", "one line", PARTS, "boxes += [(part, left, depth + 1) for part in frame.parts.values()]", "layout calls itself"),
    Mistake("layout", "forgets the box", "boxes = [(frame, left, depth)]", "boxes = []", "the box itself is in the list"),
    Mistake("layout", "the box last", "boxes = [(frame, left, depth)]\n    " + PARTS + "\n    return boxes",
            "boxes, begin = [], left\n    " + PARTS + "\n    return [*boxes, (frame, begin, depth)]", "first the box"),
    Mistake("layout", "all on one line", "depth + 1", "depth", "one line deeper"),
    Mistake("layout", "on top of each other", "        left += part.seconds\n", "", "where the one before it ended"),
    Mistake("layout", "from the left", "layout(part, left, depth + 1)", "layout(part, left - boxes[0][1], depth + 1)",
            "at the left edge of their box"),
    Mistake("layout", "own seconds", "left += part.seconds", "left += part.own", "not its own"),
    Mistake("layout", "a list in a list", "boxes += layout(part, left, depth + 1)", "boxes.append(layout(part, left, depth + 1))", "boxes += layout"),

    Mistake("count-flops", "with dropout", "with evaluating(model), profile() as p:", "with profile() as p:", "no dropout"),
    Mistake("count-flops", "parameters", COUNT + '\n        return p.total("flops")', "return self.count_parameters(model)", "not parameters"),
    Mistake("count-flops", "by the names of classes", COUNT + '\n        return p.total("flops")',
            "return sum(2 * m.in_features * m.out_features for m in model.modules() if isinstance(m, Linear))", "all operations"),
    Mistake("count-flops", "stays in evaluation", COUNT, "model.eval()\n        with profile() as p:\n            model(x)",
            "with evaluating(model)"),
    Mistake("count-flops", "calls", 'p.total("flops")', 'p.total("calls")', "FLOPs, not calls"),
]

SIZE, AFTER = "what has a minus has the same size", "right after reset_peak() the peak is what there is"
EQUIVALENT = [
    Equivalent("peak-memory", "before, _ = tracemalloc.get_traced_memory()", "_, before = tracemalloc.get_traced_memory()", AFTER),
    Equivalent("work-of", PRODUCTS, PRODUCTS.replace("size(", "size(-"), SIZE),
    Equivalent("work-of", OTHERS, OTHERS.replace("size(inputs", "size(-inputs"), SIZE),
    Equivalent("work-of", OTHERS, OTHERS.replace("inputs[0]", "inputs[-1]"), "a reduction has one input"),
]
