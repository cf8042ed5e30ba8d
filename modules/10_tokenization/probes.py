"""Inputs and calls for the judge: never an expected value.  The reference's answers to the same calls are the expectation."""

from tito.check.probing import exact, holds, probe, raised

SPECIAL = ["<|end|>", "<|end|>>", "a.b", "(", "é"]


def any_text(rng, length, top=0x110000):
    """Characters at random, halves of a pair among them; half of them letters."""
    return "".join(chr(int(rng.integers(97, 103)) if rng.random() < 0.5 else int(rng.integers(0, top))) for _ in range(length))


def some_words(rng, count, letters=b"abcd"):
    """{a word: how often it comes}: short words of few letters."""
    return {bytes(rng.choice(list(letters), size=int(rng.integers(0, 9))).tolist()): int(rng.integers(1, 9)) for _ in range(count)}


def rows(rng, count, top=4):
    """[(ids, count), …]"""
    return [(rng.integers(0, top, size=int(rng.integers(0, 9))).tolist(), int(rng.integers(1, 9))) for _ in range(count)]


@probe("test-as-bytes", exact)
def text_and_back(tinytorch, rng):
    texts = ["", any_text(rng, 50), any_text(rng, 50, 0x300), "\ud800\udc00" + any_text(rng, 3)]
    data = [tinytorch.as_bytes(text) for text in texts]
    return [[list(d) for d in data], [list(map(ord, tinytorch.as_text(d))) for d in data],
            [raised(lambda: tinytorch.as_bytes(wrong)) for wrong in (b"a", 5, None, ["a"])]]


@probe("test-as-bytes", exact)
def bytes_at_random(tinytorch, rng):
    data = [bytes(rng.integers(0, 256, size=20).tolist()) for _ in range(30)]
    cut = [tinytorch.as_bytes(any_text(rng, 10))[k:] for k in range(4)]
    return [list(map(ord, tinytorch.as_text(d))) for d in (*data, *cut, b"")]


@probe("test-decode", exact)
def ids_at_random(tinytorch, rng):
    learned = [tinytorch.as_bytes(any_text(rng, 4)) for _ in range(5)] + [bytes(rng.integers(128, 256, size=3).tolist())]
    tokenizer = tinytorch.Tokenizer(special_tokens=["<|end|>", "é"]).learn(learned)
    ids = rng.integers(0, tokenizer.vocab_size, size=(20, 12))
    answers = [tokenizer.decode(given) for row in ids for given in (row, row.tolist(), tinytorch.Tensor(row))]
    wrong = [[tokenizer.vocab_size], [-1], [tokenizer.vocab_size - 1], [0.5], [[1]], 5, [1, 10**9], [True]]
    return [[list(map(ord, text)) for text in answers], [raised(lambda: tokenizer.decode(given)) for given in wrong], tokenizer.decode([])]


@probe("test-char-tokenizer", exact)
def characters(tinytorch, rng):
    answers = []
    for room in (0, 1, 3, 700):
        tokenizer = tinytorch.CharTokenizer(256 + room)
        texts = [any_text(rng, 60, 0x100), any_text(rng, 60, 0x200)]
        same = tokenizer.train(texts) is tokenizer
        answers += [same, list(map(ord, tokenizer.learned)), tokenizer.encode_ordinary(any_text(rng, 60)), tokenizer.encode_ordinary(texts[0])]
        answers += [list(map(ord, tokenizer.train(texts[1]).learned)), tokenizer.vocab_size, tokenizer.encode_ordinary(any_text(rng, 60, 0x200))]
    return answers


@probe("test-count-pairs", exact)
def pairs_of_words(tinytorch, rng):
    given = [rows(rng, n) for n in (0, 1, 5, 40)]
    return [sorted([*pair, count] for pair, count in tinytorch.count_pairs(words).items()) for words in given] + [given]


@probe("test-merge-pair", exact)
def merged_rows(tinytorch, rng):
    answers = []
    for ids, _ in rows(rng, 60, 3):
        a, b = rng.integers(0, 3, size=2).tolist()
        result = tinytorch.merge_pair(ids, (a, b), 300)
        answers += [result, ids, result is ids]
    return answers


@probe("test-learn-merges-loops", exact)
def merges_by_counting(tinytorch, rng):
    words = [some_words(rng, 12), some_words(rng, 25, b"ab"), some_words(rng, 6, "aé".encode()), {}, {b"a": 2, b"": 1}]
    return [tinytorch.learn_merges_loops(given, n) for given in words for n in (0, 1, 7, 200)]


@probe("test-merge-word", exact)
def words_with_merges(tinytorch, rng):
    answers = []
    for _ in range(30):
        made, top = {}, [97, 98, 99]
        for new in range(256, 270):
            pair = tuple(rng.choice(top, size=2).tolist())
            if pair not in made:
                made[pair] = new
                top.append(new)
        answers += [tinytorch.merge_word(bytes(rng.choice([97, 98, 99], size=int(n)).tolist()), made) for n in rng.integers(0, 15, size=4)]
    return answers


@probe("test-learn-merges", exact)
def merges_by_a_heap(tinytorch, rng):
    words = [some_words(rng, 60), some_words(rng, 40, b"ab"), some_words(rng, 30, b"abcdefghij"), {}, {b"a": 2, b"": 1}, {b"a" * 20: 3}]
    return [tinytorch.learn_merges(given, n) for given in words for n in (0, 1, 9, 60, 400)]


@probe("test-learn-merges", holds(lambda got, want: got[0] == want[0] and got[1] <= 3 * want[1]))
def few_counts(tinytorch, rng):
    used = []

    class Counted(int):
        __radd__ = lambda self, other: used.append(1) or other + int(self)
        __rsub__ = lambda self, other: used.append(1) or other - int(self)

    merges = tinytorch.learn_merges({bytes([k, k + 1, k + 2]): Counted(k) for k in range(1, 201)}, int(rng.integers(80, 120)))
    return [[list(pair) for pair in merges], len(used)]


@probe("test-encode", exact)
def special_and_plain(tinytorch, rng):
    tokenizer = tinytorch.CharTokenizer(special_tokens=SPECIAL)
    texts = ["".join(rng.choice([*SPECIAL, "a", "b", "<|", ">", " "], size=15)) for _ in range(8)] + [""]
    allowed = [(), "all", [], SPECIAL[:1], SPECIAL[1:], [str(rng.choice(SPECIAL))], "(", "a.b"]
    answers = [tokenizer.encode(text, how) for text in texts for how in allowed]
    wrong = [(b"a", ()), (None, "all"), ("a", ["b"]), ("a", "any")]
    return [answers, [raised(lambda: tokenizer.encode(*given)) for given in wrong], tinytorch.CharTokenizer().encode(texts[0], "all")]


@probe("test-text-dataset", exact)
def windows(tinytorch, rng):
    answers = []
    for n, context in [(2, 1), (9, 1), (9, 8), (30, 7)]:
        ids = rng.integers(0, 2**40, size=n)
        for given in (ids, ids.tolist(), tinytorch.Tensor(ids)):
            data = tinytorch.TextDataset(given, context)
            answers += [len(data), [list(data[i]) for i in range(len(data))], [type(part).__name__ for part in data[0]], isinstance(data[0], tuple)]
            answers += [raised(lambda: data[len(data)]), raised(lambda: data[-1]), raised(lambda: data[n])]
    return answers


@probe("test-module", exact)
def both_kinds(tinytorch, rng):
    answers = []
    for kind in ("char", "bpe"):
        texts = [any_text(rng, 40, 0x200), "the cat that ate the other cat " * 3]
        tokenizer = tinytorch.create_tokenizer(kind, texts, int(rng.integers(270, 300)), ["<|end|>"])
        strange = any_text(rng, 60) + "<|end|>"
        ids = [tokenizer.encode(text, how) for text in (*texts, strange) for how in ((), "all")]
        answers += [ids, [list(map(ord, tokenizer.decode(row))) for row in ids], tokenizer.vocab_size]
        answers += [repr(tinytorch.show_tokens(texts[1], tokenizer)), tinytorch.tokenize_dataset(texts, tokenizer, 9)]
        answers += [tinytorch.analyze_tokenization(texts, tokenizer)]
    return answers
