"""Wrong answers that real learners write, as patches of the solution, each with the words its card must show first."""

from tito.dev.checks.mistake import Equivalent, Mistake

ENCODED = 'text.encode("utf-8", "surrogatepass")'
STRICT = 'data.decode("utf-8", "surrogatepass")'
READ = "try:\n        return data.decode(\"utf-8\", \"surrogatepass\")\n    except UnicodeDecodeError:\n        return "
RANGE = "not 0 <= i < self.vocab_size"
JOINED = 'as_text(b"".join([self.pieces[i] for i in ids]))'
WIDE = "ord(character) > 127"
BEST = "sorted(wide, key=lambda character: (-counts[character], character))"
CHOSEN = "[self.table[character]] if character in self.table else as_bytes(character)"
ADDED = "counts[pair] = counts.get(pair, 0) + count"
NEIGHBOURS = "zip(ids, ids[1:])"
WHILE = "while i < len(ids):"
FOUND = "if i + 1 < len(ids) and (ids[i], ids[i + 1]) == pair:"
USED_UP = "merged.append(new)\n            i += 2"
LOOP = "while len(merges) < n and (counts := count_pairs(words)):"
COMMONEST = "min(counts, key=lambda pair: (-counts[pair], pair))"
JOIN_ALL = "words = [(merge_pair(ids, pair, 256 + len(merges)), count) for ids, count in words]"
KNOWN = "while known := made.keys() & zip(ids, ids[1:]):"
EARLIEST = "pair = min(known, key=made.get)"
HEAP = "while len(merges) < n and heap and heap[0][0]:"
STALE = "if -count > total[pair]:\n            heapq.heappush(heap, (-total[pair], pair))\n            continue"
TAKEN = "for old in zip(ids[k], ids[k][1:]):\n                total[old] -= counts[k]\n            "
PLUS = "total[made] += counts[k]"
HELD = "where[made].add(k)"
PUSH = "for made in fresh:\n            heapq.heappush(heap, (-total[made], made))"
NOTHING = "if not allowed:\n        return self.encode_ordinary(text)\n    "
SORTED = "sorted(allowed, key=len, reverse=True)"
SPECIAL = "[self.special_tokens[part]] if k % 2 else self.encode_ordinary(part)"
WINDOWS = "len(self.ids) - self.context_length"
OUTSIDE = "not 0 <= index < len(self)"
CUT = "window = self.ids[index:index + self.context_length + 1]"
PARTS = "return Tensor(window[:-1]), Tensor(window[1:])"

MISTAKES = [
    Mistake("as-bytes", "numbers of characters", f"return {ENCODED}", "return list(map(ord, text))", "numbers of characters"),
    Mistake("as-bytes", "an old encoding", ENCODED, 'text.encode("latin-1")', "UTF-8 has bytes for every character"),
    Mistake("as-bytes", "strict", ENCODED, "text.encode()", "lets halves of a pair through"),
    Mistake("as-bytes", "writes a question mark", ENCODED, 'text.encode("utf-8", "replace")', '"surrogatepass" keeps it'),
    Mistake("as-bytes", "always replaces", STRICT, 'data.decode("utf-8", "replace")', '"surrogatepass" comes first'),
    Mistake("as-bytes", "cannot read halves", STRICT, "data.decode()", '"surrogatepass" comes first'),
    Mistake("as-bytes", "does not catch", READ + 'data.decode("utf-8", "replace")', "return " + STRICT, "catch it"),
    Mistake("as-bytes", "leaves out", 'data.decode("utf-8", "replace")', 'data.decode("utf-8", "ignore")', "do not leave it out"),
    Mistake("as-bytes", "strict when it fails", 'data.decode("utf-8", "replace")', "data.decode()", "catch it"),

    Mistake("decode", "takes ids for bytes", JOINED, "as_text(bytes(ids))", "an id is not a byte"),
    Mistake("decode", "reads each piece alone", JOINED, '"".join([as_text(self.pieces[i]) for i in ids])', "join the bytes of all pieces"),
    Mistake("decode", "reads strictly", JOINED, 'b"".join([self.pieces[i] for i in ids]).decode()', "as_text reads what can be read"),
    Mistake("decode", "one id too few", RANGE, "not 0 <= i < self.vocab_size - 1", "ids go from 0 to vocab_size - 1"),
    Mistake("decode", "one id too many", RANGE, "not 0 <= i <= self.vocab_size", "raise unless 0 <= id < self.vocab_size"),
    Mistake("decode", "looks up from the end", RANGE, "i >= self.vocab_size", "raise unless 0 <= id < self.vocab_size"),
    Mistake("decode", "looks at nothing", RANGE, "False", "raise unless 0 <= id < self.vocab_size"),

    Mistake("char-tokenizer", "letters too", WIDE, "True", "only characters above 127"),
    Mistake("char-tokenizer", "forgets how often", BEST, "sorted(wide)", "the most frequent first"),
    Mistake("char-tokenizer", "the rarest first", BEST, "sorted(wide, key=lambda character: (counts[character], character))",
            "the most frequent first"),
    Mistake("char-tokenizer", "as they come", BEST, "[c for c, _ in counts.most_common() if c in wide]", "the smaller comes first"),
    Mistake("char-tokenizer", "no limit", "[:self.room]", "", "at most self.room"),
    Mistake("char-tokenizer", "gives nothing back", "return self.learn(", "self.learn(", "return self.learn"),
    Mistake("char-tokenizer", "knows them all", CHOSEN, "[self.table[character]]", "written in its bytes"),
    Mistake("char-tokenizer", "leaves out", CHOSEN, "[self.table[character]] if character in self.table else []", "is not left out"),
    Mistake("char-tokenizer", "the number of a character", CHOSEN, "[self.table.get(character, ord(character))]", "not its number"),
    Mistake("char-tokenizer", "only bytes", CHOSEN, "as_bytes(character)", "look them up in self.table"),

    Mistake("count-pairs", "each word once", ADDED, "counts[pair] = counts.get(pair, 0) + 1", "five times"),
    Mistake("count-pairs", "overwrites", ADDED, "counts[pair] = count", "add to what was counted before"),
    Mistake("count-pairs", "each pair once in a word", NEIGHBOURS, "set(zip(ids, ids[1:]))", "wherever it stands in the word"),
    Mistake("count-pairs", "either way round", ADDED, "pair = min(pair, pair[::-1])\n            " + ADDED, "(1, 2) is not (2, 1)"),
    Mistake("count-pairs", "every second", NEIGHBOURS, "zip(ids[::2], ids[1::2])", "not every second one"),
    Mistake("count-pairs", "misses the last", NEIGHBOURS, "zip(ids[:-1], ids[1:-1])", "the last pair of a word is missing"),
    Mistake("count-pairs", "one too far", f"for pair in {NEIGHBOURS}:",
            "for pair in [(ids[i], ids[i + 1]) for i in range(len(ids))]:", "no right neighbour"),
    Mistake("count-pairs", "no first count", ADDED, "counts[pair] += count", "is 0 for a new pair"),

    Mistake("merge-pair", "goes on by one", USED_UP, USED_UP.replace("2", "1"), "used up"),
    Mistake("merge-pair", "looks too far", FOUND, "if (ids[i], ids[i + 1]) == pair:", "no right neighbour"),
    Mistake("merge-pair", "loses the last", WHILE, "while i < len(ids) - 1:", "the last id is missing"),
    Mistake("merge-pair", "either way round", "(ids[i], ids[i + 1]) == pair", "{ids[i], ids[i + 1]} == set(pair)", "(2, 1) is another pair"),
    Mistake("merge-pair", "only the first", USED_UP, "return merged + [new] + ids[i + 2:]", "not only the first time"),
    Mistake("merge-pair", "adds and does not replace", USED_UP, "merged += [*pair, new]\n            i += 2", "replaced, not followed"),
    Mistake("merge-pair", "forgets the others", "merged.append(ids[i])\n            i += 1", "i += 1", "what is no pair stays"),
    Mistake("merge-pair", "changes what was given", WHILE,
            "while i + 1 < len(ids):\n        if (ids[i], ids[i + 1]) == pair:\n            ids[i:i + 2] = [new]\n        i += 1\n"
            "    return ids\n    " + WHILE,
            "make a new list"),

    Mistake("learn-merges-loops", "one too many", LOOP, LOOP.replace("< n", "<= n"), "one merge more than n"),
    Mistake("learn-merges-loops", "never stops", LOOP, "while len(merges) < n:\n        counts = count_pairs(words)", "stop when no pair is left"),
    Mistake("learn-merges-loops", "does not join", JOIN_ALL, "pass", "join the pair in every word"),
    Mistake("learn-merges-loops", "one id too far", "256 + len(merges)", "257 + len(merges)", "the first merge makes 256"),
    Mistake("learn-merges-loops", "forgets counts", JOIN_ALL, JOIN_ALL.replace(", count)", ", 1)"), "a word keeps its count"),
    Mistake("learn-merges-loops", "the largest pair", COMMONEST, "max(counts, key=lambda pair: (counts[pair], pair))", "not the largest"),
    Mistake("learn-merges-loops", "the first pair", COMMONEST, "max(counts, key=counts.get)", "not the first"),
    Mistake("learn-merges-loops", "the rarest", COMMONEST, "min(counts, key=lambda pair: (counts[pair], pair))", "not the rarest"),

    Mistake("merge-word", "the latest first", EARLIEST, "pair = max(known, key=made.get)", "earlier merges first"),
    Mistake("merge-word", "from the left", EARLIEST, "pair = next(pair for pair in zip(ids, ids[1:]) if pair in made)",
            "not the first from the left"),
    Mistake("merge-word", "only one", KNOWN, KNOWN.replace("while", "if"), "until no known pair is left"),
    Mistake("merge-word", "takes any pair", KNOWN, "while known := set(zip(ids, ids[1:])):", "stop when no pair of the word is known"),

    Mistake("learn-merges", "counts all anew", HEAP, "return learn_merges_loops(words, n)\n    " + HEAP, "count again only the words"),
    Mistake("learn-merges", "never stops", HEAP, "while len(merges) < n:", "stop when the heap is empty"),
    Mistake("learn-merges", "goes on with nothing", HEAP, "while len(merges) < n and heap:", "stop when no pair is left"),
    Mistake("learn-merges", "one too many", HEAP, HEAP.replace("< n", "<= n"), "one merge more than n"),
    Mistake("learn-merges", "trusts the heap", STALE, "pass", "compare the top with it"),
    Mistake("learn-merges", "drops what is too large", STALE, "if -count > total[pair]:\n            continue", "it is not lost"),
    Mistake("learn-merges", "takes nothing away", TAKEN, "", "take them away from `total`"),
    Mistake("learn-merges", "does not push", PUSH, "pass", "push the new pairs"),
    Mistake("learn-merges", "one id too far", "256 + len(merges)", "257 + len(merges)", "the first merge makes 256"),
    Mistake("learn-merges", "does not note where", HELD, "pass", "note in `where`"),
    Mistake("learn-merges", "adds one each", PLUS, "total[made] += 1", "a pair counts `counts[k]` times"),

    Mistake("encode", "always special", NOTHING, "allowed = list(self.special_tokens)\n    " + NOTHING, "only those in `allowed` are special"),
    Mistake("encode", "never special", NOTHING, "return self.encode_ordinary(text)\n    ", "cut the text at the special tokens"),
    Mistake("encode", "does not escape", f"map(re.escape, {SORTED})", SORTED, "re.escape keeps them whole"),
    Mistake("encode", "as they come", SORTED, "sorted(allowed)", "the longest first"),
    Mistake("encode", "the shortest first", SORTED, "sorted(allowed, key=len)", "the longest first"),
    Mistake("encode", "the even places", SPECIAL, SPECIAL.replace("if k % 2", "if not k % 2"), "special tokens are at the odd places"),
    Mistake("encode", "loses the text", SPECIAL, "[self.special_tokens[part]] if k % 2 else []", "the text around them"),
    Mistake("encode", "looks for all", SORTED, SORTED.replace("allowed", "self.special_tokens"), "look for those in `allowed`"),
    Mistake("encode", "an empty pattern", NOTHING, "", "without allowed ones"),

    Mistake("text-dataset", "one too many", WINDOWS, WINDOWS + " + 1", "needs an id to follow it"),
    Mistake("text-dataset", "all ids", WINDOWS, "len(self.ids)", "that is all ids"),
    Mistake("text-dataset", "side by side", WINDOWS, "len(self.ids) // self.context_length", "not at every fourth"),
    Mistake("text-dataset", "begins too far", CUT, "index *= self.context_length\n        " + CUT, "ids[i : i + T]"),
    Mistake("text-dataset", "no target", PARTS, "return Tensor(window[:-1]), Tensor(window[:-1])", "ids[i + 1 : i + T + 1]"),
    Mistake("text-dataset", "only the last target", PARTS, "return Tensor(window[:-1]), Tensor(window[-1:])", "ids[i + 1 : i + T + 1]"),
    Mistake("text-dataset", "arrays", PARTS, "return window[:-1], window[1:]", "make a Tensor of each"),
    Mistake("text-dataset", "a list", PARTS, "return [Tensor(window[:-1]), Tensor(window[1:])]", "return (what is read"),
    Mistake("text-dataset", "floats", "Tensor(window[:-1])", "Tensor(window[:-1] * 1.0)", "ids[i : i + T]"),
    Mistake("text-dataset", "never ends", OUTSIDE, "False", "raise IndexError unless"),
    Mistake("text-dataset", "from the end", OUTSIDE, "index >= len(self)", "raise IndexError unless"),
    Mistake("text-dataset", "one too few", OUTSIDE, "not 0 <= index < len(self) - 1", "the last index is len - 1"),
]

JOINED_SPECIAL = f"ids += {SPECIAL}"

EQUIVALENT = [
    *(Equivalent("learn-merges", old, new, "older pairs come into the heap once more, with the number that they have: only more work")
      for old, new in (("if new in made:", "if True:"), ("for made in fresh:", "for made in where:"))),
    Equivalent("encode", JOINED_SPECIAL, JOINED_SPECIAL.replace("k % 2", "-k % 2"), "-k is odd where k is"),
    Equivalent("encode", JOINED_SPECIAL, JOINED_SPECIAL.replace("k % 2", "k % -2"), "the rest is -1 then, which is true as well"),
]
