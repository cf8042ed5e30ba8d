# %% [markdown]
"""
# 10 Tokenization

> A network reads whole numbers. A tokenizer turns any text into whole numbers, and back without a loss.

Which pieces of text get a number? You will see a table of words fail, go down to bytes, where nothing can fail, and come back up by joining the
pairs that occur most often. That is byte-pair encoding, which GPT uses.
"""

# %% nbgrader={"grade": false, "grade_id": "start", "locked": true, "schema_version": 3, "solution": false, "task": false}
import tito.notebook     # where this fails, open the notebook with: tito module open 10
from tito.check import expect

tito.notebook.use(10)

# %%
#| default_exp text.tokenization
#| view text

# %% nbgrader={"grade": false, "grade_id": "imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
import heapq
import html
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import chain
from numbers import Integral
from pathlib import Path

import numpy as np

from tinytorch.core.layers import check_choice, check_kind, check_whole, plain_array
from tinytorch.core.tensor import Tensor
from tinytorch.core.training import check_path, replace_file
from tinytorch.data.loader import Dataset, datasets_folder

# %% [markdown]
"""
## 1 · A table of words

The first idea: number the words of the training text. Then somebody writes a sentence of their own.
"""

# %%
table = {word: number for number, word in enumerate(sorted(set("the cat sat on the mat".split())))}
print(table)
print([table.get(word, "?") for word in "the cats sat on the sofa".split()])

# %% [markdown]
"""
`cats` has nothing to do with `cat` for this table, and `sofa` does not exist. Is that rare in a long text? The course ships with a part of the King
James Bible. `load_text` (given) reads it, or any file of yours:
"""

# %%
#| export
def load_text(path=None):
    """A text file in UTF-8 as one string; without a path, the part of the King James Bible that ships with the course.

    FileNotFoundError where there is none or an empty one, ValueError where it is not UTF-8.
    """
    if path is not None:
        check_path("load_text", path)
    path = Path(path or datasets_folder() / "king_james.txt")
    if not path.is_file() or not path.stat().st_size:
        raise FileNotFoundError(f"load_text: there is no file {path}, or nothing in it")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"load_text: {path} is not UTF-8 (byte {error.start}): save it as UTF-8") from error

# %% tags=["analysis"]
bible = load_text()
cut = len(bible) * 9 // 10
known, later = set(bible[:cut].split()), bible[cut:].split()
missing = [word for word in later if word not in known]
print(f"{len(known):,} words in the table; of {len(later):,} words that follow, {len(missing):,} are not in it ({len(missing) / len(later):.1%})")
print(missing[:12])

# %% [markdown]
"""
A lost word cannot be read and cannot be written. The second idea: number the *characters*. There are few in an English text, and then somebody
writes `naïve`, or `東京`, or 🙂. Unicode has so many, and gets new ones every year:
"""

# %%
print(f"{sum(chr(code).isprintable() for code in range(0x110000)):,} characters")

# %% [markdown]
"""
## 2 · Bytes

Files solved this long ago. UTF-8 writes any character as one to four *bytes*, numbers from 0 to 255:
"""

# %%
for character in "a", "é", "東", "🙂":
    print(character, list(character.encode("utf-8")))

# %% [markdown]
r"""
256 numbers write every text. Two things are left to decide.

* JavaScript and Windows write 🙂 as a pair of codes. Where a pair was cut, half of it is left, such as `"\ud83d"`, and a Python string may hold that.
  Strict UTF-8 refuses it; with the error handler `"surrogatepass"` it becomes three bytes.
* Not every row of bytes is a text: a model may stop in the middle of a character. Then the place that cannot be read becomes `�` (the handler
  `"replace"`), and nothing is raised.

**Your turn.** What is not a `str` is a TypeError. `data.decode` raises a UnicodeDecodeError for bytes that are no text.
"""

# %% nbgrader={"grade": false, "grade_id": "as-bytes", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def as_bytes(text):
    """The text in UTF-8, halves of a pair too.  TypeError for what is not a `str`.

    >>> list(as_bytes("né"))
    [110, 195, 169]
    """
    ### BEGIN SOLUTION
    if not isinstance(text, str):
        raise TypeError(f"text is a str, not {type(text).__name__}")
    return text.encode("utf-8", "surrogatepass")
    ### END SOLUTION


def as_text(data):
    """The text that these bytes are; if they are none, with � in the places that cannot be read.

    >>> as_text(b"n" + bytes([195, 169])), as_text(b"n" + bytes([195]))
    ('né', 'n�')
    """
    ### BEGIN SOLUTION
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace")
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-as-bytes", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def test_unit_as_bytes():
    """Every string becomes bytes and comes back; bytes that are no text are read as far as they can be."""
    expect.same(lambda: list(as_bytes("a東")), [97, 230, 157, 177], "one byte, then three", mistaken={
        "those are numbers of characters: encode as UTF-8": [97, 26481]}, hint="encode as UTF-8",
        raises={UnicodeEncodeError: "UTF-8 has bytes for every character"})
    expect.same(lambda: list(as_bytes("\ud83d")), [237, 160, 189], "half of a pair", hint='the error handler "surrogatepass" keeps it',
                raises={UnicodeEncodeError: 'the error handler "surrogatepass" lets halves of a pair through'})
    expect.same(lambda: as_text(b"\xed\xa0\xbd!"), "\ud83d!", "and back", hint='"surrogatepass" comes first; "replace" only where that raises',
                raises={UnicodeDecodeError: 'decode with "surrogatepass" too'})
    expect.same(lambda: as_text(b"ab\xe6\x9d"), "ab�", "a character that is cut off", mistaken={
        "what cannot be read becomes �: do not leave it out": "ab"}, hint='the handler "replace"',
        raises={UnicodeDecodeError: 'catch it, and decode with "replace"'})
    many = "".join(map(chr, np.random.default_rng(1).integers(0, 0x110000, size=200).tolist()))
    expect.same(lambda: as_text(as_bytes(many)), many, "200 characters at random")
    expect.raises(TypeError, lambda: as_bytes(b"bytes"), "bytes are not text", match="str bytes", hint="look whether it is a str")

test_unit_as_bytes()

# %% [markdown]
"""
## 3 · What every tokenizer shares

Our tokenizers keep a list `pieces`: the bytes that each id stands for. Decoding looks ids up and joins.

```
 id        0 … 255           256 …                    the last ones
 piece     the 256 bytes     what training found      special tokens, such as <|end|>
```

The bytes are always there, so no text is unknown, whatever training found.

`Tokenizer` (given) holds the pieces, and knows only bytes. Its subclasses add `train`, which looks at texts, and hands what it found to `learn`.
That makes `pieces` of it. `encode_ordinary` goes from text to ids.
"""

# %%
#| export
def each_text(texts, name="each_text"):
    """The texts of a list, or the one that is given, one by one.  TypeError, in the name of a function, where there is something else."""
    check_kind(name, Iterable, texts=texts)
    for text in [texts] if isinstance(texts, str) else texts:
        check_kind(name, str, text=text)
        yield text


class Tokenizer:
    """Text to ids and back, byte by byte; the base of `CharTokenizer` and `BPETokenizer`.

    `vocab_size`: how many ids there may be, bytes and special tokens included.  ValueError where these do not fit.
    """
    def __init__(self, vocab_size=1000, special_tokens=()):
        name = type(self).__name__
        check_whole(name, vocab_size=vocab_size)
        check_kind(name, Iterable, special_tokens=special_tokens)
        special = list(special_tokens)
        if isinstance(special_tokens, str) or not all(isinstance(text, str) and text for text in special) or len(set(special)) < len(special):
            raise ValueError(f"{name}: special_tokens is a list of different texts, not {special_tokens!r:.80}")
        "".join(special).encode("utf-8")                                # halves of a pair could not be saved: a ValueError
        self.room = vocab_size - 256 - len(special)                     # for what training finds
        if self.room < 0:
            raise ValueError(f"{name}: vocab_size is at least {256 + len(special)} (256 bytes, {len(special)} special tokens), not {vocab_size}")
        self.special_tokens = dict.fromkeys(special)
        self.learn([])

    def learn(self, learned):
        """Number the pieces: the bytes, what was learned, the special tokens."""
        special = list(self.special_tokens)
        self.pieces = [bytes([i]) for i in range(256)] + learned + [as_bytes(text) for text in special]
        self.special_tokens = {text: 256 + len(learned) + k for k, text in enumerate(special)}
        return self

    def encode_ordinary(self, text):
        """The ids of a text in which nothing is special."""
        return list(as_bytes(text))

    vocab_size = property(lambda self: len(self.pieces))

    def __repr__(self):
        return f"{type(self).__name__}(vocab_size={self.vocab_size}, special_tokens={list(self.special_tokens)})"

# %% [markdown]
"""
Ids come from a model, so `decode` takes a list, an array or a Tensor. One piece may be half of a character: join the bytes of *all* pieces first.

**Your turn.** `whole_numbers` (given) makes an array of the ids and refuses floats. An id without a piece is a ValueError that names the id and
`vocab_size`; so is a negative one, which a Python list would look up from its end.
"""

# %% nbgrader={"grade": false, "grade_id": "decode", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def whole_numbers(ids, name):
    """One row of ids (a list, an array, a Tensor) as an int64 array.  TypeError for floats, and for several rows."""
    array = plain_array(ids)
    if array.ndim != 1 or array.size and array.dtype.kind not in "iu":
        raise TypeError(f"{name}: ids are one row of whole numbers, not {array.dtype} of shape {array.shape}")
    return array.astype("int64")


def decode(self, ids):
    """The text of a row of ids.  ValueError for an id that there is not.

    >>> Tokenizer().decode([104, 105])
    'hi'
    """
    ids = whole_numbers(ids, "decode").tolist()
    ### BEGIN SOLUTION
    for i in ids:
        if not 0 <= i < self.vocab_size:
            raise ValueError(f"decode: there is no id {i}; with vocab_size {self.vocab_size} they are 0 to {self.vocab_size - 1}")
    return as_text(b"".join([self.pieces[i] for i in ids]))
    ### END SOLUTION

Tokenizer.decode = decode

# %%
print(Tokenizer(), Tokenizer().decode(Tensor([230, 157, 177])))

# %% nbgrader={"grade": true, "grade_id": "test-decode", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_decode():
    """Ids become text: pieces are joined, then read."""
    tokenizer = Tokenizer(special_tokens=["<|end|>"]).learn([b"the ", b"\xe6\x9d"])
    expect.same(lambda: tokenizer.decode([256, 99, 97, 116]), "the cat", "pieces of any length", hint="look each id up in self.pieces, and join",
                raises={ValueError: "an id is not a byte: look it up in self.pieces"})
    expect.same(lambda: tokenizer.decode([257, 177]), "東", "a character in two pieces", hint="join the bytes of all pieces, then read them as text",
                raises={UnicodeDecodeError: "as_text reads what can be read"})
    expect.same(lambda: tokenizer.decode([257, 97]), "�a", "half a character", raises={UnicodeDecodeError: "as_text reads what can be read"})
    expect.same(lambda: tokenizer.decode([97, 258]), "a<|end|>", "the last piece is the special token",
                raises={ValueError: "ids go from 0 to vocab_size - 1"})
    expect.same(lambda: [tokenizer.decode([]), tokenizer.decode(tokenizer.encode_ordinary("né"))], ["", "né"], "nothing, and bytes")
    for wrong in (259, -1):
        expect.raises(ValueError, lambda: tokenizer.decode([97, wrong]), "an id that there is not", match=f"decode {wrong} 259",
                      hint="raise unless 0 <= id < self.vocab_size, and name both")
    for wrong in ([97.0], [[97, 98]]):
        expect.raises(TypeError, lambda: tokenizer.decode(wrong), "floats, or several rows", match="decode whole numbers")
    ids = np.random.default_rng(5).integers(0, 128, size=50)
    expect.same(lambda: [tokenizer.decode(ids), tokenizer.decode(Tensor(ids))], ["".join(map(chr, ids.tolist()))] * 2, "an array and a Tensor")

test_unit_decode()

# %% [markdown]
"""
### Characters

`CharTokenizer` gives each character of the training texts an id. What UTF-8 writes in one byte (English letters, digits) has one already: `a` is 97.
Others get 256, 257, … A character that training did not see is written in its bytes.

**Your turn.**

1. `train` takes the characters above 127 (`ord`), the most frequent first, of equally frequent ones the smaller. It hands at most `self.room` of them
   to `self.learn`, and returns what that returns.
2. `encode_ordinary` gives the ids in `self.table`, or else bytes.
"""

# %% nbgrader={"grade": false, "grade_id": "char-tokenizer", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
class CharTokenizer(Tokenizer):
    """An id for each character of the training texts; any other is written in bytes.

    >>> CharTokenizer().train("dünn").encode_ordinary("üé")
    [256, 195, 169]
    """
    def train(self, texts):
        """Learn the characters of a text, or of a list of texts.  The tokenizer itself comes back."""
        texts = each_text(texts, "train")
        counts = Counter(chain.from_iterable(each_text(texts)))
        ### BEGIN SOLUTION
        wide = [character for character in counts if ord(character) > 127]
        return self.learn(sorted(wide, key=lambda character: (-counts[character], character))[:self.room])
        ### END SOLUTION

    def learn(self, characters):
        """Number these characters from 256 on."""
        self.learned, self.table = list(characters), {character: 256 + k for k, character in enumerate(characters)}
        return super().learn([as_bytes(character) for character in characters])

    def encode_ordinary(self, text):
        """The ids of a text in which nothing is special."""
        ids = []
        ### BEGIN SOLUTION
        for character in text:
            ids += [self.table[character]] if character in self.table else as_bytes(character)
        return ids
        ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-char-tokenizer", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_char_tokenizer():
    """Characters of the training text have ids, all others are bytes."""
    tokenizer = CharTokenizer()
    expect.true(lambda: tokenizer.train(["zu süß", "für öde ö"]) is tokenizer, "train gives the tokenizer back", hint="return self.learn(…)",
                raises={TypeError: "ord(character) is its number"})
    expect.same(lambda: tokenizer.learned, ["ö", "ü", "ß"], "ö and ü come twice, ß once", mistaken={
        "of equally frequent ones the smaller comes first": ["ü", "ö", "ß"], "the most frequent first: minus the count": lambda got: got[0] == "ß",
        "only characters above 127, each once": lambda got: len(got) > 3})
    expect.same(lambda: tokenizer.encode_ordinary("öß"), [256, 258], "their ids", hint="look them up in self.table")
    expect.same(lambda: tokenizer.encode_ordinary("aöé"), [97, 256, 195, 169], "a letter is its byte; é was not seen", mistaken={
        "its bytes, not its number": lambda got: got[-1] == 233, "a character without an id is not left out": lambda got: len(got) < 3},
        raises={KeyError: "a character that is not in self.table is written in its bytes"})
    expect.same(lambda: CharTokenizer(258, ["<|end|>"]).train("zu süß für öde ö").learned, ["ö"], "room for one", hint="at most self.room characters")
    codes = np.random.default_rng(2).integers(0, 0x3000, size=(2, 300)).tolist()
    seen, unseen = ("".join(map(chr, row)) for row in codes)
    expect.same(lambda: tokenizer.train(seen).decode(tokenizer.encode_ordinary(seen + unseen)), seen + unseen, "and back")

test_unit_char_tokenizer()

# %% [markdown]
"""
## 4 · Pairs

No text is unknown now. But a row of characters is long, and a network reads a row of fixed length:
"""

# %%
text = "In the beginning God created the heaven and the earth."
print(len(text.split()), "words,", len(CharTokenizer().encode_ordinary(text)), "characters")

# %% [markdown]
"""
About five times as many steps for the same content. Words are too many, letters say too little. What lies between should come from the text itself.

Byte-pair encoding begins with bytes, looks for the pair of neighbours that comes most often, and makes one new piece of it. Then it does so again:

```
 t h e _ c a t _ t h a t _ a t e        the commonest pair: (a, t), three times
 t h e _ c A _ t h A _ A e              A = at
 T e _ c A _ T A _ A e                  T = th
```

Pairs are not joined across words, or `dog.`, `dog,` and `dog!` would all become pieces. `WORD` (given) cuts a text into runs of letters, of signs
and of spaces; one space goes with the word that follows. A run ends after 32 characters, so that a text without spaces is cut too.
"""

# %%
#| export
WORD = re.compile(r" ?\w{1,32}| ?[^\w\s]{1,32}|\s{1,32}(?!\S)|\s")


def count_words(texts):
    """How often each word (as bytes) occurs in a text, or in a list of texts."""
    counts = Counter(chain.from_iterable(map(WORD.findall, each_text(texts))))
    return {as_bytes(word): count for word, count in counts.items()}

# %%
print(WORD.findall("It's 3 o'clock,  say the cats."))
words = count_words("the cat that ate the other cat")
print(words)

# %% [markdown]
"""
So a text is a table of different words with their counts. **Your turn.** Count the pairs of neighbours. A word that occurs five times brings each of
its pairs five times.
"""

# %% nbgrader={"grade": false, "grade_id": "count-pairs", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def count_pairs(words):
    """How often each pair of neighbours occurs: [(ids of a word, its count), …] -> {(a, b): count}.

    >>> count_pairs([([1, 2, 1], 5), ([1, 2], 3)])
    {(1, 2): 8, (2, 1): 5}
    """
    counts = {}
    ### BEGIN SOLUTION
    for ids, count in words:
        for pair in zip(ids, ids[1:]):
            counts[pair] = counts.get(pair, 0) + count
    return counts
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-count-pairs", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def test_unit_count_pairs():
    """Neighbours are counted, as often as their word occurs."""
    expect.same(lambda: count_pairs([([1, 2, 1, 2], 5), ([2, 1], 3)]), {(1, 2): 10, (2, 1): 8}, "12 twice in the first word, 21 in both", mistaken={
        "a word that occurs five times brings its pairs five times": {(1, 2): 2, (2, 1): 2}, "add to what was counted before": {(1, 2): 5, (2, 1): 3},
        "a pair counts wherever it stands in the word": {(1, 2): 5, (2, 1): 8}, "(1, 2) is not (2, 1)": lambda got: list(got.values()) == [18],
        "every neighbour, not every second one": {(1, 2): 10, (2, 1): 3}, "the last pair of a word is missing": {(1, 2): 5, (2, 1): 5}},
        raises={KeyError: "counts.get(pair, 0) is 0 for a new pair", IndexError: "the last id has no right neighbour"})
    expect.same(lambda: count_pairs([([7], 4), ([], 2)]), {}, "one id has no neighbour", raises={IndexError: "a word may have one id, or none"})
    rows = np.random.default_rng(3).integers(0, 3, size=(6, 8)).tolist()
    want = {(a, b): sum(n * sum(row[i:i + 2] == [a, b] for i in range(7)) for n, row in enumerate(rows, 1)) for a in range(3) for b in range(3)}
    expect.same(lambda: sorted(count_pairs([(row, n) for n, row in enumerate(rows, 1)]).items()),
                sorted((pair, count) for pair, count in want.items() if count), "six words at random")

test_unit_count_pairs()

# %% [markdown]
"""
**Your turn.** Join a pair wherever it stands, from left to right. What has been joined is used up: `a a a` holds the pair `(a, a)` twice, and gives
`aa a`.
"""

# %% nbgrader={"grade": false, "grade_id": "merge-pair", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def merge_pair(ids, pair, new):
    """A new list, with `new` in the place of each `pair`, from left to right.

    >>> merge_pair([1, 2, 3, 1, 2], (1, 2), 256)
    [256, 3, 256]
    """
    merged, i = [], 0
    ### BEGIN SOLUTION
    while i < len(ids):
        if i + 1 < len(ids) and (ids[i], ids[i + 1]) == pair:
            merged.append(new)
            i += 2
        else:
            merged.append(ids[i])
            i += 1
    return merged
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-merge-pair", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_merge_pair():
    """A pair is replaced wherever it stands, from left to right."""
    given = [1, 2, 3, 1, 2, 4]
    expect.same(lambda: merge_pair(given, (1, 2), 256), [256, 3, 256, 4], "twice", mistaken={
        "wherever it stands, not only the first time": [256, 3, 1, 2, 4], "both ids are used up: go on after them": [256, 2, 3, 256, 2, 4],
        "what is no pair stays": [256, 256], "the last id is missing": [256, 3, 256], "the pair is replaced, not followed": lambda got: len(got) > 6},
        raises={IndexError: "the last id has no right neighbour"})
    expect.same(given, [1, 2, 3, 1, 2, 4], "the list that was given stays as it was", hint="make a new list")
    expect.same(lambda: merge_pair([2, 1, 1, 2, 1], (1, 2), 256), [2, 1, 256, 1], "21 is not 12, and the last id stays", mistaken={
        "(2, 1) is another pair": lambda got: (got == 256).sum() > 1, "the last id is missing": [2, 1, 256]},
        raises={IndexError: "the last id has no right neighbour"})
    expect.same(lambda: merge_pair([1, 1, 1], (1, 1), 256), [256, 1], "from left to right", mistaken={
        "from left to right": [1, 256], "what has been joined is used up": lambda got: (got == 256).sum() > 1})
    expect.same(lambda: [merge_pair([], (1, 2), 3), merge_pair([1], (1, 2), 3)], [[], [1]], "nothing to join")
    letters = "".join(np.random.default_rng(4).choice(["a", "b"], size=60))
    for pair in ("ab", "aa"):
        expect.same(lambda: "".join(map(chr, merge_pair(list(map(ord, letters)), tuple(map(ord, pair)), ord("c")))), letters.replace(pair, "c"),
                    f"{pair} becomes c, as `replace` does it for text")

test_unit_merge_pair()

# %% [markdown]
"""
Training is a loop of these two. Several pairs may come equally often: then the smallest pair of ids wins, so that everybody learns the same.

**Your turn.** At most `n` merges; stop when no pair is left. Merge number 0 makes the id 256.
"""

# %% nbgrader={"grade": false, "grade_id": "learn-merges-loops", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def learn_merges_loops(words, n):
    """The first `n` merges by counting all pairs before each: {word: count} -> [(a, b), …].

    >>> learn_merges_loops({b"cat": 2, b"that": 1, b"ate": 1}, 2)
    [(97, 116), (99, 256)]
    """
    words, merges = [(list(word), count) for word, count in words.items()], []
    ### BEGIN SOLUTION
    while len(merges) < n and (counts := count_pairs(words)):
        pair = min(counts, key=lambda pair: (-counts[pair], pair))
        words = [(merge_pair(ids, pair, 256 + len(merges)), count) for ids, count in words]
        merges.append(pair)
    return merges
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-learn-merges-loops", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_learn_merges_loops():
    """The commonest pair is joined, again and again; of equally common ones the smallest."""
    small = {b"cat": 1, b"that": 2, b"ate": 1}
    expect.same(lambda: learn_merges_loops(small, 1), [(97, 116)], "at comes four times", mistaken={
        "that is one merge more than n": lambda got: len(got) == 2, "the commonest pair, not the rarest": [(99, 97)]})
    expect.same(lambda: learn_merges_loops({b"ba": 1, b"ca": 1, b"ab": 1}, 3), [(97, 98), (98, 97), (99, 97)], "equally common: the smallest pair",
                mistaken={"of equally common pairs the smallest, not the largest": [(99, 97), (98, 97), (97, 98)],
                          "of equally common pairs the smallest, not the first": [(98, 97), (99, 97), (97, 98)],
                          "join the pair in every word before you count again": [(97, 98)] * 3})
    expect.same(lambda: learn_merges_loops(small, 2), [(97, 116), (104, 256)], "then h with the new id 256", mistaken={
        "a word keeps its count": [(97, 116), (99, 256)], "the first merge makes 256": lambda got: got[1][1] != 256})
    expect.same(lambda: learn_merges_loops({b"aaa": 1, b"b": 9}, 5), [(97, 97), (256, 97)], "then no pair is left", hint="stop when no pair is left")
    letters = np.random.default_rng(6).choice(list(b"abc"), size=(20, 6)).astype("uint8")
    words_at_random = {bytes(row): n for n, row in enumerate(letters, 1)}
    counts = count_pairs([(list(word), count) for word, count in words_at_random.items()])
    expect.same(lambda: counts[learn_merges_loops(words_at_random, 1)[0]], max(counts.values()), "the first of words at random is the commonest")

test_unit_learn_merges_loops()

# %% [markdown]
"""
## 5 · Encoding with pairs

A new word begins as bytes, and goes through the merges *in the order in which they were learned*. So it ends in the pieces that training left it in.

**Your turn.** `made` maps each pair to the id that it makes: the pair that was learned first has the smallest. Join the earliest of the pairs
that the word holds, until it holds none of them.
"""

# %% nbgrader={"grade": false, "grade_id": "merge-word", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def merge_word(word, made):
    """The ids of a word (bytes), with `made` {pair: the id that it makes}, earlier merges first.

    >>> merge_word(b"that", {(97, 116): 256, (116, 104): 257})
    [257, 256]
    """
    ids = list(word)
    ### BEGIN SOLUTION
    while known := made.keys() & zip(ids, ids[1:]):
        pair = min(known, key=made.get)
        ids = merge_pair(ids, pair, made[pair])
    return ids
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-merge-word", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_merge_word():
    """A word goes through the merges in the order in which they were learned."""
    expect.same(lambda: merge_word(b"ath", {(97, 116): 256, (116, 104): 257}), [256, 104], "at was learned before th", mistaken={
        "earlier merges first: those with the smaller new id": [97, 257]}, raises={KeyError: "stop when no pair of the word is known"})
    expect.same(lambda: merge_word(b"ath", {(116, 104): 256, (97, 116): 257}), [97, 256], "here th was first, though at stands first", mistaken={
        "the earliest merge, wherever it stands: not the first from the left": [257, 104]})
    cat = {(97, 116): 256, (99, 256): 257, (257, 257): 258}
    expect.same(lambda: merge_word(b"catcatat", cat), [258, 256], "what was joined is joined again", mistaken={
        "go on until no known pair is left": lambda got: len(got) > 2})
    expect.same(lambda: [merge_word(b"xyz", cat), merge_word(b"x", cat), merge_word(b"", cat)], [[120, 121, 122], [120], []], "no known pair",
                raises={ValueError: "stop when no pair of the word is known", KeyError: "stop when no pair of the word is known"})
    letters = np.random.default_rng(7).choice(list(b"abc"), size=(20, 6)).astype("uint8")
    merges = learn_merges_loops({bytes(row): n for n, row in enumerate(letters, 1)}, 30)
    for word in map(bytes, letters[:5]):
        want = list(word)
        for k, pair in enumerate(merges):
            want = merge_pair(want, pair, 256 + k)
        expect.same(lambda: merge_word(word, {pair: 256 + k for k, pair in enumerate(merges)}), want, "as training left the word")

test_unit_merge_word()

# %% [markdown]
"""
The same words come again and again, so `BPETokenizer` (given) remembers the ids of each, and forgets all when these become too many. `LONGEST` is
what a word can have: 32 characters of up to 4 bytes, and a space.
"""

# %%
#| export
LONGEST, REMEMBERED = 32 * 4 + 1, 50_000


class BPETokenizer(Tokenizer):
    """Byte-pair encoding (Sennrich et al. 2016, on bytes as in GPT-2): `merges` are the pairs that were joined, in order.

    >>> BPETokenizer(258).train("the cat that ate").merges
    [(97, 116), (116, 104)]
    """
    def train(self, texts):
        """Learn merges from a text, or a list of texts, until there are `vocab_size` ids.  The tokenizer itself comes back."""
        texts = each_text(texts, "train")
        return self.learn(learn_merges(count_words(texts), self.room))

    def learn(self, merges):
        """Number what these merges make, from 256 on.  ValueError where one is no new pair of ids before its own."""
        pieces, made = [bytes([i]) for i in range(256)], {}
        for a, b in merges:
            new = len(pieces)
            if not (type(a) is type(b) is int and 0 <= a < new and 0 <= b < new) or (a, b) in made or len(pieces[a] + pieces[b]) > LONGEST:
                raise ValueError(f"merge {new - 256}: a new pair of ids under {new} and at most {LONGEST} bytes wanted, not {a!r:.20}, {b!r:.20}")
            pieces.append(pieces[a] + pieces[b])
            made[a, b] = new
        self.merges, self.learned, self.made, self.cache = list(made), list(made), made, {}
        return super().learn(pieces[256:])

    def encode_ordinary(self, text):
        """The ids of a text in which nothing is special."""
        ids = []
        for word in WORD.findall(text):
            if word not in self.cache:
                if len(self.cache) >= REMEMBERED:
                    self.cache.clear()
                self.cache[word] = merge_word(as_bytes(word), self.made)
            ids += self.cache[word]
        return ids

# %%
tokenizer = BPETokenizer().learn(learn_merges_loops(words, 6))
print(tokenizer.pieces[256:])
print([tokenizer.decode([i]) for i in tokenizer.encode_ordinary("the bat that ate another")])

# %% [markdown]
"""
## 6 · Training that does not count again

How long does the loop take on a real text?
"""

# %% tags=["analysis"]
from timeit import timeit

words = count_words(bible)
print(f"{len(words):,} different words, {timeit(lambda: learn_merges_loops(words, 10), number=1) / 10 * 1000:.0f} ms for a merge")

# %% [markdown]
"""
Most of that is wasted. A merge changes some words, and only their pairs have new counts. So keep three things:

```
 total   {pair: count}                 how often each pair occurs
 where   {pair: {word, word, …}}       in which words it may stand
 heap    (-count, pair), …             the commonest pair, and of equal ones the smallest, is at the top
```

A *heap* is a list that has its smallest entry at place 0 (so counts go in with a minus). It cannot change a number within it. It need not: after a
merge only pairs with the newest id are new, and all other counts *fall*. So the count at the top may be too large, never too small. If it is too
large, put the pair back with the right one.

**Your turn.** The loop. Until there are `n` merges, or the heap is empty or has a count of 0 at its top (`heap[0]`):

1. Take the top, `heapq.heappop(heap)`. If its count is larger than `total[pair]`, push the pair with that (`heapq.heappush`), and go on.
2. The new id is `256 + len(merges)`. Note the merge.
3. For every word `k` in `where[pair]`: take the pairs of its old ids away from `total`, merge, and add those of its new ids.
4. Pairs with the new id in them: note the word in `where`. When all words are done, push each such pair with its total.
"""

# %% nbgrader={"grade": false, "grade_id": "learn-merges", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def learn_merges(words, n):
    """What `learn_merges_loops` gives, much faster: only the words that hold the merged pair are counted again.

    >>> learn_merges({b"cat": 2, b"that": 1, b"ate": 1}, 2)
    [(97, 116), (99, 256)]
    """
    ids, counts, where = [list(word) for word in words], list(words.values()), defaultdict(set)
    for k, word in enumerate(ids):
        for pair in zip(word, word[1:]):
            where[pair].add(k)
    total = Counter(count_pairs(zip(ids, counts)))
    heap, merges = sorted((-count, pair) for pair, count in total.items()), []       # a sorted list is a heap
    ### BEGIN SOLUTION
    while len(merges) < n and heap and heap[0][0]:
        count, pair = heapq.heappop(heap)
        if -count > total[pair]:
            heapq.heappush(heap, (-total[pair], pair))
            continue
        new, fresh = 256 + len(merges), set()
        merges.append(pair)
        for k in where.pop(pair):
            for old in zip(ids[k], ids[k][1:]):
                total[old] -= counts[k]
            ids[k] = merge_pair(ids[k], pair, new)
            for made in zip(ids[k], ids[k][1:]):
                total[made] += counts[k]
                if new in made:
                    where[made].add(k)
                    fresh.add(made)
        for made in fresh:
            heapq.heappush(heap, (-total[made], made))
    return merges
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-learn-merges", "locked": true, "points": 14, "schema_version": 3, "solution": false, "task": false}
def test_unit_learn_merges():
    """The fast training learns what the slow one learns, and counts again only what changed."""
    small = {b"cat": 1, b"that": 2, b"ate": 1}
    expect.same(lambda: learn_merges(small, 2), [(97, 116), (104, 256)], "at, then hat", mistaken={
        "push the new pairs": [(97, 116), (116, 104)], "a pair counts `counts[k]` times": [(97, 116), (99, 256)],
        "old pairs are gone: take them away from `total`, and compare the top with it": [(97, 116), (104, 97)],
        "that is one merge more than n": lambda got: len(got) == 3, "the first merge makes 256": lambda got: got[1][1] > 256},
        raises={KeyError: "note in `where` which words hold a new pair"})
    expect.same(lambda: learn_merges({b"abc": 3, b"bc": 1, b"abd": 2}, 4), [(97, 98), (256, 99), (256, 100), (98, 99)],
                "bc comes 4 times, but only once after ab was joined", hint="push a pair again with the right count: it is not lost")
    expect.same(lambda: learn_merges({b"abc": 1, b"aaa": 9}, 9), [(97, 97), (256, 97), (97, 98), (258, 99)], "then no pair is left",
                hint="stop when no pair is left: a count of 0 is none", raises={IndexError: "stop when the heap is empty"})
    for seed in range(3):
        letters = np.random.default_rng(8 + seed).choice(list(b"abcd"), size=(40, 7)).astype("uint8")
        different = {bytes(row): n for n, row in enumerate(letters, 1)}
        expect.same(lambda: learn_merges(different, 60), learn_merges_loops(different, 60), "40 words at random, as the slow loop",
                    hint="every word in where[pair]: take its old pairs away, merge, add its new ones, each `counts[k]` times")

    used = []

    class Counted(int):                                          # notes how often it is added or taken away
        __radd__ = lambda self, other: used.append(1) or other + int(self)
        __rsub__ = lambda self, other: used.append(1) or other - int(self)

    learn_merges({bytes([k, k + 1, k + 2]): Counted(k) for k in range(1, 201)}, 100)
    expect.true(len(used) < 3000, "200 words, 100 merges, and few pairs counted anew", hint="count again only the words in where[pair]")

test_unit_learn_merges()

# %% [markdown]
"""
The same merges. For each the loop walks through all words, the other one through those that change:
"""

# %% tags=["analysis"]
slow, fast = (timeit(lambda: learn(words, 100), number=1) for learn in (learn_merges_loops, learn_merges))
print(f"100 merges: {slow:.2f} s and {fast:.2f} s, {slow / fast:.0f} times faster")
print(f"2,000 merges of {len(bible):,} characters: {timeit(lambda: BPETokenizer(2256).train(bible), number=1):.2f} s")

# %% [markdown]
"""
## 7 · Special tokens

Between two texts stands `<|end|>`, one id with a meaning of its own. A user who writes these seven characters must not get that id, or could end a
text from within. So all text is plain, unless the *caller* allows special tokens in it.

**Your turn.** One regular expression finds those in `allowed`: `re.split` keeps what a group `(…|…)` matched, at the odd places. `re.escape`
each, and put longer ones first (or `<a>` would be found within `<a>>`). Where none is allowed, all of the text is ordinary.
"""

# %% nbgrader={"grade": false, "grade_id": "encode", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def encode(self, text, allowed_special=()):
    """The ids of a text, a list.  Special tokens are plain text, but for those in `allowed_special` (a list, or "all").

    TypeError for what is not a `str`, ValueError where one is allowed that there is not.

    >>> tokenizer = CharTokenizer(special_tokens=["<|end|>"])
    >>> tokenizer.encode("hi<|end|>", allowed_special="all"), len(tokenizer.encode("hi<|end|>"))
    ([104, 105, 256], 9)
    """
    if not isinstance(text, str):
        raise TypeError(f"encode: text is a str, not {type(text).__name__}")
    allowed = list(self.special_tokens) if isinstance(allowed_special, str) and allowed_special == "all" else list(each_text(allowed_special, "encode"))
    if unknown := set(allowed) - set(self.special_tokens):
        raise ValueError(f"encode: no special token {', '.join(map(repr, unknown))}; there are {list(self.special_tokens)}")
    ### BEGIN SOLUTION
    if not allowed:
        return self.encode_ordinary(text)
    ids = []
    for k, part in enumerate(re.split(f"({'|'.join(map(re.escape, sorted(allowed, key=len, reverse=True)))})", text)):
        ids += [self.special_tokens[part]] if k % 2 else self.encode_ordinary(part)
    return ids
    ### END SOLUTION

Tokenizer.encode = encode

# %% nbgrader={"grade": true, "grade_id": "test-encode", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_encode():
    """Special tokens have ids of their own, only where they are allowed."""
    tokenizer = CharTokenizer(special_tokens=["<|end|>", "<|end|>>"])
    expect.same(lambda: tokenizer.encode("a<|end|>é", allowed_special="all"), [97, 256, 195, 169], "allowed", mistaken={
        "cut the text at the special tokens that are allowed": lambda got: 256 not in got, "the text around them is encoded too": [256]},
        raises={KeyError: "special tokens are at the odd places, and re.escape keeps them whole"})
    expect.same(lambda: tokenizer.encode("a<|end|>"), [97, *b"<|end|>"], "plain where nobody allows it", hint="only those in `allowed` are special",
                raises={KeyError: "without allowed ones all of it is ordinary"})
    expect.same(lambda: tokenizer.encode("<|end|>> <|end|>", allowed_special="all"), [257, 32, 256], "the longer one first",
                hint="sort by length, the longest first")
    expect.same(lambda: tokenizer.encode("<|end|>>", allowed_special=["<|end|>"]), [256, 62], "only what is allowed",
                hint="look for those in `allowed`, not for all")
    expect.same(lambda: tokenizer.encode("<|end|>", "<|end|>"), [256], "one text is a list of one")
    expect.same(lambda: [tokenizer.encode(""), tokenizer.encode("", allowed_special="all"), CharTokenizer().encode("ab", "all")], [[], [], [97, 98]],
                "nothing, and nothing special", hint="without allowed ones all of it is ordinary")
    expect.raises(ValueError, lambda: tokenizer.encode("a", allowed_special=["<|start|>"]), "one that there is not", match="encode <|start|>")
    expect.raises(TypeError, lambda: tokenizer.encode(b"a"), "bytes are not text", match="encode bytes")
    parts = np.random.default_rng(9).choice(["<|end|>", "<|end|>>", "a", "é", "<|"], size=40).tolist()
    mixed = "".join(parts)
    expect.same(lambda: [tokenizer.decode(tokenizer.encode(mixed, how)) for how in ("all", ())], [mixed, mixed], "and back, either way")

test_unit_encode()

# %% [markdown]
"""
## 8 · Files

A tokenizer belongs to its model: with other ids, the same weights mean nothing. It is saved as JSON (given), which runs nothing when it is loaded.
What a file says goes through the checks of `learn`.
"""

# %%
#| export
KINDS = {"char": CharTokenizer, "bpe": BPETokenizer}


def save(self, path):
    """Write the tokenizer to a file, as JSON.  What was there stays as it was if that fails."""
    kind = next(name for name, each in KINDS.items() if isinstance(self, each))
    state = {"version": 1, "kind": kind, "special_tokens": list(self.special_tokens), "learned": self.learned}
    replace_file(path, lambda file: file.write(json.dumps(state).encode("ascii")))


@classmethod
def load(cls, path):
    """The tokenizer in a file that `save` wrote, of the kind that it says.  ValueError for any other file."""
    check_path("load", path)
    try:
        state = json.loads(Path(path).read_bytes())
        version, kind, special, learned = (state[key] for key in ("version", "kind", "special_tokens", "learned"))
        if version != 1 or not issubclass(KINDS[kind], cls):
            raise ValueError(f"version {version!r:.20}, kind {kind!r:.20}; wanted is version 1, {cls.__name__}")
        return KINDS[kind](256 + len(special) + len(learned), special).learn(learned)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"load: {path} is not a tokenizer's file: {type(error).__name__}: {error}") from error

Tokenizer.save, Tokenizer.load = save, load

# %% [markdown]
"""
## 9 · Looking at tokens

`show_tokens` (given) colours a text by its tokens:
"""

# %%
#| export
COLOURS = "#cfe8ff", "#ffe2b8", "#d5f0c8", "#f3d1ea", "#fff3a6"


class TokenMap(list):
    """Tokens as pairs (id, text): coloured in JupyterLab, with bars between them elsewhere."""
    def __repr__(self):
        return "│".join(text for _, text in self)

    def _repr_html_(self):
        spans = [f'<span title="{i}" style="background: {COLOURS[k % len(COLOURS)]}; color: #111">{html.escape(text)}</span>'
                 for k, (i, text) in enumerate(self)]
        return f'<div style="white-space: pre-wrap; font-family: monospace; line-height: 1.7">{"".join(spans)}</div>'


def show_tokens(text, tokenizer):
    """The text cut into its tokens, to look at: hold the mouse over one to see its id.

    >>> show_tokens("that cat", BPETokenizer(258).train("the cat that ate"))
    th│at│ │c│at
    """
    check_kind("show_tokens", Tokenizer, tokenizer=tokenizer)
    ids = tokenizer.encode(text, allowed_special="all")
    return TokenMap((i, tokenizer.pieces[i].decode("utf-8", "backslashreplace")) for i in ids)


# %%
show_tokens("the cat that ate the naïve rat", BPETokenizer(266).train("the cat that ate the other cat"))

# %% [markdown]
"""
The others make a tokenizer by its name, encode many texts, and count what came out:
"""

# %%
#| export
def create_tokenizer(kind, texts, vocab_size=1000, special_tokens=()):
    """A tokenizer of this kind, "char" or "bpe", trained on these texts."""
    check_choice("create_tokenizer", tuple(KINDS), kind=kind)
    return KINDS[kind](vocab_size, special_tokens).train(texts)


def tokenize_dataset(texts, tokenizer, max_length=None):
    """The ids of each text, a list of lists; of long ones the first `max_length`."""
    check_kind("tokenize_dataset", Tokenizer, tokenizer=tokenizer)
    check_whole("tokenize_dataset", 0, none=True, max_length=max_length)
    return [tokenizer.encode(text)[:max_length] for text in each_text(texts, "tokenize_dataset")]


def analyze_tokenization(texts, tokenizer):
    """What a tokenizer makes of some texts, as a dict; `compression_ratio` is characters per token."""
    check_kind("analyze_tokenization", Tokenizer, tokenizer=tokenizer)
    texts = list(each_text(texts, "analyze_tokenization"))
    rows = tokenize_dataset(texts, tokenizer)
    total = sum(map(len, rows))
    return {"vocab_size": tokenizer.vocab_size, "total_tokens": total, "unique_tokens": len({i for row in rows for i in row}),
            "avg_sequence_length": total / max(len(rows), 1), "max_sequence_length": max(map(len, rows), default=0),
            "compression_ratio": sum(map(len, texts)) / max(total, 1)}

# %%
print(analyze_tokenization("the cat that ate the other cat", create_tokenizer("bpe", "the cat that ate", vocab_size=260)))

# %% [markdown]
"""
After training on the Bible: common words are one token, a name is made of parts, and a word of today falls into pieces.
"""

# %% tags=["analysis"]
from IPython.display import display

tokenizer = create_tokenizer("bpe", bible, vocab_size=1024)
display(show_tokens("In the beginning God created the heaven and the earth. And Nebuchadnezzar bought a smartphone 🙂.", tokenizer))

# %% [markdown]
"""
How large should the vocabulary be? More ids make shorter rows. But each doubling gains less, and every id costs the model a row of weights. And what
was learned from one kind of text helps little with another.
"""

# %% tags=["analysis"]
import matplotlib.pyplot as plt

sizes, tokenizer = [2**k for k in range(8, 14)], BPETokenizer(2**13).train(bible[:cut])
parts = {"the Bible, not seen": bible[cut:], "a program": Path(json.__file__).read_text(encoding="utf-8")}
rows = {name: [analyze_tokenization(part, BPETokenizer(size).learn(tokenizer.merges[:size - 256]))["compression_ratio"] for size in sizes]
        for name, part in parts.items()}
plt.figure(figsize=(5, 3))
for name, ratios in rows.items():
    print(f"{name:20}", *(f"{ratio:5.2f}" for ratio in ratios))
    plt.plot(sizes, ratios, "o-", label=name)
plt.xscale("log", base=2); plt.xlabel("vocabulary"); plt.ylabel("characters per token"); plt.legend(); plt.show()

# %% [markdown]
"""
## 10 · From ids to samples

A model that reads `T` ids learns to say the next one, at every place. So a sample is a pair: `T` ids, and the same moved on by one.

```
 ids        5  8  2  9  4  7          T = 4
 sample 0   5  8  2  9        ►       8  2  9  4
 sample 1      8  2  9  4     ►          2  9  4  7
```

**Your turn.** A window begins at every id that has enough others behind it. An index that is too large, or negative, is an IndexError that names it.
"""

# %% nbgrader={"grade": false, "grade_id": "text-dataset", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
class TextDataset(Dataset):
    """All windows of a row of ids: sample i is (ids[i : i+T], ids[i+1 : i+T+1]), two int64 Tensors (T,).

    ValueError where there are not more ids than `context_length`.

    >>> TextDataset([5, 6, 7, 8], 2)[1]
    (Tensor([6, 7], dtype=int64), Tensor([7, 8], dtype=int64))
    """
    def __init__(self, ids, context_length):
        check_kind("TextDataset", Integral, context_length=context_length)
        self.ids, self.context_length = whole_numbers(ids, "TextDataset"), context_length
        if not 0 < context_length < len(self.ids):
            raise ValueError(f"TextDataset: context_length is from 1 to {len(self.ids) - 1} for {len(self.ids)} ids, not {context_length}")

    def __len__(self):
        """How many windows there are."""
        ### BEGIN SOLUTION
        return len(self.ids) - self.context_length
        ### END SOLUTION

    def __getitem__(self, index):
        """Window `index`, from 0: what is read, and what comes next at each place.  IndexError where there is none."""
        check_kind("TextDataset", Integral, index=index)
        ### BEGIN SOLUTION
        if not 0 <= index < len(self):
            raise IndexError(f"TextDataset: there is no sample {index}; there are {len(self)}")
        window = self.ids[index:index + self.context_length + 1]
        return Tensor(window[:-1]), Tensor(window[1:])
        ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-text-dataset", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_text_dataset():
    """Each sample is a window and what follows it."""
    ids = np.random.default_rng(0).integers(0, 1000, size=12)
    data = TextDataset(ids, 4)
    expect.same(lambda: len(data), 8, "12 ids, windows of 4 and one more", mistaken={
        "the last window needs an id to follow it": 9, "windows begin at every id, not at every fourth": 3, "that is all ids": 12})
    expect.true(lambda: isinstance(data[0], tuple), "a sample is a tuple", hint="return (what is read, what comes next)")
    expect.same(lambda: [type(part) for part in data[0]], [Tensor, Tensor], "of two Tensors", hint="make a Tensor of each")
    expect.same(lambda: data[2][0], ids[2:6], "four ids from number 2 on", hint="ids[i : i + T]")
    expect.same(lambda: data[2][1], ids[3:7], "the same, moved on by one", hint="ids[i + 1 : i + T + 1]")
    expect.same(lambda: data[7][1], ids[8:], "the last", raises={IndexError: "the last index is len - 1"})
    for wrong in (8, -1):
        expect.raises(IndexError, lambda: data[wrong], "no more samples", match=str(wrong), hint="raise IndexError unless 0 <= index < len(self)")
    for wrong in (0, 12, 13):
        expect.raises(ValueError, lambda: TextDataset(ids, wrong), "a context that does not fit", match=f"11 12 {wrong}")

test_unit_text_dataset()

# %% nbgrader={"grade": true, "grade_id": "test-module", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_module():
    """Everything together: train, save, load, encode, decode, look, and make samples."""
    import tempfile
    texts = ["the cat that ate the other cat", "naïve café, 東京 🙂\n\n\tand  more"]
    strange = "".join(map(chr, np.random.default_rng(3).integers(0, 0x110000, size=100).tolist())) + " the cat<|end|>"
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "tokenizer.json"
        for kind in KINDS:
            tokenizer = create_tokenizer(kind, texts, vocab_size=280, special_tokens=["<|end|>"])
            expect.true(tokenizer.vocab_size <= 280 and f"vocab_size={tokenizer.vocab_size}" in repr(tokenizer), "it is as large as it says")
            for text in (*texts, strange):
                expect.same(lambda: tokenizer.decode(tokenizer.encode(text)), text, f"{kind}: every text comes back")
            tokenizer.save(path)
            again = Tokenizer.load(path)
            expect.same(lambda: [type(again), again.pieces], [type(tokenizer), tokenizer.pieces], "saved and loaded, it is the same")
            expect.same(lambda: again.encode(strange, "all"), tokenizer.encode(strange, "all"), "with the same ids")
        expect.raises(ValueError, lambda: CharTokenizer.load(path), "a file of another kind", match="load CharTokenizer")
        for special, learned in [([], [[256, 97]]), ([], [[97, 97]] * 2), ([], [[97, 97]] + [[k, k] for k in range(256, 280)]), (["<", "<"], [])]:
            path.write_text(json.dumps({"version": 1, "kind": "bpe", "special_tokens": special, "learned": learned}), encoding="utf-8")
            expect.raises(ValueError, lambda: Tokenizer.load(path), "a file that no tokenizer wrote", match="load tokenizer.json")
        path.write_bytes("\ufeffdünn\r\n".encode())
        expect.same(lambda: load_text(path), "dünn\n", "a text of one's own")
        path.write_bytes("dünn".encode("latin-1"))
        expect.raises(ValueError, lambda: load_text(path), "which is not UTF-8", match="tokenizer.json UTF-8 1")
        expect.raises(FileNotFoundError, lambda: load_text(path / "none.txt"), "or not there", match="none.txt")
    expect.raises(ValueError, lambda: create_tokenizer("words", texts), "no such kind", match="char bpe words")
    expect.raises(ValueError, lambda: BPETokenizer(256, ["<|end|>"]), "too small for what it must hold", match="257 256")

    tokenizer = BPETokenizer(258).train(texts[0])
    expect.same(lambda: tokenizer.merges, [(97, 116), (116, 104)], "at and th")
    expect.same(lambda: tokenize_dataset(["that", "cat"], tokenizer, max_length=2), [[257, 256], [99, 256]], "rows of ids")
    expect.same(lambda: tokenize_dataset("that", tokenizer, max_length=1), [[257]], "cut at max_length")
    expect.same(lambda: analyze_tokenization(["that", "cat"], tokenizer), {"vocab_size": 258, "total_tokens": 4, "unique_tokens": 3,
                "avg_sequence_length": 2.0, "max_sequence_length": 2, "compression_ratio": 7 / 4}, "four tokens, three different ones")
    shown = show_tokens("<at é", tokenizer)
    expect.same(lambda: repr(shown), r"<│at│ │\xc3│\xa9", "tokens to look at")
    expect.true(lambda: "&lt;" in shown._repr_html_() and 'title="256"' in shown._repr_html_(), "in HTML, with their ids")
    expect.same(lambda: TextDataset(tokenizer.encode(texts[0]), 8)[0][0].dtype, np.dtype("int64"), "ids are whole numbers to the end")

test_module()

# %% [markdown]
"""
## 11 · In your own words

**Question 1.** Two models read 512 tokens at a time and have 768 weights for each id: one reads bytes, the other has 50,000 ids with 4 characters a
token. How many weights are in their tables of ids? How many characters does each read at a time? When would you choose bytes?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-size", "locked": false, "points": 5, "schema_version": 3, "solution": true, "task": false}
"""
256 · 768 = 196,608 weights and 50,000 · 768 = 38,400,000. The first reads 512 characters at a time (fewer where they are wide), the second about
2,048. Bytes suit a small model or little text: with 50,000 ids most would be seen too rarely to learn anything about them, and the table would be
most of the model.
"""

# %% [markdown]
"""
**Question 2.** A large model writes good essays, and miscounts the letters r in *strawberry*. It reads byte pairs. What does it see of the word, and
why may it count better in *s t r a w b e r r y*?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-letters", "locked": false, "points": 5, "schema_version": 3, "solution": true, "task": false}
"""
It sees one id, or a few such as `st`, `raw` and `berry`, and nothing in an id says which letters are in it: it would have to learn the spelling of
each piece by heart. With spaces between them each letter is an id of its own, and the letters can be seen and counted.
"""

# %% [markdown]
"""
## Where you are

A tokenizer that no text can break, trained in seconds, and samples for a model that guesses what comes next. Next: `tito module complete 10`. Then
module 11 gives each id a row of numbers that can be learned.
"""
