"""2017: attention, and a network that learns to write.

    python milestones/05_transformer.py [--seed N] [--output FOLDER] [--json] [--text FILE] [--corpus python] [--resume] [--quick]

"Attention Is All You Need": Ashish Vaswani and seven colleagues at Google dropped what had read texts until then, word after word. Every
word looks at all words before it, at once. Language models have been built that way ever since.

First a single layer of attention copies and reverses words that it has never seen, and shows where it looks. Then a GPT of modules 01 to 13
learns from a text, for minutes, to write more of it, and must guess better than a table of how often each letter came after three others.
"""

import math
import sys
import time
import zlib
from types import SimpleNamespace

from common import milestone  # before NumPy, which reads once how many threads there may be

# isort: split
import numpy as np
from corpora import corpus, judged, split
from drawing import attention, quoted, side_by_side, writing
from scoring import NGram, compared, foresight

import tinytorch as tt

LETTERS, LENGTH, GO = "abcdefghijklmnopqrstuvwxyz", 16, 26          # the tasks: words of 16 letters, then a sign to begin
TASKS = {"copy": slice(None), "reverse": slice(None, None, -1)}
FULL = SimpleNamespace(letters=None, vocabulary=2048, rounds=16, steps=100, tables=(4, 2, 6, 8), limit=0.85,
                       model={"embed_dim": 128, "num_layers": 4, "num_heads": 4, "max_seq_len": 64, "dropout": 0.1})
QUICK = SimpleNamespace(letters=200_000, vocabulary=512, rounds=5, steps=50, tables=(3, 2), limit=1.0,
                        model={"embed_dim": 64, "num_layers": 2, "num_heads": 4, "max_seq_len": 32})
BATCH, LR, SECONDS = 16, 3e-3, 300.0


class Answer(tt.Module):
    """What a model says after the sign to begin: (N, 2 * LENGTH) -> (N * LENGTH, letters)."""

    def __init__(self, model):
        self.model = model

    def forward(self, ids):
        return self.model(ids)[:, LENGTH:].flatten(0, 1)


def words(task, count):
    """Random words, the sign, and the answers: ids (count, 2 * LENGTH + 1)."""
    word = tt.default_generator.integers(0, len(LETTERS), (count, LENGTH))
    return np.concatenate([word, np.full((count, 1), GO), word[:, TASKS[task]]], axis=1)


def flat(samples):
    """A batch for the Trainer: ids (N, T), and the tokens to come in one row (N * T,)."""
    ids, targets = tt.data.default_collate(samples)
    return ids, targets.flatten()


def attend(task, batches=120):
    """One layer with one head that learns a task: the share of letters it writes rightly, a word, what it wrote, and where it looked."""
    model = tt.GPT(len(LETTERS) + 1, embed_dim=64, num_layers=1, num_heads=1, max_seq_len=2 * LENGTH)
    seen = words(task, 64 * batches)
    loader = tt.DataLoader(tt.TensorDataset(seen[:, :-1], seen[:, LENGTH + 1:]), batch_size=64, collate_fn=flat)
    tt.Trainer(Answer(model), tt.Adam(model.parameters(), lr=LR), tt.CrossEntropyLoss(), grad_clip_norm=1.0).fit(loader, 1)
    ids = words(task, 250)                                              # of 26 ** 16: none that was seen
    written = model.generate(ids[:, :LENGTH + 1], LENGTH, temperature=0).numpy()
    block, x = model.blocks[0], model.position_embedding(model.token_embedding(written[:1, :-1]))
    looked = block.attention.attention_weights(block.norm1(x)).numpy()[0, 0, LENGTH:, :LENGTH]
    spelt = "".join([*LETTERS, ">"][i] for i in written[0])
    return (written == ids)[:, LENGTH + 1:].mean(), spelt[:LENGTH], spelt[LENGTH + 1:], looked


class Warm(tt.CosineSchedule):
    """A slow first round: long steps do harm while Adam knows little of how large slopes are."""

    def get_lr(self, epoch):
        return super().get_lr(epoch) * (0.25 if epoch == 0 else 1.0)


def learn(run, plan, model, ids, held, tell):
    """Train on windows of `ids`, drawn by chance; a checkpoint after each round.  The history, in which "seconds" are the processor's."""
    data, asked = (tt.text.TextDataset(row, model.max_seq_len) for row in (ids, held))
    sampler = tt.RandomSampler(data, replacement=True, num_samples=plan.steps * BATCH)
    loader = tt.DataLoader(data, BATCH, sampler=sampler, collate_fn=flat)
    few = tt.DataLoader(tt.Subset(asked, range(0, len(asked), max(1, len(asked) // 64))), 32, collate_fn=flat)
    optimizer = tt.AdamW(model.parameters(), lr=LR, betas=(0.9, 0.95), weight_decay=0.1)
    trainer = tt.Trainer(tt.Sequential(model, tt.Flatten(0, 1)), optimizer, tt.CrossEntropyLoss(),
                         Warm(LR, LR / 20, plan.rounds), grad_clip_norm=1.0)
    trainer.history["seconds"], clock = [], [time.thread_time()]

    def time_it(trainer):
        clock.append(time.thread_time())
        trainer.history["seconds"].append(clock[-1] - clock[-2])

    mark = run.folder / f"{run.name}.{zlib.crc32(repr((run.seed, plan)).encode() + ids.tobytes()):08x}.checkpoint.npz"
    try:
        trainer.fit(loader, plan.rounds, few, callbacks=[tell, run.hopeless, time_it], checkpoint=mark, resume=run.options.resume)
    except KeyboardInterrupt:
        run.say(f"Stopped after {trainer.epoch} of {plan.rounds} rounds; the same command with --resume goes on from there.")
        raise
    mark.unlink()
    return trainer.history


def main(run):
    plan, text = QUICK if run.options.quick else FULL, corpus(run)
    run.result["instead"] = "this was the short form" if run.options.quick else text.instead
    with run.timed():
        tasks = {task: attend(task) for task in TASKS}
    took = run.seconds
    run.say("Where it looked. A row is a letter that it wrote, a column one that it had read.\n\n" + side_by_side(
        [attention(*seen) for _, *seen in tasks.values()], [f"{task}: {right:.1%} right" for task, (right, *_) in tasks.items()]))
    learnt, held = split(run, text.name, text.text[:plan.letters])
    tokenizer = tt.text.BPETokenizer(plan.vocabulary).train(learnt)
    ids, asked = (np.array(tokenizer.encode(part)) for part in (learnt, held))
    run.fact("tokens", f"{len(ids):,} of {tokenizer.vocab_size:,} kinds, {len(learnt) / len(ids):.2f} letters each")
    model = run.network(tt.GPT(tokenizer.vocab_size, **plan.model))
    a_letter = len(asked) / len(held) / math.log(2)                     # from a loss to bits

    def written(length, count=1):
        """What the network writes after the prompt, always by the same throws of the dice."""
        prompt, dice = np.tile(tokenizer.encode(text.prompt), (count, 1)), np.random.default_rng(2017)
        return [tokenizer.decode(row) for row in model.generate(prompt, length, temperature=0.8, top_k=50, generator=dice)]

    def tell(trainer):
        if trainer.epoch in (1, 2, 5, 10):
            cost = trainer.history["val_loss"][-1] * a_letter
            run.say(f"After {trainer.epoch * plan.steps:,} steps, at {cost:.2f} bits a letter:\n{quoted(written(40)[0])}")

    with run.timed():
        history = learn(run, plan, model, ids, asked, tell)
    sample = written(200)[0]
    run.say(f"At the end:\n{quoted(sample)}")
    model.save(run.folder / f"{run.name}.model.npz")
    tokenizer.save(run.folder / f"{run.name}.tokenizer.json")
    run.say("Both are kept beside the picture: tt.GPT.load(...) and tt.text.Tokenizer.load(...) bring them back.")
    tables = [NGram(learnt, order, held) for order in sorted(plan.tables)]
    ours, theirs = compared(model, tokenizer, tables, held)
    run.say(f"What a letter of {run.asked} costs:\n" + "\n".join(
        [f"  a table of {table.order} letters at a time  {len(table):>9,} counts   {theirs[table.order]:.3f} bits" for table in tables]
        + [f"  the network                    {run.result['parameters']:>9,} weights  {ours:.3f} bits"]))
    if run.options.corpus:
        read, real = judged(held, written(150, 20))
        run.say(f"Python's own parser reads {read} of 20 definitions that it wrote, and {real} real ones, cut off in the same way.")
    table = theirs[plan.tables[0]]
    for task, (right, *_) in tasks.items():
        run.bar(f"{task} of {LENGTH} letters", right, "at least", 0.99)
    run.bar("what later words change", foresight(model, ids), "at most", 0.001, "")
    if not text.instead:                                                # another one may be too short for any network
        run.bar("a letter", ours, "under", plan.limit * table, "bits")
    run.bar("training", took + sum(history["seconds"]), "under", SECONDS, "s")
    curves = {name: np.array(history[key]) * a_letter for name, key in (("while it learned", "train_loss"), ("held out", "val_loss"))}
    return run.finish(history["train_loss"], "10 to 13", writing(run, tasks, curves, table, sample))


if __name__ == "__main__":
    sys.exit(milestone(main, text={"metavar": "FILE", "help": "learn from a text of your own, in UTF-8"},
                       corpus={"choices": ["python"], "help": "learn from the sources of Python's standard library"},
                       resume={"action": "store_true", "help": "go on where this run was interrupted"},
                       quick={"action": "store_true", "help": "a small network and a part of the text: does everything work?"}))
