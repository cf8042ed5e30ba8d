"""Inputs and calls for the judge: never an expected value.  The reference's answers to the same calls are the expectation."""

import json
import math
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from tito.check.probing import close, exact, probe, raised

WORDS = "and ruth said unto naomi the field of barley é she went; came again.\n out two bread".split(" ")


def words(rng, count):
    """A text of so many words."""
    return " ".join(rng.choice(WORDS, count))


def tiny(tinytorch, rng, T=8, scale=0.4, **settings):
    """A TinyGPT with weights of this generator."""
    tokenizer = tinytorch.CharTokenizer(260).train("é")
    model = tinytorch.GPT(tokenizer.vocab_size, **{"embed_dim": 8, "num_layers": 2, "num_heads": 2, "max_seq_len": T} | settings)
    for p in model.parameters():
        p.data[...] = rng.normal(size=p.shape) * scale + (p.ndim == 1)
    return tinytorch.TinyGPT(tokenizer, model)


def passed(tinytorch, call):
    """What `call()` gives, and the operations that went through the door meanwhile."""
    seen, around = [], tinytorch.core.tensor.around
    around.append(lambda call, op, arrays, params: (seen.append(op.__name__), call(arrays, params))[1])
    try:
        return [call(), *(seen.count(name) for name in ("block_step", "causal_attention", "linear"))]
    finally:
        around.pop()


@probe("test-write", exact)
def texts(tinytorch, rng):
    model, answers = tiny(tinytorch, rng, scale=0.8), []
    for knobs in ({}, {"temperature": 0}, {"temperature": 3.0, "top_k": int(rng.integers(2, 9))}):
        seed = int(rng.integers(1 << 30))
        answers += [model.write(prompt, 6, generator=np.random.default_rng(seed), **knobs) for prompt in ("\n", words(rng, 4))]
    tinytorch.manual_seed(int(rng.integers(1 << 30)))
    return [*answers, model.write(max_new_tokens=9), model.write("a", 0), raised(lambda: model.write(""))]


@probe("test-bits", close(1e-5))
def what_texts_cost(tinytorch, rng):
    answers = []
    for settings in ({"dropout": 0.5}, {"positions": "rotary", "T": 5}):
        model = tiny(tinytorch, rng, **settings)
        for length in (1, 9, 10, int(rng.integers(11, 40)), 290):
            text = words(rng, 200)[:length]
            answers += [model.bits_per_character(text), model.training, model.model.training]
    return answers


@probe("test-bits", exact)
def how_it_asks(tinytorch, rng):
    model, text = tiny(tinytorch, rng), words(rng, 300)
    shapes, forward = [], model.model.forward
    model.model.forward = lambda ids: (shapes.append(list(np.shape(ids))), forward(ids))[1]
    model.bits_per_character(text)
    return [max(n for n, _ in shapes) <= 32, len(shapes), sum(n * t for n, t in shapes)]


@probe("test-save", close(1e-6))
def there_and_back(tinytorch, rng):
    form, model = str(rng.choice(["float32", "quantized", "sparse"])), tiny(tinytorch, rng, positions=["learned", "rotary", None][int(rng.integers(3))])
    model = tinytorch.TinyGPT(model.tokenizer, tinytorch.quantize_model(model.model) if form == "quantized" else model.model, form)
    with TemporaryDirectory() as folder:
        model.save(Path(folder) / "é")
        again = tinytorch.TinyGPT.load(Path(folder) / "é")
        answers = [again.form, json.dumps(again.model.settings), again.tokenizer.encode("é ruth"), again([[1, 2, 3]]), again.model.state_dict()]
        (Path(folder) / "é").write_bytes((Path(folder) / "é").read_bytes()[:int(rng.integers(10, 200))])
        return [*answers, raised(lambda: tinytorch.TinyGPT.load(Path(folder) / "é"))]


@probe("test-fit", close(1e-3))
def a_few_rounds(tinytorch, rng):
    text = words(rng, 300)
    with TemporaryDirectory() as folder:
        tinytorch.manual_seed(int(rng.integers(1 << 30)))
        made, path = tiny(tinytorch, rng, scale=0.1), Path(folder) / "run.npz"
        trainer = tinytorch.TinyGPTTrainer(made, text[:800], text[800:], rounds=2, steps=2, batch_size=3)
        history = trainer.fit(checkpoint=path)
        other = tiny(tinytorch, rng, scale=0.1)
        again = tinytorch.TinyGPTTrainer(other, text[:800], text[800:], rounds=2, steps=2, batch_size=3).fit(checkpoint=path, resume=True)
        return [history, again, made.bits_per_character(text), other.bits_per_character(text)]


@probe("test-facts", close(1e-6))
def what_a_file_says(tinytorch, rng):
    held, form, model = words(rng, 60), str(rng.choice(["float32", "quantized", "sparse"])), tiny(tinytorch, rng, num_layers=int(rng.integers(1, 3)))
    for p in model.model.parameters():
        p.data[rng.random(p.shape) < 0.6] = 0.0
    model = tinytorch.TinyGPT(model.tokenizer, tinytorch.quantize_model(model.model, bits=4) if form == "quantized" else model.model, form)
    with TemporaryDirectory() as folder:
        model.save(Path(folder) / "é")
        return tinytorch.facts_of(Path(folder) / "é", held)


@probe("test-contenders", exact)
def who_writes_how(tinytorch, rng):
    with TemporaryDirectory() as folder:
        for name in "ab":
            tiny(tinytorch, rng, scale=0.8).save(Path(folder) / name)
        entries = {f"{name}{cached}": {"file": name, "cached": cached} for name in "ab" for cached in (False, True)}
        calls = tinytorch.contenders(entries, folder, int(rng.integers(2, 5)))
        for path in Path(folder).iterdir():
            path.unlink()
        return {name: passed(tinytorch, call) for name, call in calls.items()}


@probe("test-prune", close(1e-3))
def pruned(tinytorch, rng):
    text, sparsity = words(rng, 300), float(rng.uniform(0.3, 0.9))
    tinytorch.manual_seed(int(rng.integers(1 << 30)))
    made = tiny(tinytorch, rng, scale=0.1)
    trainer = tinytorch.TinyGPTTrainer(made, text[:800], text[800:], rounds=1, steps=3, batch_size=3)
    answers = tinytorch.prune_and_tune(made, sparsity, trainer)
    return [list(answers), tinytorch.measure_sparsity(made.model), {name: p.data == 0 for name, p in made.model.named_parameters()}]


@probe("test-ratios", close(1e-9))
def beside_the_first(tinytorch, rng):
    entries = {name: {"bytes": int(rng.integers(100, 9000)), "tokens": int(rng.integers(1, 50)), "bits_per_character": float(rng.uniform(1, 4)),
                      "seconds": rng.uniform(0.1, 3, size).tolist()} for name, size in (("z", 5), ("a", 6), ("m", 7))}
    return {name: list(found) for name, found in tinytorch.BenchmarkReport(entries=entries).ratios().items()}


def heads(problems):
    return [problem.partition(":")[0] for problem in problems]


@probe("test-implausible", exact)
def what_can_be(tinytorch, rng):
    answers = []
    for _ in range(40):
        entry = {"sparsity": float(rng.choice([0.0, 0.3, 0.9, 0.99])), "weights": int(rng.integers(100, 9000)), "flops": int(rng.integers(100, 9000)),
                 "tokens": int(rng.integers(1, 50)), "seconds": rng.uniform(0.1, 0.2, int(rng.integers(4, 8))).tolist()}
        entry["bytes"] = int(entry["weights"] * rng.uniform(0.0, 0.3))
        if rng.random() < 0.4:
            entry["seconds"] = entry["seconds"][:1] * 6 + entry["seconds"][:int(rng.integers(3))]
        if rng.random() < 0.2:
            entry["seconds"][0] = float(rng.choice([-1.0, 0.0, math.nan, math.inf]))
        answers.append(heads(tinytorch.implausible(entry, rng.uniform(0.2, 1.2) * entry["flops"] * entry["tokens"] / 0.15)))
    return answers


@probe("test-objections", exact)
def what_is_said(tinytorch, rng):
    held, answers = words(rng, 40), []
    with TemporaryDirectory() as folder:
        made, out, folder = tiny(tinytorch, rng, num_layers=1), Path(folder) / "b", Path(folder) / "in"
        folder.mkdir()
        made.save(folder / "a"), made.save(out)
        honest = {"file": "a", "cached": bool(rng.integers(2)), "tokens": 3, "seconds": rng.uniform(0.1, 0.2, 6).tolist(),
                  **tinytorch.facts_of(folder / "a", held)}
        for key in rng.permutation(list(honest))[:3].tolist():
            said = honest[key]
            other = {str: f"{said}x", int: 0, float: 1.0, bool: None, list: []}[type(said)]
            lies = [other, None, [said], *([said * 1.0005, said * 1.002] if type(said) is float else [])]
            lie = lies[int(rng.integers(len(lies)))]
            answers.append(heads(tinytorch.objections(honest | {key: lie}, folder, held, 1e9)))
        gone = str(rng.choice(list(honest)))
        answers.append(heads(tinytorch.objections({k: v for k, v in honest.items() if k != gone}, folder, held, 1e9)))
        answers.append(heads(tinytorch.objections(honest | {"file": "../b"}, folder, held, 1e9)))
        answers.append(heads(tinytorch.objections(honest, folder, "more " + held, 1e9)))
        answers.append(heads(tinytorch.objections(honest | {"flops": 0, "sparsity": 1.0}, folder, held, 1.0)))
        (folder / "a").write_bytes(b"PK" + rng.bytes(50))
        return [*answers, heads(tinytorch.objections(honest, folder, held, 1e9))]


@probe("test-module", close(2e-3))
def a_whole_run(tinytorch, rng):
    settings = {"vocab_size": 270, "embed_dim": 8, "num_layers": 1, "num_heads": 2, "max_seq_len": 12, "rounds": 1, "steps": 2, "batch_size": 2,
                "tokens": 4, "repeats": 5, "tune": 1, "matrix": 64, "seed": int(rng.integers(99)), "sparsity": float(rng.uniform(0.5, 0.9))}
    text = words(rng, 300)
    with TemporaryDirectory() as folder:
        pipeline = tinytorch.CompleteTinyGPTPipeline(text, settings, folder)
        answers = [raised(pipeline.quantize)]
        for name in ("prepare", "train", "quantize"):
            getattr(pipeline, name)()
        keys = ("file", "cached", "form", "weights", "flops", "nbytes", "sparsity", "bits_per_character")
        return [*answers, {name: [entry[key] for key in keys] for name, entry in pipeline.result.entries.items()}]
