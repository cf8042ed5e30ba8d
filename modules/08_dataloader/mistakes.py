"""Wrong answers that real learners write, as patches of the solution, each with the words its card must show first."""

from tito.dev.checks.mistake import Equivalent, Mistake

LENGTHS = "len(lengths) != 1 or () in lengths"
PARTS = "first, *others = (Tensor(t.data[index], dtype=t.dtype) for t in self.tensors)"
CHANGED = "return (self.transform(first) if self.transform else first, *others)"
PIECES = "[Subset(dataset, order[end - length:end]) for length, end in zip(lengths, itertools.accumulate(lengths))]"
LEFT = "lengths[i] += 1"
ROUNDS = "order = []\n        while len(order) < self.num_samples:\n            order += generator.permutation(n).tolist()\n        "
COUNT = "return n // self.batch_size if self.drop_last else math.ceil(n / self.batch_size)"
NEW = "yield batch\n                batch = []"
REST = "if batch and not self.drop_last:"
TEXT = "if isinstance(first, (str, bytes)):\n        return samples\n    "
MAPPING = "{key: default_collate([sample[key] for sample in samples]) for key in first}"
COUNTS = "if len(counts := {len(sample) for sample in samples}) > 1:"
SHAPES = "if len(shapes := {array.shape for array in arrays}) > 1:"
STACK = "return Tensor(np.stack(arrays), dtype=first.dtype if isinstance(first, Tensor) else None)"
NORMAL = "(image - self.mean) / self.std"
FLIP = "image[..., ::-1] if generator.random() < self.p else image"
PLACES = "top, left = generator.integers(height - h + 1), generator.integers(width - w + 1)"
PIECE = "image[..., top:top + h, left:left + w]"
SMALL = "if height < h or width < w:"
SEEDED = "with seeded(self.seed, number):\n            "
AGAIN = "self.stream = self.stream or iter(self.batches)"
ASK = "for _ in range(prefetch_factor):\n        for worker in range(num_workers):\n            crew.ask(worker)"
TAKE = "if batch is not END:\n            crew.ask(worker)\n            yield batch"
LONG = "if len(data) - header != math.prod(shape):"

MISTAKES = [
    Mistake("tensor-dataset", "compares nothing", LENGTHS, "not self.tensors", "compare shape[:1] of all"),
    Mistake("tensor-dataset", "allows single numbers", LENGTHS, "len(lengths) != 1", "and not ()"),
    Mistake("tensor-dataset", "counts tensors", "len(self.tensors[0])", "len(self.tensors)", "count samples, not tensors"),
    Mistake("tensor-dataset", "counts numbers", "len(self.tensors[0])", "self.tensors[0].size", "count samples, not numbers"),
    Mistake("tensor-dataset", "gives a list", CHANGED, "return [self.transform(first) if self.transform else first, *others]", "return a tuple"),
    Mistake("tensor-dataset", "gives arrays", "Tensor(t.data[index], dtype=t.dtype)", "t.data[index]", "make a Tensor of each part"),
    Mistake("tensor-dataset", "indexes columns", "t.data[index]", "t.data.T[index]", "index the first axis"),
    Mistake("tensor-dataset", "loses float64", "Tensor(t.data[index], dtype=t.dtype)", "Tensor(t.data[index])", "dtype=t.dtype"),
    Mistake("tensor-dataset", "keeps history", "Tensor(t.data[index], dtype=t.dtype)",
            "Tensor(t.data[index], t.requires_grad and t.dtype.kind == 'f', t.dtype)",
            "index t.data and make a new Tensor"),
    Mistake("tensor-dataset", "forgets transform", CHANGED, "return (first, *others)", "self.transform(first)"),
    Mistake("tensor-dataset", "transforms the answer, too", CHANGED,
            "return tuple(self.transform(part) if self.transform else part for part in (first, *others))", "apply it to the first part only"),

    Mistake("random-split", "does not draw", "generator.permutation(n).tolist()", "list(range(n))", "cut generator.permutation(n)"),
    Mistake("random-split", "draws from the common generator", "generator.permutation(n)", "default_generator.permutation(n)",
            "draw from `generator`"),
    Mistake("random-split", "draws each part anew", PIECES, "[Subset(dataset, generator.permutation(n).tolist()[:length]) for length in lengths]",
            "ONE permutation"),
    Mistake("random-split", "every piece from the start", PIECES, "[Subset(dataset, order[:length]) for length in lengths]", "ONE permutation"),
    Mistake("random-split", "all left over to the first", LEFT, "lengths[0] += 1", "one each, in turn"),
    Mistake("random-split", "left over to the last", LEFT, "lengths[-1 - i] += 1", "goes to the first part"),
    Mistake("random-split", "does not add up", "if sum(lengths) != n:", "if sum(lengths) > n:", "do not add up to n"),
    Mistake("random-split", "allows lengths below 0", "if any(length < 0 for length in lengths):", "if False:", "a length below 0 is refused"),

    Mistake("samplers", "counts from 1", "iter(range(len(self.data_source)))", "iter(range(1, len(self.data_source) + 1))", "from 0 on"),
    Mistake("samplers", "gives the samples", "iter(range(len(self.data_source)))", "iter(self.data_source)", "numbers, not the samples"),
    Mistake("samplers", "does not shuffle", "order += generator.permutation(n).tolist()", "order += list(range(n))", "draw when __iter__ is called"),
    Mistake("samplers", "always the same order", "order += generator.permutation(n).tolist()",
            "order += np.random.default_rng(0).permutation(n).tolist()",
            "draw when __iter__ is called"),
    Mistake("samplers", "draws from the common generator", "order += generator.permutation", "order += default_generator.permutation",
            "draw from `generator`"),
    Mistake("samplers", "replacement from the common generator", "generator.integers(n, size", "default_generator.integers(n, size",
            "draw from `generator`"),
    Mistake("samplers", "gives NumPy's numbers", "generator.permutation(n).tolist()", "list(generator.permutation(n))", ".tolist() makes them"),
    Mistake("samplers", "forgets num_samples", "iter(order[:self.num_samples])", "iter(order)", "draw an order again and again"),
    Mistake("samplers", "one order only", ROUNDS, "order = generator.permutation(n).tolist()\n        ", "draw an order again and again"),
    Mistake("samplers", "repeats one order", ROUNDS, "order = generator.permutation(n).tolist() * (self.num_samples // max(n, 1) + 1)\n        ",
            "draw a new permutation for each round"),
    Mistake("samplers", "ignores replacement", "generator.integers(n, size=self.num_samples).tolist()",
            "[i for _ in range(self.num_samples) for i in generator.permutation(n).tolist()][:self.num_samples]", "with replacement"),

    Mistake("batch-sampler", "loses the rest", REST, "if False:", "the short list at the end is lost"),
    Mistake("batch-sampler", "ignores drop_last", REST, "if batch:", "keep it only if not drop_last"),
    Mistake("batch-sampler", "an empty list at the end", REST, "if not self.drop_last:", "yield the rest only if there is one"),
    Mistake("batch-sampler", "fills the same list", NEW, "yield batch\n                batch.clear()", "begin a new list after each"),
    Mistake("batch-sampler", "all at once", "for index in self.sampler:", "for index in list(self.sampler):",
            "yield each list when it is full"),
    Mistake("batch-sampler", "counts positions", "for index in self.sampler:", "for index, _ in enumerate(self.sampler):",
            "iterate over self.sampler"),
    Mistake("batch-sampler", "len rounds down", COUNT, "return n // self.batch_size", "round up"),
    Mistake("batch-sampler", "len rounds up", COUNT, "return math.ceil(n / self.batch_size)", "round up; with drop_last round down"),
    Mistake("batch-sampler", "len counts one more", COUNT, "return n // self.batch_size + (not self.drop_last)",
            "round up; with drop_last round down"),

    Mistake("default-collate", "joins instead of stacking", "np.stack(arrays)", "np.concatenate([np.atleast_1d(a) for a in arrays])",
            "along a NEW first axis"),
    Mistake("default-collate", "gives an array", STACK, "return np.stack(arrays)", "Tensor"),
    Mistake("default-collate", "everything in float32", STACK, 'return Tensor(np.stack(arrays).astype("float32"))', "numbers as they are"),
    Mistake("default-collate", "loses float64", STACK, "return Tensor(np.stack(arrays))", "where first is a Tensor"),
    Mistake("default-collate", "keeps every float64", STACK, "return Tensor(np.stack(arrays), dtype=np.stack(arrays).dtype)", "dtype=None"),
    Mistake("default-collate", "forgets text", TEXT, "", "text first"),
    Mistake("default-collate", "forgets bytes", "(str, bytes)", "str", "look for (str, bytes)"),
    Mistake("default-collate", "does not look into dicts", MAPPING, "{key: [sample[key] for sample in samples] for key in first}",
            "look each sample up by key"),
    Mistake("default-collate", "takes dicts by their order", MAPPING,
            "dict(zip(first, map(default_collate, zip(*(sample.values() for sample in samples)))))", "look each sample up by key"),
    Mistake("default-collate", "loses names", "type(first)(*parts) if hasattr(first, \"_fields\") else parts", "parts", "type(first)(*parts)"),
    Mistake("default-collate", "gives tuples", "else parts", "else tuple(parts)", "zip(*samples)"),
    Mistake("default-collate", "leaves NumPy to complain", SHAPES, "if len(shapes := set()) > 1:", "compare the shapes"),
    Mistake("default-collate", "stops at the shortest", COUNTS, "if len(counts := set()) > 1:", "zip stops at the shortest"),

    Mistake("transforms", "divides first", NORMAL, "image / self.std - self.mean", "subtract the mean first"),
    Mistake("transforms", "multiplies", NORMAL, "(image - self.mean) * self.std", "divide by std"),
    Mistake("transforms", "adds the mean", NORMAL, "(image + self.mean) / self.std", "subtract the mean"),
    Mistake("transforms", "does not divide", NORMAL, "image - self.mean", "divide by std"),
    Mistake("transforms", "makes an array a Tensor", NORMAL, "(Tensor(image) - self.mean) / self.std", "compute with the image as it is"),
    Mistake("transforms", "upside down", "image[..., ::-1]", "image[..., ::-1, :]", "upside down"),
    Mistake("transforms", "the other way round", "generator.random() < self.p", "generator.random() > self.p", "below p"),
    Mistake("transforms", "always half", "generator.random() < self.p", "generator.random() < 0.5 * (self.p > 0) + 0.5 * (self.p == 1)",
            "with p each time"),
    Mistake("transforms", "flips from the common generator", "generator.random()", "default_generator.random()", "draw from `generator`"),
    Mistake("transforms", "one place too few", PLACES, "top, left = generator.integers(max(height - h, 1)), generator.integers(max(width - w, 1))",
            "height - h + 1 places"),
    Mistake("transforms", "cannot keep all", PLACES, "top, left = generator.integers(height - h), generator.integers(width - w)",
            "height - h + 1 places"),
    Mistake("transforms", "on the diagonal", PLACES, "top = left = generator.integers(min(height - h, width - w) + 1)", "each for itself"),
    Mistake("transforms", "always the corner", PLACES, "top, left = 0, 0", "each for itself"),
    Mistake("transforms", "cuts from the common generator", PLACES, PLACES.replace("generator", "default_generator"), "draw from `generator`"),
    Mistake("transforms", "exchanges height and width", PIECE, "image[..., left:left + h, top:top + w]", "rows from top"),
    Mistake("transforms", "takes size as (w, h)", "self.size\n", "self.size[::-1]\n", "size is (height, width)"),
    Mistake("transforms", "cuts the first axes", PIECE, "image[top:top + h, left:left + w]", "with `...` before them"),
    Mistake("transforms", "checks one size only", SMALL, "if height < h:", "compare both sizes"),

    Mistake("epoch", "no seed", SEEDED, "if True:\n            ", "inside `with seeded(…):`"),
    Mistake("epoch", "one seed for all batches", "seeded(self.seed, number)", "seeded(self.seed)", "number belongs to the seed"),
    Mistake("epoch", "one seed for all epochs", "seeded(self.seed, number)", "seeded(number)", "self.seed belongs to the seed"),
    Mistake("epoch", "in order", "for index in self.order[number]", "for index in sorted(self.order[number])", "samples of self.order[number]"),
    Mistake("epoch", "collates by itself", "self.collate(samples)", "default_collate(samples)", "self.collate(samples)"),
    Mistake("epoch", "collates outside", "return END if samples is END else self.collate(samples)",
            "pass\n        return END if samples is END else self.collate(samples)",
            "collate inside"),
    Mistake("epoch", "begins the stream anew", AGAIN, "self.stream = iter(self.batches)", "iter(self.batches) once"),
    Mistake("epoch", "asks the dataset", AGAIN, "self.stream = self.stream or iter(self.dataset)", "iter(self.batches) once"),
    Mistake("epoch", "does not see the end", "next(self.stream, END)", "next(self.stream)", "next(self.stream, END)"),
    Mistake("epoch", "collates the end", "END if samples is END else self.collate(samples)", "self.collate(samples)", "END"),

    Mistake("in-turn", "one worker after the other", ASK,
            "for worker in range(num_workers):\n        for _ in range(prefetch_factor):\n            crew.ask(worker)",
            "every worker once"),
    Mistake("in-turn", "asks only once", TAKE, "if batch is not END:\n            yield batch", "ask again for each batch"),
    Mistake("in-turn", "asks too late", TAKE, "if batch is not END:\n            yield batch\n            crew.ask(worker)", "ask before you yield"),
    Mistake("in-turn", "takes the last one asked", "crew.asked.popleft()", "crew.asked.pop()", "popleft"),
    Mistake("in-turn", "asks the next worker", TAKE, TAKE.replace("crew.ask(worker)", "crew.ask((worker + 1) % num_workers)"),
            "ask the worker whose batch you took"),
    Mistake("in-turn", "yields the end", TAKE, "crew.ask(worker)\n        yield batch", "END is no batch"),
    Mistake("in-turn", "stops at the first end", TAKE,
            "if batch is END:\n            return\n        crew.ask(worker)\n        yield batch", "END is of one worker only"),
    Mistake("in-turn", "asks an ended stream", TAKE, "crew.ask(worker)\n        if batch is not END:\n            yield batch",
            "ask again only where a batch came"),
    Mistake("in-turn", "ignores prefetch_factor", "range(prefetch_factor)", "range(1)", "every worker once"),

    Mistake("read-idx", "the smallest byte first", 'f">{data[3]}I"', 'f"<{data[3]}I"', "header"),
    Mistake("read-idx", "always three axes", 'struct.unpack_from(f">{data[3]}I", data, 4)', 'struct.unpack_from(">3I", data, 4)',
            "the lengths are read by"),
    Mistake("read-idx", "does not look at the beginning", 'data[:3] != b"\\0\\0\\x08"', "False", "look at the length"),
    Mistake("read-idx", "allows what is too long", LONG, "if len(data) - header < math.prod(shape):", "and name both"),
    Mistake("read-idx", "allows what is too short", LONG, "if len(data) - header > math.prod(shape):", "and name both"),
    Mistake("read-idx", "trusts the header's length", "if len(data) < header:", "if False:", "look at the length"),
]

ONE = "all have one length"
STACKED = "NumPy makes the same array of it, more slowly"
FOUR_BYTES = "four bytes are refused in any case: an array without axes has one pixel"

EQUIVALENT = [
    *(Equivalent("random-split", line, line.replace("lengths", "counts"), "`counts` are the lengths that came, as an array")
      for line in ("if any(length < 0 for length in lengths):", "if math.isclose(sum(lengths), 1):")),
    Equivalent("tensor-dataset", "return len(self.tensors[0])", "return len(self.tensors[-1])", ONE),
    Equivalent("tensor-dataset", PARTS, PARTS.replace("t.data[index]", "t[index]"), "Tensor(…) takes a Tensor's numbers without its history"),
    Equivalent("batch-sampler", "if len(batch) == self.batch_size:", "if len(batch) >= self.batch_size:", "it is never longer"),
    Equivalent("default-collate", STACK, STACK.replace("np.stack(arrays)", "arrays"), STACKED),
    Equivalent("default-collate", STACK, STACK.replace("np.stack(arrays)", "np.stack(samples)"), STACKED),
    Equivalent("transforms", f"return {FLIP}", f"return {FLIP}".replace("<", "<="), "a number drawn equals p once in 2**53 times"),
    Equivalent("read-idx", 'if len(data) < 4 or data[:3] != b"\\0\\0\\x08":', 'if len(data) <= 4 or data[:3] != b"\\0\\0\\x08":', FOUR_BYTES),
    Equivalent("read-idx", 'if len(data) < 4 or data[:3] != b"\\0\\0\\x08":', 'if len(data) < 5 or data[:3] != b"\\0\\0\\x08":', FOUR_BYTES),
]
