"""TeX as a terminal can show it: `\\frac{1}{\\sqrt{n}}` is 1/√n."""

from __future__ import annotations

import re

TOKEN = re.compile(r"\\[a-zA-Z]+|\\.|\s+|.", re.DOTALL)
LINE_SKIP = re.compile(r"\\\\\[[^\]]*\]")                   # \\[2pt]
WIDE, THIN = "\u2003", "\u2009"                              # until the end: wide spaces stay, a thin one parts a name from a letter
SYMBOLS = {"cdot": "·", "times": "×", "sum": "Σ", "infty": "∞", "leftarrow": "←", "approx": "≈", "neq": "≠", "le": "≤",
           "ge": "≥", "pm": "±", "dots": "…", "top": "ᵀ", "ell": "ℓ", "lVert": "‖", "rVert": "‖", "lfloor": "⌊", "rfloor": "⌋",
           "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "varepsilon": "ε", "epsilon": "ε", "theta": "θ", "lambda": "λ",
           "mu": "μ", "pi": "π", "rho": "ρ", "sigma": "σ", "tau": "τ", "phi": "φ", "Phi": "Φ", "Delta": "Δ", "Sigma": "Σ",
           "qquad": WIDE, "quad": WIDE, ",": " ", ";": " ", ":": " ", " ": " ", "!": "", "\\": "; ",
           "left": "", "right": "", "Big": "", "big": "", "textstyle": "", "displaystyle": ""}
ACCENTS = {"hat": "\u0302", "bar": "\u0304", "tilde": "\u0303"}
PLAIN = {"mathrm", "text", "mathbf", "mathit", "operatorname"}
RAISED = str.maketrans("0123456789+-T", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ᵀ")
WORD = re.compile(r"√?(?:[^\W\d]\w*|[\d.]+)|∂\w+|\([^()]*\)")


def plain(tex: str) -> str:
    """A formula on one line, in letters that a terminal has; what it does not know is left as its name."""
    text = _Reader(LINE_SKIP.sub(r"\\\\", tex)).until("")
    text = re.sub(f"(?<![\\w)]){THIN}", "", text).replace(THIN, " ")
    text = re.sub(r"\s*" + WIDE + r"\s*", WIDE, re.sub(r" +(?=[,;)])|(?<=\() +", "", re.sub(r"[ \t\n]+", " ", text)))
    return re.sub(WIDE + "+", "   ", text).strip()


class _Reader:
    def __init__(self, tex: str):
        self.tokens: list[str] = TOKEN.findall(tex)
        self.at = 0

    def until(self, end: str) -> str:
        parts = []
        while self.at < len(self.tokens) and (token := self._next()) != end:
            parts.append(self._one(token))
        return "".join(parts)

    def _next(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1]

    def _argument(self) -> str:
        """What follows a command: a group in braces, a command, or one letter."""
        while self.at < len(self.tokens) and self.tokens[self.at].isspace():
            self.at += 1
        if self.at >= len(self.tokens):
            return ""
        token = self._next()
        return self.until("}") if token == "{" else self._one(token)

    def _one(self, token: str) -> str:
        name = token[1:] if token[0] == "\\" else ""
        if name in ("frac", "tfrac"):
            above = _grouped(self._argument())
            return f"{above}/{_grouped(self._argument())} "
        if name == "sqrt":
            return "√" + _grouped(self._argument())
        if name == "partial":
            return "∂" + self._argument()
        if name == "overline":
            return f"mean({self._argument()})"
        if name in ACCENTS:
            return self._argument() + ACCENTS[name]
        if name in PLAIN:
            return self._argument()
        if name in ("begin", "end"):
            return self._argument() and ""
        if token == "^":
            return _raised(self._argument())
        if token == "_":
            return "_" + _grouped(self._argument())
        if token == "{":
            return self.until("}")
        if token == "&":
            return WIDE
        return " " if token.isspace() else SYMBOLS.get(name, THIN + name if name.isalpha() else name) if name else token


def _grouped(text: str) -> str:
    text = text.strip()
    return text if WORD.fullmatch(text) else f"({text})"


def _raised(text: str) -> str:
    text = text.strip()
    if re.fullmatch(r"[0-9+-]+|T|ᵀ", text):
        return text.translate(RAISED)
    return f"^{text}" if text.isalpha() else f"^({text})"
