# %% [markdown]
"""
# 20 Capstone

> From a text to a language model, and to a report that nobody has to believe.

Nineteen modules lie behind you. This one puts them to work together: a model that learns to write, made smaller and faster in four ways, and a
report about it. You build the report so that anybody can check it, and then the program that checks it.
"""

# %% nbgrader={"grade": false, "grade_id": "start", "locked": true, "schema_version": 3, "solution": false, "task": false}
import tito.notebook     # where this fails, open the notebook with: tito module open 20
from tito.check import expect

tito.notebook.use(20)

# %%
#| default_exp applications.tinygpt
#| view applications

# %% nbgrader={"grade": false, "grade_id": "imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
import hashlib
import html
import json
import math
import platform
import statistics
import time
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import numpy as np

from tinytorch.benchmarking.benchmark import BenchmarkResult, break_even, plot_pareto
from tinytorch.core.layers import Module, check_choice, check_kind, check_number, check_whole
from tinytorch.core.optimizers import AdamW
from tinytorch.core.tensor import manual_seed
from tinytorch.core.training import CosineSchedule, Trainer, check_path, replace_file
from tinytorch.data.loader import DataLoader, RandomSampler
from tinytorch.generation.kv_cache import enable_kv_cache
from tinytorch.models.transformer import GPT, next_token_loss
from tinytorch.optimization.acceleration import autocast
from tinytorch.optimization.compression import load_sparse, magnitude_prune, save_sparse
from tinytorch.optimization.quantization import load_quantized, model_nbytes, quantize_model, save_quantized
from tinytorch.profiling.profiler import Profiler, compare, evaluating, machine_peak, measure, peak_memory, profile
from tinytorch.text.tokenization import BPETokenizer, TextDataset, Tokenizer, load_text

# %% nbgrader={"grade": false, "grade_id": "tools", "locked": true, "schema_version": 3, "solution": false, "task": false}
from tinytorch.core.layers import Linear
from tinytorch.core.tensor import Tensor
from tinytorch.optimization.compression import measure_sparsity
from tinytorch.text.tokenization import CharTokenizer

story = " ".join(np.random.default_rng(0).choice("and Ruth said unto Naomi she went;\n into the field of barley".split(" "), 2500))      # to try things with


def small(seed=0, scale=20.0, **settings):
    """A TinyGPT of bytes with few weights, always the same for a seed, whose opinions are strong."""
    model = GPT(256, 8, 1, 2, 8, generator=np.random.default_rng(seed), **settings)
    for p in model.parameters():
        p.data *= scale if p.ndim == 2 else 1.0
    return TinyGPT(CharTokenizer(256), model)

# %% [markdown]
"""
## 1 · A figure that nobody can check

Here is a layer "in 8 bits". It rounds its weights to 255 steps, and reports what it takes. Then its array and the disk are asked.
"""

# %%
class Shrunk(Linear):
    """A layer in 8 bits; so it says."""
    def shrink(self):
        step = float(np.abs(self.weight.data).max()) / 127
        self.weight.data = np.round(self.weight.data / step).astype("float32") * step
        return self

    def report(self):
        return {"bits": 8, "bytes": self.weight.size, "times smaller": 4.0}

layer = Shrunk(256, 256).shrink()
with TemporaryDirectory() as folder:
    np.savez(Path(folder) / "layer.npz", **layer.state_dict())
    print("it says  ", layer.report())
    print("the array", layer.weight.data.dtype, f"{layer.weight.data.nbytes:,} bytes; the file {(Path(folder) / 'layer.npz').stat().st_size:,}")

# %% [markdown]
"""
Nothing is smaller. The report was written by the one who wanted it to be true. The same happens with speed (measured once, or not at all) and with
quality (measured on what was learned, or before the model was shrunk).

So here a figure comes from one of two places. Sizes and quality are *recomputed from a file*, which anybody can do again. Times are *measured in
turns*, and every one is kept. The plan:

```
 text ─► prepare ─► train ─► float32 ─┬─► cache      the same file, written with faster
           │                          ├─► quantize ─► int8  ──┐
           │                          └─► prune ────► pruned ─┼─► race ─► report.html, report.json
           └─► the last tenth, held out: asks every file ─────┘           submission ─► validate
```
"""

# %%
#| export
def split_text(text):
    """(what is learned from, what is held out): the last tenth, from the beginning of a line.  ValueError for a text under 1,000 characters.

    >>> [len(part) for part in split_text("A line of text.\\n" * 100)]
    [1440, 160]
    """
    check_kind("split_text", str, text=text)
    if len(text) < 1000:
        raise ValueError(f"split_text: at least 1,000 characters wanted, not {len(text)}")
    at = len(text) * 9 // 10
    at = text.find("\n", at - 1, -1) + 1 or at
    return text[:at], text[at:]

# %% tags=["analysis"]
learned, held = split_text(load_text()[:20_000])
print(f"{len(learned):,} characters to learn from, {len(held):,} held out: {held[:60]!r} …")

# %% [markdown]
"""
## 2 · A model that reads and writes letters

A GPT knows ids. Together with its tokenizer it knows text, so the two belong together. `form` says how the pair is stored, in part 3.
"""

# %%
#| export
class TinyGPT(Module):
    """A GPT and the tokenizer by which it reads and writes.  `form`: how `save` stores it, a name in `FORMS`.

    ValueError where the two do not have the same number of ids.
    """
    def __init__(self, tokenizer, model, form="float32"):
        check_kind("TinyGPT", Tokenizer, tokenizer=tokenizer)
        check_kind("TinyGPT", Module, model=model)
        if model.vocab_size != tokenizer.vocab_size:
            raise ValueError(f"TinyGPT: the tokenizer has {tokenizer.vocab_size} ids and the model {model.vocab_size}; make it GPT(tokenizer.vocab_size, …)")
        self.tokenizer, self.model, self.form = tokenizer, model, form

    def forward(self, ids):
        """Ids (B, T) -> scores (B, T, vocab_size)."""
        return self.model(ids)

# %% [markdown]
"""
**Your turn.** `write`: the ids of the prompt, what `self.model.generate` makes of them, and back to text. It gets all three knobs and the generator.
"""

# %% nbgrader={"grade": false, "grade_id": "write", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def _write(self, prompt="\n", max_new_tokens=100, temperature=0.8, top_k=50, generator=None):
    """`prompt`, a text that is not empty, and what the model adds to it: a str."""
    ### BEGIN SOLUTION
    ids = self.model.generate(self.tokenizer.encode(prompt), max_new_tokens, temperature, top_k, generator=generator)
    return self.tokenizer.decode(ids)
    ### END SOLUTION

TinyGPT.write = _write

# %% nbgrader={"grade": true, "grade_id": "test-write", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def test_unit_write():
    """Text goes in, text comes out, and every knob is turned."""
    tiny, dice = small(), lambda: np.random.default_rng(3)
    said = lambda ids, *knobs: tiny.tokenizer.decode(tiny.model.generate(ids, *knobs, generator=dice()))
    ruth_ids, whole = list(b"Ruth"), said(list(b"Ruth"), 9, 0.8, 50)
    expect.same(lambda: tiny.write("Ruth", 9, generator=dice()), whole, "the prompt and nine bytes", mistaken={
        "the prompt comes first": whole[4:], "pass generator on: it decides": lambda got: len(got) == len(whole) and got[:4] == "Ruth"
        and got not in (said(ruth_ids, 9), said(ruth_ids, 9, 0.8), said(ruth_ids, 9, 1.0, 50)),
        "pass the temperature on": said(ruth_ids, 9, 1.0, 50), "pass top_k on": said(ruth_ids, 9, 0.8)},
        hint="encode, generate, decode", raises={ValueError: "generate wants ids: self.tokenizer.encode(prompt)"})
    expect.same(lambda: tiny.write("Ruth", 9, 2.0, 3, dice()), said(ruth_ids, 9, 2.0, 3), "other knobs", hint="pass all of them on, in their order")
    expect.same(lambda: [tiny.write("é", 5, temperature=0), tiny.write("é", 5, top_k=1)], [said(list("é".encode()), 5, 0)] * 2, "the best each time")

test_unit_write()

# %% [markdown]
r"""
**Bits a character.** Accuracy says little about a writer. The loss says how surprised the model is by each token of a text that it does not know;
but a loss per *token* gets larger when a tokenizer makes longer tokens, and then two models cannot be compared. So: all of the surprise, in bits,
over the number of *characters*. It is also the size to which a text could be packed with this model's help.

$$\text{bits a character} = \frac{1}{\ln 2}\;\frac{\sum_i -\ln p(\text{token}_i)}{\text{characters}}$$

A model sees `max_seq_len` tokens at most, so a long text is asked in windows. Each window begins with the token with which the one before it ended,
so that every token is asked about exactly once. The first token of all comes after nothing; it costs $\ln V$, as if all V ids were equally likely.

```
 ids       5 2 7 7 1 3 9 4 6        T = 4
 window 1  5 2 7 7 1                reads 5 2 7 7, is asked about 2 7 7 1
 window 2          1 3 9 4 6        reads 1 3 9 4, is asked about 3 9 4 6
```

**Your turn.** Add up the surprise of all windows in `nats`: `next_token_loss` is a *mean*, so multiply by how many tokens it is the mean of. The
last window may be shorter than the others. Ask up to 32 windows of one length at once, or it takes long. `evaluating` (module 15) switches dropout
and recording off.
"""

# %% nbgrader={"grade": false, "grade_id": "bits", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def _bits_per_character(self, text):
    """What a character of `text` costs, in bits, a float: every token given those before it in its window of max_seq_len."""
    check_kind("bits_per_character", str, text=text)
    if not text:
        raise ValueError("bits_per_character: a text wanted, at least one character")
    ids, T = np.array(self.tokenizer.encode(text)), self.model.max_seq_len
    nats = math.log(self.model.vocab_size)                                   # of the first token
    with evaluating(self):
        ### BEGIN SOLUTION
        rows = [ids[i:i + T + 1] for i in range(0, len(ids) - 1, T)]
        short = [rows.pop()] if rows and len(rows[-1]) <= T else []
        for group in [rows[k:k + 32] for k in range(0, len(rows), 32)] + [short] * len(short):
            group = np.stack(group)                                          # (B, T + 1)
            nats += next_token_loss(self.model(group[:, :-1]), group[:, 1:]).item() * group[:, 1:].size
        return nats / math.log(2) / len(text)
        ### END SOLUTION

TinyGPT.bits_per_character = _bits_per_character

# %% nbgrader={"grade": true, "grade_id": "test-bits", "locked": true, "points": 12, "schema_version": 3, "solution": false, "task": false}
def test_unit_bits():
    """Every token is asked about once, given what stands before it in its window, and characters are counted, not tokens."""
    class Fan(Module):                                                       # expects the token it has just read again, and more so the further on
        vocab_size, max_seq_len, calls = 256, 4, 0
        def forward(self, ids):
            assert ids.shape[1] <= 4 and not self.training
            self.calls += 1
            return Tensor(rise * (np.arange(ids.shape[1])[:, None] + 1) * (ids[..., None] == np.arange(256)))
    rise, text = float(np.array([1.3])[0]), "aabbbacaé" * 3
    model, ids = Fan(), list(text.encode())
    tiny = TinyGPT(CharTokenizer(256), model)
    costs = [np.log(np.exp(rise * (k % 4 + 1)) + 255) - rise * (k % 4 + 1) * (a == b) for k, (a, b) in enumerate(zip(ids, ids[1:]))]
    bits = lambda nats, count=27: nats / np.log(2) / count
    right = bits(np.log(256) + sum(costs))
    expect.close(lambda: tiny.bits_per_character(text), right, "27 characters of 30 bytes, in windows of 4", mistaken={
        "bits, not nats: divide by ln 2": right * np.log(2), "a character, not a token": bits(np.log(256) + sum(costs), 30),
        "the first token costs something too": bits(sum(costs)), "the last window is a short one, and counts": bits(np.log(256) + sum(costs[:28])),
        "all bits, over the characters": right * len(text)},
        raises={AssertionError: "at most max_seq_len tokens at once, in evaluation mode", ValueError: "the last window is shorter: ask it by itself"},
        hint="the loss of a window is a mean: times the tokens that it is the mean of")
    longer = "ab" * 300
    model.calls = 0
    expect.close(lambda: tiny.bits_per_character(longer), bits(np.log(256) + sum(np.log(np.exp(rise * (k % 4 + 1)) + 255) for k in range(599)), 600),
                 "600 characters", hint="windows begin at 0, T, 2T, …")
    expect.true(lambda: model.calls <= 20, "several windows at once", hint="stack up to 32 windows: np.stack makes (B, T + 1)")
    expect.close(lambda: tiny.bits_per_character("a"), 8.0, "one character of 256", raises={IndexError: "there may be no window at all"})

test_unit_bits()

# %% [markdown]
"""
## 3 · One file

A model without its tokenizer is worth nothing, so both go into one file: a zip of `tokenizer.json`, `settings.json` (the form, and the settings of the
GPT) and `weights.npz`. All of it is packed, so that no form wins only because another was not. The forms are given: modules 13, 17 and 18 wrote them.
"""

# %%
#| export
FORMS = {                                                        # form -> (write(model, path), read(path, a GPT of the same settings) -> the model)
    "float32": (GPT.save, lambda path, model: GPT.load(path)),
    "quantized": (save_quantized, load_quantized),
    "sparse": (lambda model, path: save_sparse(model, path, "float16"), lambda path, model: load_sparse(model, path)),
}

def blank(settings):
    """A GPT of these settings, with weights that nobody wants."""
    return GPT(**settings)

# %% [markdown]
"""
**Your turn.** Both ways. `parts` are the three files, in a temporary folder: `tokenizer.save`, `json.dumps` and `FORMS[form][0]` fill them, and
`Tokenizer.load`, `json.loads` and `FORMS[form][1]` read them.
"""

# %% nbgrader={"grade": false, "grade_id": "save", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def _save(self, path):
    """Write tokenizer, settings and weights to one file; what was there stays until the new one is whole."""
    check_choice("TinyGPT.save", tuple(FORMS), form=self.form)
    with TemporaryDirectory() as folder:
        parts = [Path(folder) / name for name in ("tokenizer.json", "settings.json", "weights.npz")]
        ### BEGIN SOLUTION
        self.tokenizer.save(parts[0])
        parts[1].write_text(json.dumps([self.form, self.model.settings], default=lambda number: number.item()))
        FORMS[self.form][0](self.model, parts[2])
        ### END SOLUTION
        def write(file):
            with zipfile.ZipFile(file, "w") as archive:
                for part in parts:                                           # ZipInfo without a date: the same model, the same bytes
                    archive.writestr(zipfile.ZipInfo(part.name), part.read_bytes(), zipfile.ZIP_DEFLATED)
        replace_file(path, write)


def _load(cls, path):
    """The TinyGPT in a file that `save` wrote.  ValueError for any other file."""
    check_path("TinyGPT.load", path)
    try:
        with TemporaryDirectory() as folder, zipfile.ZipFile(path) as archive:
            parts = [Path(folder) / name for name in ("tokenizer.json", "settings.json", "weights.npz")]
            archive.extractall(folder)
            ### BEGIN SOLUTION
            form, settings = json.loads(parts[1].read_text())
            return cls(Tokenizer.load(parts[0]), FORMS[form][1](parts[2], blank(settings)), form)
            ### END SOLUTION
    except (ValueError, KeyError, TypeError, FileNotFoundError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is not what TinyGPT.save wrote: {error}") from error

TinyGPT.save, TinyGPT.load = _save, classmethod(_load)

# %% nbgrader={"grade": true, "grade_id": "test-save", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_save():
    """What comes back from a file is what went in, in every form, and an old file stays where a new one fails."""
    text = "And Ruth said"
    with TemporaryDirectory() as folder:
        path = Path(folder) / "ruth.tinygpt"
        tiny = TinyGPT(CharTokenizer(257).train("é"), GPT(257, 8, np.int64(1), 2, 8, positions="rotary", generator=np.random.default_rng(5)))
        tiny.save(path)
        expect.same(lambda: sorted(zipfile.ZipFile(path).namelist()), ["settings.json", "tokenizer.json", "weights.npz"], "three parts",
                    hint="fill parts[0], parts[1] and parts[2]")
        expect.same(lambda: TinyGPT.load(path).tokenizer.encode("é"), [256], "the tokenizer comes back", hint="tokenizer.save, and Tokenizer.load")
        expect.same(lambda: TinyGPT.load(path).model.settings, tiny.model.settings, "the settings, too", hint="json.dumps([self.form, self.model.settings])")
        expect.close(lambda: TinyGPT.load(path).bits_per_character(text), tiny.bits_per_character(text), "and the weights", tol=1e-6,
                     hint="FORMS[form][1](parts[2], blank(settings))")
        for form, make, tol in (("quantized", quantize_model, 1e-6), ("sparse", lambda model: model, 1e-2)):
            other = TinyGPT(tiny.tokenizer, make(tiny.model), form)
            expect.same(lambda: (other.save(path), TinyGPT.load(path).form)[1], form, "each form by its own functions", hint="FORMS[self.form], FORMS[form]",
                        raises={ValueError: "FORMS[self.form][0] writes, and FORMS[form][1] reads"})
            expect.close(lambda: TinyGPT.load(path).bits_per_character(text), other.bits_per_character(text), f"{form}: the same opinions", tol=tol)
        before = path.read_bytes()
        expect.true(lambda: (other.save(path), path.read_bytes() == before)[1], "the same model makes the same bytes", hint="nothing of the time of day")
        other.model.settings = {"no": object()}
        expect.raises((AttributeError, TypeError), lambda: other.save(path), "a model that cannot be written")
        expect.true(lambda: path.read_bytes() == before, "leaves the old file as it was", hint="fill the parts; replace_file does the rest")
        path.write_bytes(before[:-30])
        expect.raises(ValueError, lambda: TinyGPT.load(path), "half a file is refused", match="ruth.tinygpt TinyGPT.save")

test_unit_save()

# %% [markdown]
"""
## 4 · Learning

Module 07's Trainer knows how to train. It needs windows of ids drawn by chance, AdamW, the loss of the next token, and a learning rate that falls.
After each round a callback shall find out what a character of the *held-out* text costs, and write it into the trainer's history.
"""

# %%
#| export
class TinyGPTTrainer:
    """Module 07's Trainer around a TinyGPT: `rounds` times `steps` batches, windows of `text` drawn by chance; `held` is asked after each round."""
    def __init__(self, tiny, text, held, rounds=8, steps=50, batch_size=16, lr=3e-3):
        check_kind("TinyGPTTrainer", TinyGPT, tiny=tiny)
        check_kind("TinyGPTTrainer", str, text=text, held=held)
        check_whole("TinyGPTTrainer", rounds=rounds, steps=steps, batch_size=batch_size)
        check_number("TinyGPTTrainer", lr=lr)
        self.tiny, self.held, self.rounds = tiny, held, rounds
        data = TextDataset(tiny.tokenizer.encode(text), tiny.model.max_seq_len)
        self.loader = DataLoader(data, batch_size, sampler=RandomSampler(data, replacement=True, num_samples=steps * batch_size))
        self.optimizer = AdamW(tiny.model.parameters(), lr=lr, betas=(0.9, 0.95), weight_decay=0.1)
        self.trainer = Trainer(tiny.model, self.optimizer, next_token_loss, CosineSchedule(lr, lr / 20, rounds), grad_clip_norm=1.0)
        self.trainer.history["bits_per_character"] = []

# %% [markdown]
"""
**Your turn.** `fit`: a callback that appends to `trainer.history["bits_per_character"]`, and one call of `self.trainer.fit`. A callback that returns
True ends the run, so let yours return nothing.
"""

# %% nbgrader={"grade": false, "grade_id": "fit", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def _fit(self, checkpoint=None, resume=False, progress=None):
    """All rounds; returns the history.  `checkpoint`: a path, written after each round; `resume`: go on from there, if it exists."""
    ### BEGIN SOLUTION
    def ask(trainer):
        trainer.history["bits_per_character"].append(self.tiny.bits_per_character(self.held))
    return self.trainer.fit(self.loader, self.rounds, callbacks=[ask], checkpoint=checkpoint, resume=resume, progress=progress)
    ### END SOLUTION

TinyGPTTrainer.fit = _fit

# %% nbgrader={"grade": true, "grade_id": "test-fit", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def test_unit_fit():
    """It learns, is asked about what it has not learned, and goes on where it was interrupted."""
    def trainer(seed=4):
        manual_seed(seed)
        return TinyGPTTrainer(small(seed, 1.0), story[:3000], story[9000:9400], rounds=3, steps=2, batch_size=4)
    whole = trainer()
    expect.same(lambda: type(whole.fit()), dict, "the history comes back", hint="return what Trainer.fit returns")
    bits = whole.trainer.history["bits_per_character"]
    expect.same(lambda: [len(bits), whole.trainer.epoch], [3, 3], "three rounds, and three questions", hint="append in a callback that returns None")
    expect.close(lambda: bits[-1], whole.tiny.bits_per_character(story[9000:9400]), "the last one is about the held-out text", mistaken={
        "ask about self.held, which was not learned": whole.tiny.bits_per_character(story[:3000])}, tol=1e-6)
    expect.true(lambda: bits[0] > bits[-1], "it learns")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "run.npz"
        expect.true(lambda: (trainer().fit(checkpoint=path), path.exists())[1], "a checkpoint is written", hint="pass checkpoint on")
        expect.same(lambda: trainer(5).fit(checkpoint=path, resume=True)["bits_per_character"], bits, "and another one goes on from there", hint="pass resume on")
        expect.true(lambda: trainer(5).fit(checkpoint=path)["bits_per_character"] != bits, "if it was asked to", hint="pass resume on")

test_unit_fit()

# %% tags=["analysis"]
manual_seed(0)
tiny = TinyGPT(CharTokenizer(256), GPT(256, 16, 1, 2, 16))
history = TinyGPTTrainer(tiny, learned, held[:500], rounds=3, steps=4, batch_size=8, lr=0.02).fit()
print("bits a character:", np.round(history["bits_per_character"], 2))

# %% [markdown]
"""
## 5 · What a file says

Now the figures. Everything that can be found out from a file is found out *from the file*: the model is read back, and that one is asked. If saving
loses something, the figure shows it.

| key | what it is |
|---|---|
| `bytes`, `sha256` | size of the file; the hash of its bytes, `hashlib.sha256(data).hexdigest()` |
| `form` | how it is stored |
| `weights`, `flops` | how many weights a GPT of these settings has; what one token alone costs it (module 15) |
| `nbytes`, `sparsity` | what its arrays take in memory (module 17); the share of zeros in those with two axes or more |
| `bits_per_character` | of the held-out text |
| `sample` | what it writes after `PROMPT`: `WRITTEN` tokens, the best one each time |

**Your turn.** `_counted` (given) finds the four in the middle. The sample takes no chances, so that it is the same for everybody.
"""

# %%
#| export
PROMPT, WRITTEN = "And ", 16

def _counted(model):
    """The facts of a GPT that need no text."""
    plain, arrays = blank(model.settings), [a for a in model.state_dict().values() if a.ndim > 1]
    return {"weights": Profiler().count_parameters(plain), "flops": Profiler().count_flops(plain, (1, 1)), "nbytes": model_nbytes(model),
            "sparsity": float(1 - sum(map(np.count_nonzero, arrays)) / sum(a.size for a in arrays))}

# %% nbgrader={"grade": false, "grade_id": "facts", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def facts_of(path, held):
    """What anybody finds out who has the file of a TinyGPT and the held-out text: a dict of Python's numbers and text.  See the table above."""
    ### BEGIN SOLUTION
    data, tiny = Path(path).read_bytes(), TinyGPT.load(path)
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "form": tiny.form, **_counted(tiny.model),
            "bits_per_character": tiny.bits_per_character(held), "sample": tiny.write(PROMPT, WRITTEN, temperature=0)}
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-facts", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_facts():
    """The facts are those of the file, not of anything that was said about it."""
    tiny = small(7)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.tinygpt"
        tiny.save(path)
        facts = facts_of(str(path), story[:500])
        expect.same(lambda: sorted(facts), sorted(["bytes", "sha256", "form", "weights", "flops", "nbytes", "sparsity", "bits_per_character", "sample"]),
                    "the keys of the table")
        expect.same(lambda: facts["bytes"], path.stat().st_size, "the size of the file", mistaken={
            "of the file, not of the arrays": model_nbytes(tiny.model)}, hint="len(data)")
        expect.same(lambda: facts["sha256"], hashlib.sha256(path.read_bytes()).hexdigest(), "the hash of its bytes", mistaken={
            "of its bytes, not of its name": lambda got: got == hashlib.sha256(str(path).encode()).hexdigest()}, hint="hashlib.sha256(data).hexdigest()")
        expect.close(lambda: facts["bits_per_character"], tiny.bits_per_character(story[:500]), "what a character of the held-out text costs", tol=1e-6,
                     hint="ask the model that the file gives back about `held`")
        expect.same(lambda: facts["sample"], tiny.write("And ", 16, temperature=0), "what it writes", hint="temperature=0: the best token each time")
        TinyGPT(tiny.tokenizer, quantize_model(tiny.model, bits=4), "quantized").save(path)
        packed = facts_of(path, story[:99])
        expect.same(lambda: [packed[key] for key in ("form", "weights", "flops")], ["quantized", facts["weights"], facts["flops"]],
                    "quantised: the same number of weights", hint="**_counted(tiny.model)")
        expect.true(lambda: packed["nbytes"] < 0.5 * facts["nbytes"], "in less memory", hint="**_counted(tiny.model)")
        expect.true(lambda: json.loads(json.dumps(facts)) == facts, "plain numbers and text, which JSON can hold")

test_unit_facts()

# %% [markdown]
"""
## 6 · The race

Times cannot be read off a file. They are measured in turns (module 15): every contender writes once a round, and whatever the machine does besides
hits all of them alike. A contender is a file, and `cached` says whether it writes with the KV cache of module 14.

**Your turn.** `contenders` gives `{name: a function without arguments}`; each writes `tokens` tokens after `PROMPT`, the best one each time, and
returns the text. Reading the file and switching the cache on is no part of the race: do it before the function is called. Beware of a function made
in a loop: it looks up its names when it is *called*, and then the loop is over. `lambda tiny=tiny: …` keeps the one of now.
"""

# %% nbgrader={"grade": false, "grade_id": "contenders", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def contenders(entries, folder, tokens):
    """{name: a function that writes `tokens` tokens and returns the text} for entries {name: {"file", "cached"}}, the files being in `folder`."""
    ### BEGIN SOLUTION
    calls = {}
    for name, entry in entries.items():
        tiny = TinyGPT.load(Path(folder) / entry["file"])
        if entry["cached"]:
            enable_kv_cache(tiny.model)
        calls[name] = lambda tiny=tiny: tiny.write(PROMPT, tokens, temperature=0)
    return calls
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-contenders", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_contenders():
    """Each function writes with the model of its own file, with a cache where that was asked for, and does nothing else."""
    with TemporaryDirectory() as folder:
        a, b = small(1), small(2)
        a.save(Path(folder) / "a"), b.save(Path(folder) / "b")
        wanted = {"a": ("a", False), "a, cached": ("a", True), "b": ("b", False)}
        calls = contenders({name: {"file": file, "cached": cached} for name, (file, cached) in wanted.items()}, folder, 4)
        texts = {"a": a.write("And ", 4, 0), "b": b.write("And ", 4, 0)}
        expect.same(lambda: list(calls), list(wanted), "a function for each entry")
        expect.same(lambda: calls["b"](), texts["b"], "b writes what b writes", mistaken={
            "of each step the best token: temperature=0": lambda got: len(got) == 8 and got not in texts.values()})
        expect.same(lambda: calls["a"](), texts["a"], "and a what a writes", mistaken={
            "the function looks up the loop's names when it is called: lambda tiny=tiny": texts["b"]})
        expect.same(lambda: calls["a, cached"](), texts["a"], "a cache changes no text")
        def passing(name):
            with profile() as p:
                calls[name]()
            return sum(row["calls"] for row in p.rows() if row["name"] == "block_step")
        expect.same(lambda: passing("a"), 0, "without a cache", hint='enable_kv_cache only where entry["cached"]')
        expect.same(lambda: passing("a, cached"), 3, "with a cache, three tokens are one step each", hint="enable_kv_cache(tiny.model)")
        for path in Path(folder).iterdir():
            path.unlink()
        expect.same(lambda: calls["b"](), texts["b"], "the files are read before the race", hint="load outside of the function",
                    raises={(ValueError, OSError): "load outside of the function: reading a file is no part of the race"})

test_unit_contenders()

# %% [markdown]
"""
## 7 · The pipeline

Eight steps, each a method. What a step returns are its figures; `pipeline_step` notes them, with the seconds it took, and refuses a step that comes too early.
"""

# %%
#| export
SETTINGS = {"vocab_size": 512, "embed_dim": 64, "num_layers": 2, "num_heads": 4, "max_seq_len": 128,           # the model
            "rounds": 6, "steps": 50, "batch_size": 8, "lr": 3e-3, "seed": 0,                                  # its training
            "sparsity": 0.6, "tune": 2, "tokens": 96, "repeats": 7, "matrix": 1024}          # pruning, the race, and how the machine's peak is measured

class CompleteTinyGPTPipeline:
    """From a text to a report: `run()`, or the steps one by one: prepare train profile accelerate cache quantize prune report.

    settings: what differs from `SETTINGS`.  folder: for the files of all variants, report.html, report.json and submission.json.
    """
    def __init__(self, text, settings=None, folder="tinygpt"):
        check_kind("CompleteTinyGPTPipeline", str, text=text)
        if unknown := sorted(set(settings or {}) - set(SETTINGS)):
            raise ValueError(f"CompleteTinyGPTPipeline: settings are {', '.join(SETTINGS)}, not {', '.join(unknown)}")
        self.text, self.settings, self.folder = text, SimpleNamespace(**SETTINGS | (settings or {})), Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.result = BenchmarkReport(text={"characters": len(text), "sha256": hashlib.sha256(text.encode()).hexdigest()})

    def run(self):
        """All steps; the BenchmarkReport."""
        for name in ("prepare", "train", "profile", "accelerate", "cache", "quantize", "prune", "report"):
            getattr(self, name)()
        return self.result


def pipeline_step(method):
    """A step of the pipeline: its figures (a dict) are noted under its name, with the seconds that it took.  RuntimeError where it comes too early."""
    name = method.__name__.strip("_")
    def run(self):
        for needed in {"prepare": (), "train": ("prepare",)}.get(name, ("prepare", "train")):
            if needed not in self.result.steps:
                raise RuntimeError(f"{name}: there is nothing to work on yet; first {needed}()")
        began = time.perf_counter()
        figures = method(self)
        self.result.steps[name] = {**figures, "seconds in all": time.perf_counter() - began}
        return figures
    run.__name__ = name
    return run


def _shelve(self, name, tiny, cached=False):
    """Save a variant, and enter what anybody can find out from its file."""
    path = self.folder / f"{name}.tinygpt"
    tiny.save(path)
    self.result.entries[name] = {"file": path.name, "cached": cached, **facts_of(path, self.held)}
    return self.result.entries[name]["bits_per_character"]

CompleteTinyGPTPipeline.shelve = _shelve

# %% [markdown]
"""
The tokenizer, too, learns only from what is not held out, and a training that was interrupted goes on from its checkpoint. `profile` asks where a
training step spends its time, and how near it comes to what this machine can do (module 15). `accelerate` stores the activations in half the bytes
(module 16), and tells what that saves and what it costs. `cache` is the same file, written with otherwise: it must write the same text, or it is no
cache, and it says how long a text must be before it pays.
"""

# %%
#| export
@pipeline_step
def _prepare(self):
    s = self.settings
    manual_seed(s.seed)
    self.learned, self.held = split_text(self.text)
    tokenizer = BPETokenizer(s.vocab_size).train(self.learned)
    self.tiny = TinyGPT(tokenizer, GPT(tokenizer.vocab_size, s.embed_dim, s.num_layers, s.num_heads, s.max_seq_len))
    ids = tokenizer.encode(self.learned)
    self.batch = np.resize(ids, (s.batch_size, s.max_seq_len + 1))           # to measure steps with
    return {"characters held out": len(self.held), "characters a token": len(self.learned) / len(ids),
            "bits a character, untrained": self.tiny.bits_per_character(self.held)}


@pipeline_step
def _train(self):
    s, mark = self.settings, self.folder / f"checkpoint-{self.result.text['sha256'][:8]}.npz"
    trainer = TinyGPTTrainer(self.tiny, self.learned, self.held, s.rounds, s.steps, s.batch_size, s.lr)
    began = time.perf_counter()
    bits = trainer.fit(checkpoint=mark, resume=True)["bits_per_character"]
    seconds = time.perf_counter() - began
    mark.unlink()
    self.shelve("float32", self.tiny)
    return {"bits a character, by rounds": bits, "tokens a second": s.rounds * s.steps * s.batch_size * s.max_seq_len / seconds}

# %%
#| export
def _descend(self, dtype="float32"):
    """A training step without its optimizer, its activations stored in this dtype: the loss.  Gradients are scaled, as in module 16."""
    self.tiny.model.zero_grad()
    with autocast(dtype):
        loss = next_token_loss(self.tiny.model(self.batch[:, :-1]), self.batch[:, 1:])
        (loss * 1024.0).backward()
    return loss.item()


@pipeline_step
def _profile(self):
    with profile() as p:
        self.descend()
    peak, bandwidth = machine_peak(self.settings.matrix, 8 * self.settings.matrix ** 2)
    self.result.machine = {"flops_per_second": peak, "bytes_per_second": bandwidth, "python": platform.python_version(), "numpy": np.__version__}
    seconds = measure(self.descend, 1, self.settings.repeats).median
    return {"FLOPs of a step": p.total("flops"), "of them backward": p.total("flops", "backward"), "seconds of a step": seconds,
            "share of the machine's peak": p.total("flops") / seconds / peak,
            "longest": [f"{row['name']} {row['phase']} {row['own_seconds'] / p.root.seconds:.0%}" for row in p.rows()[:3]]}


@pipeline_step
def _accelerate(self):
    calls = {dtype: lambda dtype=dtype: self.descend(dtype) for dtype in ("float32", "float16", "bfloat16")}
    times = compare(calls, 1, self.settings.repeats)
    return {"activations stored as": list(calls), "seconds of a step": [timing.median for timing in times.values()],
            "peak bytes of a step": [peak_memory(call) for call in calls.values()], "loss": [call() for call in calls.values()]}


@pipeline_step
def _cache(self):
    first, lengths = self.result.entries["float32"], sorted({1, *(-(-self.settings.tokens // n) for n in (8, 2, 1))})
    pair, times = {"again": first, "cached": first | {"cached": True}}, []
    for tokens in lengths:
        calls = contenders(pair, self.folder, tokens)
        if calls["again"]() != calls["cached"]():
            raise RuntimeError(f"cache: with the cache the model writes another text of {tokens} tokens")
        times.append([timing.median for timing in compare(calls, 1, self.settings.repeats).values()])
    self.result.entries["float32 cached"] = pair["cached"]
    again, cached = zip(*times)
    return {"tokens": lengths, "times faster": [a / b for a, b in times], "pays from so many tokens": break_even(lengths, again, cached)}


@pipeline_step
def _quantize(self):
    tokenizer, model = self.tiny.tokenizer, self.tiny.model
    bits = [self.shelve(f"int{n}", TinyGPT(tokenizer, quantize_model(model, bits=n), "quantized"), cached=True) for n in (8, 4)]
    return {"bits a character, int8": bits[0], "bits a character, int4": bits[1]}

for _made in (_prepare, _train, _descend, _profile, _accelerate, _cache, _quantize):
    setattr(CompleteTinyGPTPipeline, _made.__name__.strip("_"), _made)

# %% [markdown]
"""
**Prune.** The smallest weights become 0, and the others are trained on, to make up for it. An optimizer knows nothing of zeros: after its first step
they are gone. `masks.held` (module 18) sets them to 0 again after every step.

**Your turn.** Prune, ask, train on, ask again. `trainer` is a TinyGPTTrainer of `tiny`.
"""

# %% nbgrader={"grade": false, "grade_id": "prune", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def prune_and_tune(tiny, sparsity, trainer):
    """Set this share of the weights to 0 and train the others on: (bits a character of trainer.held before that training, and after it)."""
    ### BEGIN SOLUTION
    masks = magnitude_prune(tiny.model, sparsity)
    before = tiny.bits_per_character(trainer.held)
    with masks.held(trainer.optimizer):
        trainer.fit()
    return before, tiny.bits_per_character(trainer.held)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-prune", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_prune():
    """The smallest weights are 0, and are still 0 when the others have learned."""
    def made(seed=6):
        manual_seed(seed)
        tiny = small(seed, 1.0)
        return tiny, TinyGPTTrainer(tiny, story[:3000], story[9000:9300], rounds=1, steps=6, batch_size=4)
    tiny, trainer = made()
    before, after = prune_and_tune(tiny, 0.7, trainer)
    expect.close(lambda: measure_sparsity(tiny.model), 0.7, "seven of ten are 0 at the end", tol=1e-3, mistaken={
        "the optimizer moves zeros too: with masks.held(trainer.optimizer)": lambda got: got < 0.2, "so many become 0": lambda got: 0.2 < got < 0.4},
                 hint="magnitude_prune(tiny.model, sparsity)")
    other, _ = made()
    magnitude_prune(other.model, 0.7)
    expect.close(lambda: before, other.bits_per_character(story[9000:9300]), "before the others learned", tol=1e-6, hint="ask between pruning and training")
    expect.true(lambda: tiny.bits_per_character(story[9000:9300]) < before, "the others make up for it", hint="train on: trainer.fit()")
    kept = {name: p.data != 0 for name, p in other.model.named_parameters() if p.ndim > 1}
    expect.true(lambda: all((p.data[~kept[name]] == 0).all() for name, p in tiny.model.named_parameters() if name in kept), "the smallest of the start are the zeros",
                hint="prune first, then train")
    expect.close(lambda: after, tiny.bits_per_character(story[9000:9300]), "after it", tol=1e-6, hint="ask once more at the end")

test_unit_prune()

# %%
#| export
@pipeline_step
def _prune(self):
    """What is pruned was trained for longer than the rest.  So the whole model is trained for as long, too, as a control."""
    s, answers = self.settings, {}
    for name, sparsity, form in ("control", 0.0, "float32"), ("pruned", s.sparsity, "sparse"):
        manual_seed(s.seed + 1)
        tiny = TinyGPT.load(self.folder / self.result.entries["float32"]["file"])
        answers[name] = prune_and_tune(tiny, sparsity, TinyGPTTrainer(tiny, self.learned, self.held, s.tune, s.steps, s.batch_size, s.lr / 3))
        self.shelve(name, TinyGPT(tiny.tokenizer, tiny.model, form), cached=True)
    return {"share of zeros": s.sparsity, "bits a character, pruned": answers["pruned"][0], "and trained on": answers["pruned"][1],
            "as long, without pruning": answers["control"][1]}

CompleteTinyGPTPipeline.prune = _prune

# %% [markdown]
"""
## 8 · The report

All entries race together in the last step, and every single time is kept. What do they mean? Compared with the first entry, the trained model as it
is: how many times smaller, how many times faster, how many bits a character worse.

**Your turn.** The typical time is the *median*: one round in which the machine did something else would move the mean. "Twice as fast" means half of
the seconds for as many tokens.
"""

# %%
#| export
class BenchmarkReport:
    """What was measured: of the `machine`, of the `text`, in the `steps` of a run {name: figures}, of its `entries` {name: facts and times}."""
    def __init__(self, machine=None, text=None, steps=None, entries=None):
        self.machine, self.text, self.steps, self.entries = machine or {}, text or {}, steps or {}, entries or {}

    def save(self, folder):
        """Write report.json and report.html."""
        for name, text in ("report.json", json.dumps(vars(self), indent=1)), ("report.html", self.to_html()):
            replace_file(Path(folder) / name, lambda file: file.write(text.encode()))

    @classmethod
    def load(cls, path):
        """The report in a report.json."""
        return cls(**json.loads(Path(path).read_text(encoding="utf-8")))

# %% nbgrader={"grade": false, "grade_id": "ratios", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def _ratios(self):
    """{name: (times smaller, times faster, bits a character more)} than the first entry.

    >>> entry = {"bytes": 40, "tokens": 8, "seconds": [0.2, 0.1, 0.3], "bits_per_character": 1.5}
    >>> BenchmarkReport(entries={"a": entry, "b": entry | {"bytes": 10, "tokens": 16}}).ratios()
    {'a': (1.0, 1.0, 0.0), 'b': (4.0, 2.0, 0.0)}
    """
    ### BEGIN SOLUTION
    first, *_ = self.entries.values()
    speed = lambda entry: entry["tokens"] / statistics.median(entry["seconds"])
    return {name: (first["bytes"] / entry["bytes"], speed(entry) / speed(first), entry["bits_per_character"] - first["bits_per_character"])
            for name, entry in self.entries.items()}
    ### END SOLUTION

BenchmarkReport.ratios = _ratios

# %% nbgrader={"grade": true, "grade_id": "test-ratios", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def test_unit_ratios():
    """Twice as fast is half the time, and a machine that was busy once changes nothing."""
    made = lambda size, seconds, bits, tokens=8: {"bytes": size, "seconds": seconds, "bits_per_character": bits, "tokens": tokens}
    slow, fast = np.array([0.4, 0.8, 9.0]).tolist(), np.array([0.7, 0.15, 0.25]).tolist()
    report = BenchmarkReport(entries={"first": made(4000, slow, 2.0), "second": made(1000, fast, 2.25), "third": made(8000, slow, 1.5, 16)})
    middle = sorted(slow)[1] / sorted(fast)[1]
    expect.close(lambda: list(report.ratios()["second"]), [4.0, middle, 0.25], "times smaller, times faster, bits more",
                 mistaken={"times smaller: the first over this one": lambda got: got[0] < 1, "times faster: more tokens a second": lambda got: got[1] < 1,
                           "the median, not the mean": [4.0, sum(slow) / sum(fast), 0.25], "the median, not the best": [4.0, min(slow) / min(fast), 0.25],
                           "bits are not divided: the difference": [4.0, middle, 1.125], "more than the first: this one minus the first": [4.0, middle, -0.25]})
    expect.close(lambda: list(report.ratios()["third"]), [0.5, 2.0, -0.5], "twice as many tokens in the same time", mistaken={
        "tokens a second: it wrote twice as many": [0.5, 1.0, -0.5]})
    expect.close(lambda: list(report.ratios()["first"]), [1.0, 1.0, 0.0], "the first beside itself")
    expect.same(lambda: list(report.ratios()), ["first", "second", "third"], "all of them, in their order")

test_unit_ratios()

# %% [markdown]
"""
The page itself (given): tables, and pictures as SVG in the page, so that it is one file. Whatever was in the text comes out of `html.escape`: a model
that has read web pages writes `<script>`, and a browser would run it.
"""

# %%
#| export
def _cell(x):
    """A figure as text for a page."""
    shown = ", ".join(map(_cell, x)) if isinstance(x, (list, tuple)) else f"{x:,}" if type(x) is int else f"{x:.4g}" if isinstance(x, float) else str(x)
    return shown if isinstance(x, (list, tuple)) else html.escape(shown)


def _table(rows):
    """Rows, the first one being the headings, as HTML."""
    return "<table>" + "".join("<tr>" + "".join(f"<t{'d' if k else 'h'}>{_cell(x)}" for x in row) + "\n" for k, row in enumerate(rows)) + "</table>"


def _to_html(self):
    """The report as a page, whole in itself."""
    names, rows, ratios = list(self.entries), list(self.entries.values()), self.ratios()
    column = lambda key: [row[key] for row in rows]
    seconds = [statistics.median(row["seconds"]) for row in rows]
    table = [["", "bytes", "times smaller", "bits a character", "more", "ms", "tokens a second", "times faster", "95 %, round by round"]]
    for name, row, each in zip(names, rows, seconds):
        smaller, faster, more = ratios[name]
        interval = BenchmarkResult(name, row["seconds"]).speedup_over(BenchmarkResult("", rows[0]["seconds"])).interval
        table.append([name, row["bytes"], smaller, row["bits_per_character"], more, each * 1e3, row["tokens"] / each, faster, list(interval)])
    parts = [_table(table), plot_pareto(names, column("bytes"), column("bits_per_character"), "bits a character over bytes", higher=False),
             plot_pareto(names, seconds, column("bits_per_character"), "bits a character over seconds", higher=False),
             "<h2>What they write, and every time that was measured</h2>", _table([["", "sample", "seconds"], *zip(names, column("sample"), column("seconds"))])]
    for title, figures in {"text": self.text, "machine": self.machine, **self.steps}.items():
        parts += [f"<h2>{html.escape(title)}</h2>", _table([["", ""], *figures.items()])]
    style = "body{font:14px sans-serif;max-width:60em;margin:2em auto}td,th{text-align:left;padding:2px 12px 2px 0;vertical-align:top}"
    return f'<!doctype html><html lang="en"><meta charset="utf-8"><title>TinyGPT</title><style>{style}</style><h1>TinyGPT</h1>{"".join(parts)}</html>'

BenchmarkReport.to_html = _to_html

# %% [markdown]
r"""
## 9 · Handing it in, and checking it

A submission is what can be checked, and the files beside it. A liar writes into it what he likes. What can be found out without a file?

* There are at least five times, all above 0, and not all the same: no clock is that regular.
* A token costs so many operations (`flops`, if no weight is 0). More of them a second than the machine does at its best were never done.
* A file can be too small. If the share $p$ of the weights is *not* 0, then a list of which ones takes at least
  $H(p) = -p \log_2 p - (1-p) \log_2 (1-p)$ bits a weight, however it is packed (Shannon, 1948), and each of them has at least a sign, one more bit.
  So a file has at least $(H(p) + p) \cdot \text{weights} / 8$ bytes.
"""

# %%
#| export
def generate_submission(report):
    """What is handed in beside the files, as a dict that JSON can hold: the text, the machine, the entries."""
    return {"schema_version": 1, "text": report.text, "machine": report.machine, "entries": report.entries}


def entropy(p):
    """Bits that it takes to say yes or no, where a share p of the answers is yes.

    >>> entropy(0.5), entropy(0.0), round(entropy(0.95), 2)
    (1.0, 0.0, 0.29)
    """
    return -sum(q * math.log2(q) for q in (p, 1 - p) if q > 0) + 0.0


def _misshapen(entry):
    """What an entry lacks, or has of another kind."""
    kinds = {"file": str, "cached": bool, "tokens": int, "seconds": list}
    wrong = [f"{key}: a {kind.__name__} wanted, not {entry.get(key)!r:.40}" for key, kind in kinds.items() if type(entry.get(key)) is not kind]
    return wrong or ["seconds: numbers wanted"] * any(type(s) not in (int, float) for s in entry["seconds"]) + ["tokens: at least 1"] * (entry["tokens"] < 1)

# %% [markdown]
"""
**Your turn.** `wrong` gets a sentence for each thing that cannot be. Begin each one with the name of the figure, as the given one does.
"""

# %% nbgrader={"grade": false, "grade_id": "implausible", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def implausible(entry, peak):
    """What in an entry cannot be, whoever measured it, a list of sentences; `peak`: the most FLOPs a second of the machine."""
    wrong, seconds, there = [], entry["seconds"], 1 - entry["sparsity"]
    if len(seconds) < 5 or not all(0 < s < math.inf for s in seconds):
        return ["seconds: at least 5 times wanted, all above 0"]
    ### BEGIN SOLUTION
    if len(set(seconds)) == 1:
        wrong.append(f"seconds: no clock says {seconds[0]} every time")
    rate = entry["flops"] * there * entry["tokens"] / min(seconds)
    if rate > peak:
        wrong.append(f"seconds: {rate:.2g} FLOPs a second, and the machine's most is {peak:.2g}")
    least = (entropy(there) + there) * entry["weights"] / 8
    if entry["bytes"] < least:
        wrong.append(f"bytes: where the zeros are, and the signs of the rest, takes {least:,.0f} bytes, not {entry['bytes']:,}")
    ### END SOLUTION
    return wrong

# %% nbgrader={"grade": true, "grade_id": "test-implausible", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_implausible():
    """No clock stands still, no machine is faster than its best, and no file is smaller than what it says."""
    base = float(np.array([0.8])[0])
    seconds = [base, base * 1.1, base * 1.3, base * 1.05, base * 1.2]
    entry = {"seconds": seconds, "sparsity": 0.0, "flops": 1000, "tokens": 50, "weights": 8000, "bytes": 1000}
    rate = 1000 * 50 / base
    named = lambda change, peak=1e9: [problem.partition(":")[0] for problem in implausible(entry | change, peak)]
    expect.same(lambda: named({}), [], "what can be is not complained about", hint="8,000 weights, none of them 0, have 8,000 signs: 1,000 bytes")
    expect.same(lambda: named({"seconds": [base] * 5}), ["seconds"], "five times the same", hint="len(set(seconds)) == 1")
    expect.same(lambda: named({"seconds": [base, base, base, base, base * 1.1]}), [], "two of a kind can be", hint="only all of them the same cannot be")
    expect.same(lambda: named({}, rate * 0.99), ["seconds"], "one percent faster than the machine can",
                hint="flops times tokens over the shortest time: that one was the fastest")
    expect.same(lambda: named({}, rate), [], "as fast as it can", hint='a token costs entry["flops"]')
    expect.same(lambda: [named({"sparsity": 0.5, "bytes": 2000}, rate * share) for share in (0.51, 0.49)], [[], ["seconds"]],
                "where half of the weights are 0, half of the work is enough", hint="times the share that is not 0")
    expect.same(lambda: named({"bytes": 999}), ["bytes"], "eight thousand signs take a thousand bytes", hint="(entropy + share) times weights, over 8")
    expect.same(lambda: named({"weights": 8004}), ["bytes"], "and four more half a byte", hint="a share of a byte is missing, too: / 8, without rounding")
    expect.same(lambda: [named({"sparsity": 0.5, "bytes": size}) for size in (1500, 1499)], [[], ["bytes"]], "half are 0: 1 bit for where, and half a sign",
                mistaken={"where the zeros are takes bits, too": [[], []], "only weights that are not 0 have a sign": [["bytes"], ["bytes"]]},
                hint="entropy(there) + there bits a weight")
    expect.same(lambda: named({"sparsity": 0.95, "bytes": 300}), ["bytes"], "95 % are 0, in a hundredth of the room", hint="entropy(0.05) + 0.05 bits a weight")
    expect.same(lambda: [named({"seconds": times}) for times in ([base] * 4, [*seconds, -1.0], [*seconds, math.nan])], [["seconds"]] * 3, "and the given ones")

test_unit_implausible()

# %%
for sparsity in (0.0, 0.5, 0.9, 0.95, 0.99):
    bits = entropy(1 - sparsity) + 1 - sparsity
    print(f"{sparsity:4.0%} zeros: at least {bits:.3f} bits a weight, so at most {32 / bits:5.1f} times smaller than float32")

# %% [markdown]
"""
That finds clumsy lies. A careful liar stays plausible, so the rest is *found out again*: the judge has the files and the text, and `facts_of` was
made for this. Note what he does not take from the submission: the text that is asked about. It is his own.

**Your turn.** The facts of the file, each compared with what the entry says. Whole numbers and text must be equal; floats may differ by a thousandth
(`math.isclose(…, rel_tol=1e-3)`), because another machine adds up in another order. Then ask `implausible`, with the facts that you found in place of
the ones that were claimed: `{**entry, **facts}`. Only the *name* of the file counts (`Path(…).name`): a submission shall not lead the judge out of
its folder. A file that is missing or broken is a sentence that begins with `file`, not an exception.
"""

# %% nbgrader={"grade": false, "grade_id": "objections", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def objections(entry, folder, held, peak):
    """What in an entry does not stand, a list of sentences, each beginning with the name of a figure."""
    if wrong := _misshapen(entry):
        return wrong
    ### BEGIN SOLUTION
    try:
        facts = facts_of(Path(folder) / Path(entry["file"]).name, held)
    except (OSError, ValueError) as error:
        return [f"file: {error}"]
    for key, found in facts.items():
        said = entry.get(key)
        if type(said) is not type(found) or not (math.isclose(said, found, rel_tol=1e-3) if type(found) is float else said == found):
            wrong.append(f"{key}: it is {found!r:.70}, not {said!r:.70}")
    return wrong + implausible({**entry, **facts}, peak)
    ### END SOLUTION


def validate_submission(submission, folder=None, text=None, peak=None):
    """What in a submission does not stand, a list of sentences; empty where all of it does.

    submission: the path of a submission.json, or what is in it; then `folder` is where its files are.  text: the one that the rules name, by default
    the course's.  peak: the most FLOPs a second of the machine that it speaks of, by default this one's, measured.
    """
    if not isinstance(submission, dict):
        check_path("validate_submission", submission)
    check_kind("validate_submission", str, none=True, text=text)
    check_number("validate_submission", none=True, peak=peak)
    if not isinstance(submission, dict):
        folder, submission = folder or Path(submission).parent, json.loads(Path(submission).read_text(encoding="utf-8"))
    text, peak = load_text() if text is None else text, peak or machine_peak()[0]
    entries, wrong = submission.get("entries") or {}, []
    if submission.get("text", {}).get("sha256") != hashlib.sha256(text.encode()).hexdigest():
        wrong.append("text: it is about another text")
    if not entries:
        wrong.append("entries: there are none")
    return wrong + [f"{name}: {problem}" for name, entry in entries.items() for problem in objections(entry, folder or ".", split_text(text)[1], peak)]

# %% nbgrader={"grade": true, "grade_id": "test-objections", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_objections():
    """Whatever is claimed and is not so is found, and nothing else is."""
    held = story[:100]
    with TemporaryDirectory() as folder:
        folder = Path(folder) / "in"
        folder.mkdir()
        tiny = small(9)
        tiny.save(folder / "a")
        tiny.save(folder.parent / "b")
        seconds = np.array([0.8, 0.81, 0.9, 0.85, 0.82]).tolist()
        honest = {"file": "a", "cached": False, "tokens": 4, "seconds": seconds, **facts_of(folder / "a", held)}
        named = lambda change, peak=1e9: [problem.partition(":")[0] for problem in objections({**honest, **change}, folder, held, peak)]
        expect.same(lambda: named({}), [], "what is so stands")
        lies = {"bytes": honest["bytes"] // 4, "sha256": "0" * 64, "form": "quantized", "weights": honest["weights"] * 2, "flops": 1,
                "nbytes": honest["nbytes"] // 4, "sparsity": 0.9, "bits_per_character": honest["bits_per_character"] * 0.9985, "sample": "And God said"}
        expect.same(lambda: named(lies), list(lies), "nine lies, nine sentences", hint="compare every fact with what was said", raises={
            TypeError: "compare the types first"})
        expect.same(lambda: [problem[:6] for problem in objections({key: said for key, said in honest.items() if key != "sha256"}, folder, held, 1e9)], ["sha256"],
                    "and what is missing", raises={KeyError: "entry.get(key): it may be missing"})
        expect.same(lambda: named({"bits_per_character": None, "sample": None}), ["bits_per_character", "sample"], "so is what was not said",
                    hint="other types are no equals", raises={TypeError: "compare the types first: what was said may be None"})
        expect.same(lambda: named({"bits_per_character": honest["bits_per_character"] * 1.0001}), [], "another machine adds up in another order",
                    hint="math.isclose(said, found, rel_tol=1e-3)")
        expect.same(lambda: named({"seconds": [0.5] * 5}), ["seconds"], "times are looked at", hint="ask implausible, too: it looks at the times")
        expect.same(lambda: named({"flops": 0}, 1.0), ["flops", "seconds"], "what is plausible is asked of the facts, not of the claims",
                    hint="implausible({**entry, **facts}, peak)")
        expect.same(lambda: [named({"file": file}) for file in ("c", "../b")], [["file"]] * 2, "a file that is not there, and one outside of the folder",
                    mistaken={"only the name counts: Path(…).name": [["file"], []]}, hint="except (OSError, ValueError)",
                    raises={(OSError, ValueError): "a file that cannot be read is a sentence that begins with file"})
        (folder / "a").write_bytes(b"no zip")
        expect.same(lambda: named({}), ["file"], "a broken file", raises={ValueError: "a file that cannot be read is a sentence that begins with file"})
        expect.true(lambda: {name for change in ({"tokens": "4"}, {"file": None}, {"seconds": ["1"]}, {"cached": 1}) for name in named(change)}
                    == {"tokens", "file", "seconds", "cached"}, "and whatever is no entry at all")

test_unit_objections()

# %%
#| export
@pipeline_step
def _report(self):
    s, entries = self.settings, self.result.entries
    for name, timing in compare(contenders(entries, self.folder, s.tokens), 1, s.repeats).items():
        entries[name] |= {"tokens": s.tokens, "seconds": list(timing.times)}
    self.result.save(self.folder)
    submission = json.dumps(generate_submission(self.result), indent=1)
    replace_file(self.folder / "submission.json", lambda file: file.write(submission.encode()))
    return {"entries": len(entries), "tokens": s.tokens, "rounds": s.repeats}

CompleteTinyGPTPipeline.report = _report

# %% nbgrader={"grade": true, "grade_id": "test-module", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_module():
    """Everything together: a text goes in, a report comes out, and it stands; a forged one does not."""
    settings = {"vocab_size": 280, "embed_dim": 8, "num_layers": 1, "num_heads": 2, "max_seq_len": 16, "rounds": 2, "steps": 3, "batch_size": 2,
                "tokens": 2, "repeats": 5, "tune": 1, "matrix": 64, "seed": int(np.random.default_rng(1).integers(9))}
    with TemporaryDirectory() as folder:
        pipeline, text = CompleteTinyGPTPipeline(story[:4000], settings, folder), story[:4000]
        report = pipeline.run()
        expect.raises(RuntimeError, CompleteTinyGPTPipeline(text, settings, folder).cache, "a step that comes too early is refused", match="cache prepare")
        expect.same(lambda: list(report.steps), ["prepare", "train", "profile", "accelerate", "cache", "quantize", "prune", "report"], "eight steps")
        expect.same(lambda: list(report.entries), ["float32", "float32 cached", "int8", "int4", "control", "pruned"], "six entries")
        size = {name: entry["bytes"] for name, entry in report.entries.items()}
        expect.true(lambda: size["int4"] < size["int8"] < size["float32"] > size["pruned"], "files that are smaller")
        bits = report.steps["train"]["bits a character, by rounds"]
        expect.true(lambda: bits[1] < bits[0] < report.steps["prepare"]["bits a character, untrained"], "it learns")
        path = Path(folder) / "submission.json"
        expect.same(lambda: validate_submission(path, text=text, peak=1e13), [], "the submission stands")
        forged = json.loads(path.read_text())
        forged["entries"] = {"int4": forged["entries"]["int4"] | {"bits_per_character": bits[0] / 2}}
        expect.same(lambda: [problem.split(":")[:2] for problem in validate_submission(forged, folder, text, 1.0)],
                    [["int4", " bits_per_character"], ["int4", " seconds"]], "a forged one does not, on a machine that is too slow for it")
        expect.same(lambda: [problem[:5] for problem in validate_submission({"text": report.text}, folder, story[:5000], 1e13)], ["text:", "entri"],
                    "nor an empty one, about another text")
        again = BenchmarkReport.load(Path(folder) / "report.json")
        expect.same(lambda: again.ratios(), report.ratios(), "the report comes back from its file")
        again.entries["pruned"]["sample"] = "<script>x</script>"
        expect.true(lambda: "<script>" not in again.to_html() and "&lt;script&gt;" in again.to_html(), "what a model writes is no part of the page")
        expect.raises(ValueError, lambda: CompleteTinyGPTPipeline(text, {"embed": 8}, folder), "settings that there are not", match="embed embed_dim")
        expect.raises(ValueError, lambda: TinyGPT(CharTokenizer(256), pipeline.tiny.model), "ids that do not fit", match="256 280")
        expect.same(lambda: pipeline.tiny([[1, 2, 3]]).shape, (1, 3, pipeline.tiny.tokenizer.vocab_size), "scores for every token")
        expect.raises(ValueError, lambda: split_text("short"), "a text that is too short", match="1,000")

test_module()

# %% [markdown]
"""
## 10 · In earnest

A third of the Bible that ships with the course, less than a minute. Before you run it: which of the six entries will be the smallest, which the fastest, and
which the worst?
"""

# %% tags=["analysis"]
pipeline = CompleteTinyGPTPipeline(load_text()[:300_000], folder="build/tinygpt")
report = pipeline.run()
for name, figures in report.steps.items():
    print(name, *[f"   {key}: {_cell(value)}" for key, value in figures.items()], sep="\n")

# %% tags=["analysis"]
print(f"{'':16}{'bytes':>9}{'smaller':>9}{'bits':>8}{'more':>8}{'faster':>8}")
for name, (smaller, faster, more) in report.ratios().items():
    entry = report.entries[name]
    print(f"{name:16}{entry['bytes']:9,}{smaller:9.2f}{entry['bits_per_character']:8.3f}{more:+8.3f}{faster:8.2f}")
print(pipeline.tiny.write("And God said", 80))

# %% [markdown]
"""
Read the table twice. Zeros make a file smaller and nothing faster: they are multiplied like all other numbers. Whole numbers make it smaller still, and
for a model as small as this one they may be slower than floats, because they are widened first. And compare "pruned" with "control", which
was trained for as long, not with the first row. `build/tinygpt/report.html` has it all on a page. Does it stand? And a forged one?
"""

# %% tags=["analysis"]
print(validate_submission("build/tinygpt/submission.json", text=pipeline.text) or "it stands")
forged = json.loads(Path("build/tinygpt/submission.json").read_text())
forged["entries"]["int8"]["seconds"] = [s / 10_000 for s in forged["entries"]["int8"]["seconds"]]
print(*validate_submission(forged, "build/tinygpt", pipeline.text), sep="\n")

# %% [markdown]
"""
## 11 · In your own words

Which forgeries does `validate_submission` *not* find? Name two, and for each a rule of the competition that would help.
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-forgery", "locked": false, "points": 5, "schema_version": 3, "solution": true, "task": false}
"""
Training on the held-out text: the figure is right, and worth nothing. The text that is asked about must be one that nobody had before. Times of another
machine, or of many runs of which the best were kept: both look plausible. The judge must run the race himself, on his machine, as often as he decides.
"""

# %% [markdown]
"""
## Where you are

From an array that knows how it was made to a language model, its measurements, and a judge who believes nothing. Next: `tito module complete 20`. Then
give the pipeline a text of your own, and hand in what it finds.
"""
