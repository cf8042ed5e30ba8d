"""Which released cell each handed-in cell is: by its label, and where that is missing or false by what it says."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cached_property

from tito.repair.piece import Piece, Slot, added, heads_in, names_in, parsed, statements, without

ALIKE = 0.5                     # the share of a released cell's own lines that a cell must have to be taken for it
EXPORT = "#| export"


class Matching:
    """`home`: which released cell a piece is; `reach`: up to which one it goes; what is not in `home` nor `gone` is the student's own."""

    def __init__(self, slots: list[Slot], pieces: list[Piece]):
        self.slots, self.pieces = slots, list(pieces)
        self.home: dict[Piece, Slot] = {}
        self.taken: dict[Slot, Piece] = {}
        self.gone: set[Piece] = set()
        self.reach: dict[Piece, int] = {}
        self.found: dict[Slot, str] = {}                        # where an answer was found that had lost its label
        self.copies: list[Slot] = []
        self.shared: set[Slot] = set()                          # checks and locked cells in whose cell something else stood, too
        self._settled: set[Piece] = set()
        self._parts: set[Piece] = set()
        for slot, claims in self._claims().items():
            self._choose(slot, claims)
        self._leftovers()
        if self.missing or self._parts:
            self._by_text()
            self._by_block()
            self._by_names()
            self._by_likeness()
            self._by_place()
            self._by_statements()

    @property
    def missing(self) -> list[Slot]:
        return [s for s in self.slots if s not in self.taken]

    @property
    def loose(self) -> list[Piece]:
        """Cells that may still turn out to be a released one."""
        return [p for p in self.pieces if p not in self.home and p not in self.gone and p not in self._settled and p.text]

    def _take(self, slot: Slot, piece: Piece) -> None:
        self.home[piece], self.taken[slot] = slot, piece

    # -- labels

    def _claims(self) -> dict[Slot, list[Piece]]:
        """Per released cell those that bear its label: of two that bear each other's, each is given its own."""
        by_name = {s.grade_id: s for s in self.slots if s.grade_id}
        by_id = {s.id: s for s in self.slots if s.id}
        claims: dict[Slot, list[Piece]] = defaultdict(list)
        astray: list[tuple[Piece, Slot, Slot]] = []
        for piece in self.pieces:
            slot = by_name.get(piece.grade_id) or by_id.get(piece.id)
            if slot is None:
                continue
            if not piece.text and slot.text and not slot.written:
                self.gone.add(piece)                            # emptied: nothing of it is left
            elif other := self._elsewhere(piece, slot):
                astray.append((piece, slot, other))
            else:
                claims[slot].append(piece)
        for piece, label, slot in astray:
            there, here = (any(_is(other, s) for other in claims[s]) for s in (slot, label))
            if not there:
                claims[label] += claims.pop(slot, [])
            claims[label if there and not here else slot].append(piece)
        order = {piece: place for place, piece in enumerate(self.pieces)}
        return {slot: sorted(found, key=lambda p: order[p]) for slot, found in claims.items() if found}

    def _elsewhere(self, piece: Piece, slot: Slot) -> Slot | None:
        """The other released cell that a labelled one is, by text or its names; None where it may be what its label says."""
        if piece.text == slot.text or slot.kind != "code" and piece.kind != "code":
            return None
        if slot.names & piece.names or slot.kind == "code" and not slot.names and slot.text in piece.text:
            return None
        same = self._texts.get(piece.text)
        return same[0] if same else max(self._named(piece), key=lambda s: s.known_by(piece.names), default=None)

    @cached_property
    def _texts(self) -> dict[str, list[Slot]]:
        texts: dict[str, list[Slot]] = defaultdict(list)
        for slot in self.slots:
            texts[slot.text].append(slot)
        return texts

    @cached_property
    def _owners(self) -> dict[str, list[Slot]]:
        owners: dict[str, list[Slot]] = defaultdict(list)
        for slot in self.slots:
            for name in slot.heads:
                owners[name].append(slot)
        return owners

    def _named(self, piece: Piece, home: Slot | None = None) -> list[Slot]:
        """The released cells whose names a piece defines, in their order; those apart that its own released cell defines."""
        names = piece.names - home.shown if home else piece.names
        slots = {s for name in names for s in self._owners.get(name, ())}
        return sorted((s for s in slots if s.known_by(names)), key=lambda s: s.index)

    def _choose(self, slot: Slot, claims: list[Piece]) -> None:
        """Of copies the last that is no stub and defines what it should is the cell; others that differ are the student's own."""
        def worth(place: int) -> tuple[bool, bool, bool, int]:
            piece = claims[place]
            told = slot.grade_id == piece.grade_id if slot.grade_id else slot.id == piece.id
            return piece.text != slot.text, bool(slot.heads & piece.names) or not slot.heads, told, place
        best = claims[max(range(len(claims)), key=worth)] if len(claims) > 1 else claims[0]
        self._take(slot, best)
        for piece in claims:
            if piece is not best and piece.text in ("", slot.text, best.text):
                self.gone.add(piece)
            elif piece is not best and _is(piece, slot):
                self._settled.add(piece)
        if len(claims) > 1:
            self.copies.append(slot)

    def _leftovers(self) -> None:
        """What a student's cell held beside a check or a locked text becomes a cell of its own."""
        for slot, piece in list(self.taken.items()):
            if slot.fixed and piece.text != slot.text and slot.text:
                block = slot.text.split("\n")
                parts = without(piece.lines, block)
                if parts is None:
                    rest = added(piece.lines, block)
                    parts = ("", rest) if rest and parsed(rest) is not None else ("", "")
                if any(parts):
                    self._part(slot, piece, *parts)

    def _part(self, slot: Slot, piece: Piece, before: str, after: str) -> None:
        self.shared.add(slot)
        piece.change(slot.source)
        place = self.pieces.index(piece)
        for offset, source in ((1, after), (0, before)):
            if source:
                self.pieces.insert(place + offset, part := Piece("code", source))
                self._parts.add(part)

    # -- what the cells say

    def _by_text(self) -> None:
        waiting: dict[str, list[Slot]] = defaultdict(list)
        for slot in reversed(self.missing):
            waiting[slot.text].append(slot)
        for piece in self.loose:
            if slots := waiting.get(piece.text):
                self._take(slots.pop(), piece)

    def _by_block(self) -> None:
        """Released texts that stand whole inside other cells are taken out of them, so that what is left is the student's."""
        slots = [s for s in self.missing if not s.answer and s.text]
        places: dict[str, list[Piece]] = defaultdict(list)
        rare = {s: min(s.text.split("\n"), key=lambda line: (line.strip() not in self._own_lines[0], not line.strip())) for s in slots}
        telling = set(rare.values())
        for piece in self.pieces if slots else ():
            if piece not in self.gone and not (piece in self.home and self.home[piece].fixed):
                for line in telling.intersection(piece.lines):
                    places[line].append(piece)
        for slot in slots:
            block = slot.text.split("\n")
            for piece in places[rare[slot]]:
                parts = without(piece.lines, block)
                rest = "\n\n".join(filter(None, parts or ()))
                if parts and (parsed(rest) is not None or parsed(piece.text) is None):
                    piece.change(rest)
                    self._reaches(piece, slot)
                    self._take(slot, Piece(slot.kind, slot.source, marks=slot.marks, tags=slot.tags))
                    break

    def _reaches(self, piece: Piece, slot: Slot) -> None:
        self.reach[piece] = max(slot.index, self.reach.get(piece, -1))
        home = self.home.get(piece)
        if not piece.text and (home is None or not home.answer):
            if home is not None:                        # it held another cell's text alone: its own comes back
                del self.home[piece], self.taken[home]
            self.gone.add(piece)

    def _by_names(self) -> None:
        wanted: dict[Slot, list[tuple[bool, int, int, Piece]]] = defaultdict(list)
        for place, piece in enumerate(self.loose):
            free = [s for s in self._named(piece) if s not in self.taken or piece in self._parts and s.answer and self._is_stub(s)]
            if free:
                alike = self._likeness(piece)
                slot = max(free, key=lambda s: (s.answer, s.known_by(piece.names), alike.get(s, 0.0), -len(wanted.get(s, ()))))
                wanted[slot].append((piece.text != slot.text, slot.known_by(piece.names), -place, piece))
        for slot, found in wanted.items():
            if slot in self.taken:
                self.gone.add(self.taken[slot])
                del self.home[self.taken[slot]]
            self._take(slot, max(found, key=lambda f: f[:3])[3])
            self.found[slot] = "recognised by name"

    def _is_stub(self, slot: Slot) -> bool:
        return self.taken[slot].text == slot.text

    @cached_property
    def _own_lines(self) -> tuple[dict[str, Slot], Counter[Slot]]:
        """Lines that only one released cell has, and how many each cell has of them."""
        seen: dict[str, list[Slot]] = defaultdict(list)
        for slot in self.slots:
            for line in {line.strip() for line in slot.source.split("\n")} - {""}:
                seen[line].append(slot)
        own = {line: slots[0] for line, slots in seen.items() if len(slots) == 1}
        return own, Counter(own.values())

    def _likeness(self, piece: Piece) -> dict[Slot, float]:
        own, total = self._own_lines
        common = Counter(own[line] for line in {line.strip() for line in piece.source.split("\n")} if line in own)
        return {slot: n / total[slot] for slot, n in common.items()}

    def _by_likeness(self) -> None:
        found = [(share, -slot.index, -place, slot, piece) for place, piece in enumerate(self.loose)
                 for slot, share in self._likeness(piece).items() if share >= ALIKE and slot not in self.taken]
        for *_, slot, piece in sorted(found, key=lambda f: f[:3], reverse=True):
            if slot not in self.taken and piece not in self.home:
                self._take(slot, piece)
                self.found[slot] = "recognised by text"

    def _by_place(self) -> None:
        """A text between the neighbours of a written answer is that answer."""
        for slot in [s for s in self.missing if s.written and s.kind == "markdown"]:
            order = {-1: -1, len(self.slots): len(self.pieces)}
            order |= {self.home[p].index: place for place, p in enumerate(self.pieces) if p in self.home}
            start = order[max(i for i in order if i < slot.index)] + 1
            end = order[min(i for i in order if i > slot.index)]
            loose = set(self.loose)
            if between := [p for p in self.pieces[start:end] if p in loose and p.kind != "code"]:
                self._take(slot, between[0])
                self.found[slot] = "recognised by place"

    # -- several in one

    def _by_statements(self) -> None:
        """Answers that stand in another cell's text are cut out of it, between statements."""
        missing = {s for s in self.missing if s.kind == "code" and s.heads & heads_in(s.source)}
        if not missing:
            return
        wanted: dict[Piece, list[Slot]] = defaultdict(list)
        holders = [p for p in self.pieces if p not in self.gone and p not in self._settled]
        hits = {p: [s for s in self._named(p, self.home.get(p)) if s in missing] for p in holders}
        for slot in sorted(missing, key=lambda s: s.index):
            if found := [p for p in holders if slot in hits[p]]:
                wanted[max(found, key=lambda p: slot.known_by(p.names))].append(slot)
        for piece, slots in wanted.items():
            self._cut(piece, slots)

    def _cut(self, piece: Piece, slots: list[Slot]) -> None:
        home = self.home.get(piece)
        texts: dict[Slot | None, list[str]] = defaultdict(list)
        for owner, text in _owned(piece, home, slots):
            texts[owner].append(text)
        for slot in slots:
            text = "\n".join(texts[slot]).strip("\n")
            if text and slot.source.startswith(EXPORT) and piece.source.startswith(EXPORT) and not text.startswith(EXPORT):
                text = f"{EXPORT}\n{text}"
            if text:
                self.taken[slot] = Piece(slot.kind, text, marks=slot.marks, tags=slot.tags)
                self._reaches(piece, slot)
                self.found[slot] = "found in another cell"
        piece.change("\n".join(texts[None]).strip("\n"))
        if not piece.text:
            self.gone.add(piece)
            if home and self.taken.get(home) is piece and not home.fixed:
                del self.taken[home], self.home[piece]


def _is(piece: Piece, slot: Slot) -> bool:
    """Whether a piece shows that it is this cell, whatever its label says."""
    return piece.text == slot.text or bool(slot.heads & piece.names)


def _owned(piece: Piece, home: Slot | None, slots: list[Slot]) -> Iterator[tuple[Slot | None, str]]:
    """A piece's statements, each with the slot to which it belongs; None is the piece itself."""
    owner: Slot | None = None
    for text in statements(piece.source):
        names = names_in(text)
        foreign = names - home.shown if home else names
        if found := [s for s in slots if s.heads & foreign]:
            owner = max(found, key=lambda s: len(s.heads & foreign))
        elif home and home.heads & names or owner and owner.fixed and names:
            owner = None
        yield owner, text
