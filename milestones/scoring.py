"""What the letters of a text cost, in bits: a table of counts, which is what a network has to beat, and the network, place by place."""

import math

import numpy as np

import tinytorch as tt

PLACES = 4096                           # tokens of the held-out text that are scored, at equal distances


class NGram:
    """An n-gram model of letters, interpolated Kneser-Ney, which counts `order` letters at a time: the last one, given those before it.

    Of each count a little is taken, for what was never seen; that is shared out by the next shorter table, which holds after how many
    different letters a piece was seen, not how often (Ney, Essen and Kneser, 1994).  How much is taken follows from the counts.
    """

    def __init__(self, text, order, alphabet=""):
        self.letters, self.order = sorted({*text, *alphabet}), order
        self.place = {letter: k for k, letter in enumerate(self.letters)}
        if len(self.letters) ** order >= 2**63:
            raise ValueError(f"{len(self.letters)} letters, {order} at a time, are more than can be numbered")
        ids = self.ids(text)
        seen = [np.unique(self.numbered(self.windows(ids, n)), return_counts=True) for n in range(1, order + 1)]
        for n, ((grams, counts), (longer, _)) in enumerate(zip(seen, seen[1:]), 1):
            ends, befores = np.unique(longer % len(self.letters) ** n, return_counts=True)
            counts[:] = 1                                               # the text's first letters come after nothing
            counts[np.searchsorted(grams, ends)] = befores
        self.tables = [Table(grams, counts, len(self.letters)) for grams, counts in seen]

    def ids(self, text):
        return np.array([self.place[letter] for letter in text], np.int64)

    def windows(self, ids, n):
        return np.lib.stride_tricks.sliding_window_view(ids, n)         # (len(ids) - n + 1, n)

    def numbered(self, windows):
        """A number for each row of letters: (N, n) -> (N,)."""
        number = np.zeros(len(windows), np.int64)
        for column in windows.T:
            number = number * len(self.letters) + column
        return number

    def chances(self, windows):
        """How likely the last letter of each row is, given those before it: ids (N, order) -> (N,)."""
        chance = np.full(len(windows), 1 / len(self.letters))
        for n, table in enumerate(self.tables, 1):
            chance = table.chances(self.numbered(windows[:, -n:]), chance)
        return chance

    def bits(self, text):
        """What each letter of a text costs, in bits: (len(text),).  The first ones, with too little before them, cost as if unknown."""
        first = np.full(self.order - 1, np.log2(len(self.letters)))
        return np.concatenate([first, -np.log2(self.chances(self.windows(self.ids(text), self.order)))])

    def __len__(self):
        """How many pieces are in its longest table."""
        return len(self.tables[-1].grams)


class Table:
    """The pieces of one length, by number and in order, and their counts."""

    def __init__(self, grams, counts, letters):
        self.grams, self.counts, self.letters = grams, counts, letters
        self.befores, where = np.unique(grams // letters, return_inverse=True)
        self.total, self.kinds = np.bincount(where, counts), np.bincount(where)
        once, twice = (counts == 1).sum(), (counts == 2).sum()
        self.taken = once / (once + 2 * twice) if twice else 0.5        # of each count

    def chances(self, numbers, shorter):
        """(N,) and what the shorter table says (N,) -> (N,)."""
        gram = np.minimum(np.searchsorted(self.grams, numbers), len(self.grams) - 1)
        kept = np.where(self.grams[gram] == numbers, self.counts[gram] - self.taken, 0)
        before = np.minimum(np.searchsorted(self.befores, numbers // self.letters), len(self.befores) - 1)
        shared = self.taken * self.kinds[before] * shorter
        return np.where(self.befores[before] == numbers // self.letters, (kept + shared) / self.total[before], shorter)


def costs(model, ids, places):
    """Bits for each token at `places` of ids, given the max_seq_len tokens before it and nothing that comes after: (len(places),).

    A network that is trained on a whole window at a time may have learned to look at what it should say.  Here that is not in the window.
    """
    bits, before = [], np.arange(-model.max_seq_len, 0)
    model.eval()
    with tt.no_grad():
        for some in np.array_split(places, math.ceil(len(places) / 64)):
            chances = tt.log_softmax(model(ids[some[:, None] + before])[:, -1], dim=-1).numpy()         # (64, V)
            bits.append(-chances[np.arange(len(some)), ids[some]] / math.log(2))
    return np.concatenate(bits)


def foresight(model, ids):
    """The most that the second half of a window changes of what is said in the first: 0 where nothing looks ahead."""
    window, half = ids[None, :model.max_seq_len], model.max_seq_len // 2
    other = np.concatenate([window[:, :half], window[:, :half - 1:-1]], axis=1)
    model.eval()
    with tt.no_grad():
        return float(np.abs((model(window) - model(other)).numpy()[:, :half]).max())


def compared(model, tokenizer, tables, text):
    """Bits a letter of the same places of a text: what the model pays, and {order: what that table pays}."""
    ids = np.array(tokenizer.encode(text))
    letters = np.array([sum(byte & 0xC0 != 0x80 for byte in piece) for piece in tokenizer.pieces])[ids]     # that begin in each token
    scored = np.zeros(len(ids), bool)
    scored[np.linspace(model.max_seq_len, len(ids) - 1, PLACES).astype(int)] = True
    ours = costs(model, ids, np.flatnonzero(scored)).sum() / letters[scored].sum()
    return ours, {table.order: table.bits(text)[np.repeat(scored, letters)].mean() for table in tables}
