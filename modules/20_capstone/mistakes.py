"""Wrong answers that real learners write, as patches of the solution, each with the words its card must show first."""

from tito.dev.checks.mistake import Equivalent, Mistake

GENERATE = "self.model.generate(self.tokenizer.encode(prompt), max_new_tokens, temperature, top_k, generator=generator)"
WINDOWS = "rows = [ids[i:i + T + 1] for i in range(0, len(ids) - 1, T)]"
SHORT = "short = [rows.pop()] if rows and len(rows[-1]) <= T else []"
WEIGHED = "next_token_loss(self.model(group[:, :-1]), group[:, 1:]).item() * group[:, 1:].size"
LOADING = "return cls(Tokenizer.load(parts[0]), FORMS[form][1](parts[2], blank(settings)), form)"
ASKED = 'trainer.history["bits_per_character"].append(self.tiny.bits_per_character(self.held))'
FITTED = "return self.trainer.fit(self.loader, self.rounds, callbacks=[ask], checkpoint=checkpoint, resume=resume, progress=progress)"
SAMPLE = "tiny.write(PROMPT, WRITTEN, temperature=0)"
CACHED = 'if entry["cached"]:\n            enable_kv_cache(tiny.model)'
CALL = "calls[name] = lambda tiny=tiny: tiny.write(PROMPT, tokens, temperature=0)"
LOADED = 'tiny = TinyGPT.load(Path(folder) / entry["file"])'
HELD = "with masks.held(trainer.optimizer):\n        trainer.fit()"
BEFORE = "before = tiny.bits_per_character(trainer.held)"
PRUNED = "masks = magnitude_prune(tiny.model, sparsity)\n    " + BEFORE
SPEED = 'entry["tokens"] / statistics.median(entry["seconds"])'
MORE = 'entry["bits_per_character"] - first["bits_per_character"]'
RATE = 'entry["flops"] * there * entry["tokens"] / min(seconds)'
LEAST = '(entropy(there) + there) * entry["weights"] / 8'
TRIED = 'try:\n        facts = facts_of(Path(folder) / Path(entry["file"]).name, held)\n    except (OSError, ValueError) as error:\n        return [f"file: {error}"]'
EQUAL = "type(said) is not type(found) or not (math.isclose(said, found, rel_tol=1e-3) if type(found) is float else said == found)"
ALSO = "return wrong + implausible({**entry, **facts}, peak)"

MISTAKES = [
    Mistake("write", "only what is new", "self.tokenizer.decode(ids)", "self.tokenizer.decode(ids[len(self.tokenizer.encode(prompt)):])", "the prompt comes first"),
    Mistake("write", "letters for ids", "self.tokenizer.encode(prompt)", "list(prompt)", "generate wants ids"),
    Mistake("write", "a temperature of its own", "temperature, top_k", "1.0, top_k", "pass the temperature on"),
    Mistake("write", "all tokens", "temperature, top_k", "temperature, None", "pass top_k on"),
    Mistake("write", "forgets the generator", "generator=generator", "generator=None", "pass generator on"),

    Mistake("bits", "nats", " / math.log(2)", "", "divide by ln 2"),
    Mistake("bits", "a token", "/ len(text)", "/ len(ids)", "not a token"),
    Mistake("bits", "all of them", "/ len(text)", "", "over the characters"),
    Mistake("bits", "a mean of means", WEIGHED, WEIGHED.replace("group[:, 1:].size", "1"), "times the tokens"),
    Mistake("bits", "counts windows", WEIGHED, WEIGHED.replace("group[:, 1:].size", "len(group)"), "times the tokens"),
    Mistake("bits", "the first is free", WINDOWS, "nats = 0.0\n        " + WINDOWS, "the first token costs something"),
    Mistake("bits", "drops the last window", "+ [short] * len(short)", "", "a short one, and counts"),
    Mistake("bits", "windows that do not overlap", WINDOWS, "rows = [ids[i:i + T + 1] for i in range(0, len(ids) - 1, T + 1)]", "times the tokens"),
    Mistake("bits", "stacks a short one", SHORT, "short = []", "ask it by itself"),
    Mistake("bits", "one by one", SHORT, "short = []\n        rows, short = [], rows\n        for row in short:\n            nats += next_token_loss("
            "self.model(row[None, :-1]), row[None, 1:]).item() * (len(row) - 1)\n        short = []", "np.stack makes"),
    Mistake("bits", "reads too far", "self.model(group[:, :-1]), group[:, 1:]", "self.model(group)[:, :-1], group[:, 1:]", "at most max_seq_len"),
    Mistake("bits", "a text without windows", "if rows and len(rows[-1]) <= T else []", "if len(rows[-1]) <= T else []", "no window at all"),

    Mistake("save", "forgets the tokenizer", "self.tokenizer.save(parts[0])", "Tokenizer()\n        parts[0].touch()", "tokenizer.save"),
    Mistake("save", "always as float32", "FORMS[self.form][0](self.model, parts[2])", "GPT.save(self.model, parts[2])", "FORMS[self.form][0] writes"),
    Mistake("save", "forgets the form", "[self.form, self.model.settings]", '["float32", self.model.settings]', "FORMS[self.form][0] writes"),
    Mistake("save", "weights that nobody wants", "FORMS[form][1](parts[2], blank(settings)), form", "blank(settings), form", "FORMS[form][1](parts[2]"),
    Mistake("save", "comes back as float32", "blank(settings)), form)", "blank(settings)))", "FORMS[form]"),
    Mistake("save", "a new tokenizer", "Tokenizer.load(parts[0])", "Tokenizer(settings['vocab_size'])", "Tokenizer.load"),

    Mistake("fit", "asks about what was learned", ASKED, ASKED.replace("self.held", "self.tiny.tokenizer.decode(self.loader.dataset.ids)"), "ask about self.held"),
    Mistake("fit", "stops after a round", ASKED, ASKED + "\n        return True", "append in a callback"),
    Mistake("fit", "asks once", FITTED, FITTED.replace("callbacks=[ask], ", "").replace("return ", "history = ") + "\n    ask(self.trainer)\n    return history",
            "append in a callback"),
    Mistake("fit", "no checkpoint", "checkpoint=checkpoint", "checkpoint=None", "pass checkpoint on"),
    Mistake("fit", "never resumes", "resume=resume", "resume=False", "pass resume on"),
    Mistake("fit", "gives nothing back", FITTED, FITTED.replace("return ", ""), "return"),

    Mistake("facts", "the size of the arrays", "len(data)", "model_nbytes(tiny.model)", "not of the arrays"),
    Mistake("facts", "hashes the name", "hashlib.sha256(data)", "hashlib.sha256(str(path).encode())", "not of its name"),
    Mistake("facts", "a binary hash", ".hexdigest()", ".digest()", "hexdigest"),
    Mistake("facts", "takes chances", SAMPLE, "tiny.write(PROMPT, WRITTEN)", "temperature=0"),
    Mistake("facts", "asks about something else", "tiny.bits_per_character(held)", "tiny.bits_per_character(PROMPT)", "about `held`"),
    Mistake("facts", "the nominal bytes", "**_counted(tiny.model)", '**{**_counted(tiny.model), "nbytes": 4 * _counted(tiny.model)["weights"]}', "_counted(tiny.model)"),

    Mistake("contenders", "all write like the last", CALL, CALL.replace("lambda tiny=tiny:", "lambda:"), "lambda tiny=tiny"),
    Mistake("contenders", "never a cache", CACHED, "pass", "enable_kv_cache(tiny.model)"),
    Mistake("contenders", "always a cache", CACHED, "enable_kv_cache(tiny.model)", "only where"),
    Mistake("contenders", "takes chances", "temperature=0", "temperature=0.8", "the best token"),
    Mistake("contenders", "reads while it races", LOADED + "\n        " + CACHED + "\n        " + CALL,
            'def call(entry=entry):\n            tiny = TinyGPT.load(Path(folder) / entry["file"])\n            if entry["cached"]:\n'
            "                enable_kv_cache(tiny.model)\n            return tiny.write(PROMPT, tokens, temperature=0)\n        calls[name] = call",
            "no part of the race"),

    Mistake("prune", "lets go of the zeros", HELD, "trainer.fit()", "the optimizer moves zeros too"),
    Mistake("prune", "does not train on", HELD, "pass", "train on"),
    Mistake("prune", "asks too early", PRUNED, BEFORE + "\n    masks = magnitude_prune(tiny.model, sparsity)", "between pruning and training"),
    Mistake("prune", "keeps so many", "magnitude_prune(tiny.model, sparsity)", "magnitude_prune(tiny.model, 1 - sparsity)", "so many become 0"),
    Mistake("prune", "prunes at the end", PRUNED + "\n    " + HELD, "other = TinyGPT(tiny.tokenizer, blank(tiny.model.settings))\n"
            "    other.model.load_state_dict(tiny.model.state_dict())\n    magnitude_prune(other.model, sparsity)\n"
            "    before = other.bits_per_character(trainer.held)\n    trainer.fit()\n    magnitude_prune(tiny.model, sparsity)", "prune first"),
    Mistake("prune", "asks once", "return before, tiny.bits_per_character(trainer.held)", "return before, before", "once more"),

    Mistake("ratios", "how much larger", 'first["bytes"] / entry["bytes"]', 'entry["bytes"] / first["bytes"]', "times smaller"),
    Mistake("ratios", "how much slower", "speed(entry) / speed(first)", "speed(first) / speed(entry)", "times faster"),
    Mistake("ratios", "the mean", "statistics.median(", "statistics.mean(", "not the mean"),
    Mistake("ratios", "the best time", "statistics.median(", "min(", "not the best"),
    Mistake("ratios", "only times", SPEED, '1 / statistics.median(entry["seconds"])', "it wrote twice as many"),
    Mistake("ratios", "divides bits", MORE, 'entry["bits_per_character"] / first["bits_per_character"]', "the difference"),
    Mistake("ratios", "bits turned round", MORE, 'first["bits_per_character"] - entry["bits_per_character"]', "minus the first"),

    Mistake("implausible", "trusts every clock", "if len(set(seconds)) == 1:", "if False:", "len(set(seconds))"),
    Mistake("implausible", "no two alike", "len(set(seconds)) == 1", "len(set(seconds)) < len(seconds)", "only all of them"),
    Mistake("implausible", "the typical time", "min(seconds)", "statistics.median(seconds)", "the shortest time"),
    Mistake("implausible", "the longest time", "min(seconds)", "max(seconds)", "the shortest time"),
    Mistake("implausible", "zeros cost as much", RATE, RATE.replace(" * there", ""), "times the share"),
    Mistake("implausible", "one token", RATE, RATE.replace(' * entry["tokens"]', ""), "the shortest time"),
    Mistake("implausible", "only the signs", LEAST, LEAST.replace("entropy(there) + there", "there"), "where the zeros are"),
    Mistake("implausible", "every weight has a sign", LEAST, LEAST.replace("entropy(there) + there", "entropy(there) + 1"), "only weights that are not 0"),
    Mistake("implausible", "bits for bytes", LEAST, LEAST.replace(" / 8", ""), "1,000 bytes"),

    Mistake("objections", "believes what is said", "if " + EQUAL + ":", "if key in ():", "compare every fact"),
    Mistake("objections", "to the last digit", EQUAL, "type(said) is not type(found) or said != found", "math.isclose"),
    Mistake("objections", "ten percent", "rel_tol=1e-3", "rel_tol=0.1", "compare every fact"),
    Mistake("objections", "a key must be there", "entry.get(key)", "entry[key]", "it may be missing"),
    Mistake("objections", "floats first", EQUAL, "not (math.isclose(said, found, rel_tol=1e-3) if type(found) is float else said == found)", "compare the types first"),
    Mistake("objections", "follows any path", 'Path(entry["file"]).name', 'entry["file"]', "only the name counts"),
    Mistake("objections", "stumbles over a file", TRIED, 'facts = facts_of(Path(folder) / Path(entry["file"]).name, held)', "begins with file"),
    Mistake("objections", "plausible claims", "{**entry, **facts}", "entry", "{**entry, **facts}"),
    Mistake("objections", "forgets the times", ALSO, "return wrong", "ask implausible, too"),
]

SHOWN = "progress is about what is shown on stderr while it runs; what comes out is the same"
EQUIVALENT = [
    *(Equivalent("bits", SHORT, f"short = [rows.pop()] if rows{more} else []", "a last window that is whole may be asked by itself, too")
      for more in ("", " and len(text[-1]) <= T")),
    Equivalent("save", LOADING, LOADING.replace("[1]", "[-1]"), "a form has two functions, so that the second is the last"),
    Equivalent("fit", FITTED, FITTED.replace(", progress=progress", ""), SHOWN),
    *(Equivalent("fit", FITTED, FITTED.replace("progress=progress", f"progress={name}"), SHOWN) for name in ("checkpoint", "resume")),
    Equivalent("ratios", "speed = lambda entry: " + SPEED, "speed = lambda entry: -" + SPEED, "a quotient of two speeds, which both change their sign"),
    Equivalent("objections", "except (OSError, ValueError) as error:", "except (ValueError, OSError) as error:", "the order of kinds of errors says nothing"),
]
