"""Which tokens keep a text within the words that the house picture model knows.

The program does the same in engine/src/pipelines/words/known.rs.  A text is open where it is a row
of known phrases whose last one may still be unfinished; a token may come next when the text stays
open with it.  What counts in the end is the lexicon's own reading of the finished text.
"""

import bisect
import sys
from pathlib import Path

import torch

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "common"), str(HERE.parents[1] / "house-picture" / "recipe")]

from lexicon import Lexicon, is_word, normal  # noqa: E402

LOOK = 160  # how many of the likeliest tokens are looked at before all of them


def char_of_byte():
    """GPT-2's table, from its characters to bytes."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [b for b in range(256) if b not in plain]
    return {chr(b): b for b in plain} | {chr(256 + i): b for i, b in enumerate(rest)}


class Known:
    def __init__(self, tok, end):
        self.lex = Lexicon()
        self.sorted = sorted(self.lex.phrases)
        table = char_of_byte()
        vocab = sorted(tok.get_vocab().items(), key=lambda x: x[1])
        self.bytes = [bytes(table[c] for c in t) if not t.startswith("<|") else b"" for t, _ in vocab]
        self.end = end

    def begins(self, s):
        """Whether some phrase begins with s."""
        i = bisect.bisect_left(self.sorted, s)
        return i < len(self.sorted) and self.sorted[i].startswith(s)

    def is_open(self, s):
        """Whether the normalised text s is a row of phrases, the last of them perhaps unfinished."""
        reach, n = {0}, len(s)
        for i in range(n):
            if i not in reach:
                continue
            if s[i] == " ":
                reach.add(i + 1)
                continue
            if self.begins(s[i:]):
                return True
            for m in range(1, min(self.lex.longest, n - i) + 1):
                if s[i : i + m] in self.lex.phrases and not (
                    i + m < n and is_word(s[i + m - 1]) and is_word(s[i + m])
                ):
                    reach.add(i + m)
        return n in reach

    def open_bytes(self, raw):
        try:
            text = raw.decode()
        except UnicodeDecodeError as e:
            if e.reason != "unexpected end of data":
                return False
            return self.is_open(self.shape(raw[: e.start].decode()))
        return self.is_open(self.shape(text))

    def shape(self, text):
        return normal(text) + (" " if text and not text[-1].isalnum() else "")

    def is_known(self, text):
        return not self.lex.tokens(text)[1]

    def choose(self, logits, raw, generator, temperature=0.8, top_k=40):
        """The next token of the text `raw`, or the end where nothing fits."""
        order = logits.argsort(descending=True).tolist()
        fit = []
        for rank, t in enumerate(order):
            if t == self.end:
                fit += [t] if self.is_known(raw.decode(errors="replace")) else []
            elif self.bytes[t] and self.open_bytes(raw + self.bytes[t]):
                fit.append(t)
            if len(fit) >= top_k or (rank >= LOOK and fit):
                break
        if not fit:
            return self.end
        p = (logits[fit] / temperature).softmax(-1)
        return fit[int(torch.multinomial(p, 1, generator=generator))]

    @torch.no_grad()
    def write(self, model, ids, text, seed, most=48):
        """Goes on with a prompt whose long form begins with `text`; returns the whole long form."""
        g = torch.Generator().manual_seed(seed)
        ids, raw, good = list(ids), text.encode(), text
        for _ in range(most):
            t = self.choose(model.logits(torch.tensor([ids]))[0, -1].float(), raw, g)
            if t == self.end:
                break
            ids.append(t)
            raw += self.bytes[t]
            now = raw.decode(errors="replace")
            if self.is_known(now) and "\ufffd" not in now:
                good = now
        return good.strip(" ,，")
