"""2018: the same answers for less.

    python milestones/06_olympics.py [--seed N] [--output FOLDER] [--json] [--resume] [--quick]

By 2018 every chip was the fastest one, by a measure that its maker had chosen. MLPerf made a contest of it: the same tasks for everybody, a
quality that must be reached, and a clock. Who is quicker and answers worse has won nothing.

The tasks here are the digits of milestone 4 and the text of milestone 5. Modules 14 to 19 find where the work is, and do less of it. What
they say of themselves does not count: files are weighed, operations counted at the door, and the clock runs in turns.
"""

import copy
import functools
import math
import sys
from types import SimpleNamespace

from common import milestone  # before NumPy, which reads once how many threads there may be

# isort: split
import corpora
import handwriting
import numpy as np
from contest import FOUR, Entry, Task, in_halves, in_one_go, picture, plain, rounded, trained, weighed

import tinytorch as tt

FULL = SimpleNamespace(epochs=60, pruned=((0.5, 3), (0.7, 5), (0.8, 12)), letters=None, vocabulary=2048, rounds=12, right=0.985, bits=2.2,
                       turns=5, kept=0.99, faster=8.0, model={"embed_dim": 128, "num_layers": 4, "num_heads": 4, "max_seq_len": 256})
QUICK = SimpleNamespace(epochs=20, pruned=((0.5, 2), (0.7, 3), (0.8, 7)), letters=200_000, vocabulary=512, rounds=5, right=0.97, bits=2.6,
                        turns=3, kept=0.98, faster=3.0, model={"embed_dim": 64, "num_layers": 2, "num_heads": 4, "max_seq_len": 256})
WHAT = {"size": "bytes", "flops": "work", "seconds": "time"}
TOKENS = 200                            # in a turn; `kept`: MLPerf, too, asks for 99 % of what a model could do before


def digits(plan, cnn, scans, asked, labels):
    """What becomes of the CNN, and how many times less each must take.  In a turn it reads all scans (N, 1, 8, 8) that were held out."""
    def entry(name, module, weighed, **less):
        def turn():
            with tt.no_grad():
                return model.eval()(tt.Tensor(asked)).numpy()
        model, size = weighed
        return Entry(name, model, size, turn, (turn().argmax(axis=1) == labels).mean(), module, less)

    pruned, narrow = copy.deepcopy(cnn), tt.structured_prune(cnn, 0.5)
    tt.prune_and_finetune(pruned, scans, plan.pruned)
    FOUR["learn"](narrow, scans, plan.epochs // 2)
    sparse = weighed(pruned, functools.partial(tt.save_sparse, dtype="float16"), lambda path: tt.load_sparse(copy.deepcopy(cnn), path))
    return Task("The digits", "scan", len(asked), [
        entry("as it was", 9, plain(cnn)), entry("int8", 17, rounded(cnn, 8), size=2.3), entry("int4", 17, rounded(cnn, 4), size=3.2),
        entry("80 % pruned", 18, sparse, size=3.5), entry("half the channels", 18, plain(narrow), flops=3.5, seconds=1.25),
        entry("half, in int8", 17, rounded(narrow, 8), size=3.5)],
        ("read rightly", lambda e: f"{e.quality:.1%}"), ("bytes", lambda e: e.size), ("read rightly", lambda e: e.quality))


def text(plan, gpt, prompt, asked, a_letter):
    """What becomes of the GPT.  In a turn it writes TOKENS tokens, always the likeliest.  Good is how many letters cost a bit."""
    count = min(32, (len(asked) - 1) // gpt.max_seq_len)
    x, y = (asked[k:][:count * gpt.max_seq_len].reshape(count, -1) for k in (0, 1))

    def entry(name, module, weighed, **less):
        model, size = weighed
        if name != "as it was":
            tt.enable_kv_cache(model)
        with tt.no_grad():
            cost = tt.next_token_loss(model.eval()(x), y).item() * a_letter
        return Entry(name, model, size, lambda: model.generate(prompt, TOKENS, temperature=0).numpy(), 1 / cost, module, less)

    first = entry("as it was", 13, plain(gpt))
    return Task("The text", "token", TOKENS, [first,
        entry("cached", 14, plain(gpt), flops=50.0, seconds=plan.faster),
        entry("cached, int8", 17, rounded(gpt, 8), size=2.5), entry("cached, int4", 17, rounded(gpt, 4), size=3.5)],
        ("bits a letter", lambda e: f"{1 / e.quality:.3f}"), ("ms a token", lambda e: 1e3 * e.seconds / TOKENS),
        ("how many times smaller the file is", lambda e: first.size / e.size))


def main(run):
    plan = QUICK if run.options.quick else FULL
    run.result["instead"] = "this was the short form" if run.options.quick else ""
    images, labels = handwriting.scans()
    chosen, few = handwriting.split(run, labels)
    learnt, held = corpora.split(run, "the King James Bible", tt.text.load_text()[:plan.letters])
    tokenizer = tt.text.BPETokenizer(plan.vocabulary).train(learnt)
    ids, asked = (np.array(tokenizer.encode(part)) for part in (learnt, held))
    cnn, gpt = FOUR["network"](), tt.GPT(tokenizer.vocab_size, **plan.model)
    run.network(tt.Sequential(cnn, gpt))
    scans = handwriting.Unsteady(tt.DataLoader(tt.TensorDataset(images[chosen, None], labels[chosen]), batch_size=32, shuffle=True))
    with run.timed():
        losses = trained(run, plan, cnn, scans, gpt, ids)
        read = digits(plan, cnn, scans, images[few, None], labels[few])
    prompt = tokenizer.encode("John 22\n\n")
    wrote = text(plan, gpt, prompt, asked, len(asked) / len(held) / math.log(2))
    read.race(11), wrote.race(plan.turns)
    run.say(f"Where the time is while {TOKENS} tokens are written:\n" + wrote.entries[0].busiest())
    run.bar("the digits, as they were read", read.entries[0].quality, "at least", plan.right)
    run.bar("the text, as it was, a letter", 1 / wrote.entries[0].quality, "under", plan.bits, "bits")
    for task in read, wrote:
        run.say(task.told())
        for entry in task.entries[1:]:
            run.bar(f"{entry.name}, of the quality", entry.quality / task.entries[0].quality, "at least", plan.kept, look=entry.look)
            for what, times, least in entry.gains(task.entries[0]):
                run.bar(f"{entry.name}, {WHAT[what]}", times, "at least", least, "times less", entry.look)
    fast, *small = (entry.seconds for entry in wrote.entries[1:])
    run.say("It does not pay where time counts: int8 and int4 take {:.1f} and {:.1f} times as long.".format(*(s / fast for s in small)))
    same = wrote.entries[0].answer == wrote.entries[1].answer
    run.bar("cached, the same tokens", same.mean(), "at least", 1.0, look="module 14")
    weights = [p.numpy() for p in read.entries[3].model.parameters() if p.ndim > 1]
    run.bar("80 % pruned, zeros", 1 - sum(map(np.count_nonzero, weights)) / sum(map(np.size, weights)), "at least", 0.799, look="module 18")
    batch = ids[:4 * gpt.max_seq_len].reshape(4, -1), ids[1:4 * gpt.max_seq_len + 1]
    (room, pace), (kept, falls) = in_one_go(gpt, batch), in_halves(gpt, batch)
    run.say(f"GELU in one operation takes {pace:.2f} of the time that nine take.")
    run.bar("GELU in one operation, of the memory", room, "at most", 0.5, look="module 16")
    run.bar("learning in halves, of the memory", kept, "at most", 0.6, look="module 16")
    run.bar("learning in halves, of the progress", falls, "at least", 0.9, look="module 16")
    return run.finish(losses, "05 to 13", picture(run, read, wrote))


if __name__ == "__main__":
    sys.exit(milestone(main, resume={"action": "store_true", "help": "take the models that an earlier run has trained"},
                       quick={"action": "store_true", "help": "smaller models and a part of the text: does everything work?"}))
