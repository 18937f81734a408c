"""The composer's tokens: what they are and how pieces become lists of them.

A piece is a list of notes (start, duration, pitch, voice) on a grid of 12 ticks to the quarter,
with a metre.  A document is conditions, then bars, then the end:

    kind? key? metre tempo? density?   BAR(left) { POS(p) { NOTE(voice, pitch) DUR(d) }* }*   END

BAR says how many bars are left behind this one, so that a piece can be told to close.  POS counts
ticks from the bar's beginning and rises within a bar; notes of one POS are ordered by voice, then
from the highest pitch.  This module is a file format: the program reads `vocabulary()`.
"""

TICKS = 12
VOICES = 4
LOW, HIGH = 24, 96  # pitches, MIDI numbers; HIGH is not included
BAR_TICKS = 72  # the longest bar, six quarters
DURATIONS = [1, 2, 3, 4, 6, 8, 9, 12, 15, 16, 18, 20, 21, 24, 27, 30, 36, 42, 48, 54, 60, 72, 96, 144]
LEFT = [0, 1, 2, 3, 4, 8, 16]  # lower ends of the ranges of bars that are left
METRES = [(2, 4), (3, 4), (4, 4), (6, 8), (3, 8), (9, 8), (12, 8), (2, 2), (6, 4), (5, 4), (3, 2), (4, 8)]
TEMPI = [50, 66, 80, 96, 112, 132, 160]  # lower ends but for the first, quarters a minute: 8 ranges
KINDS = ["song", "chorale", "piano"]
DENSITIES = [4.0, 9.0]  # notes in a bar of four quarters, all voices, that part sparse, medium, dense


def vocabulary():
    """Names of all tokens; the index is the id."""
    v = ["END"]
    v += [f"KIND_{k}" for k in KINDS]
    v += [f"KEY_{t}_{m}" for m in ("major", "minor") for t in range(12)]
    v += [f"METRE_{b}_{u}" for b, u in METRES]
    v += [f"TEMPO_{i}" for i in range(len(TEMPI) + 1)]
    v += [f"DENSITY_{i}" for i in range(len(DENSITIES) + 1)]
    v += [f"BAR_{n}" for n in LEFT]
    v += [f"POS_{p}" for p in range(BAR_TICKS)]
    v += [f"NOTE_{i}_{p}" for i in range(VOICES) for p in range(LOW, HIGH)]
    v += [f"DUR_{d}" for d in DURATIONS]
    return v


ID = {name: i for i, name in enumerate(vocabulary())}


def bar_ticks(metre):
    return metre[0] * 4 * TICKS // metre[1]


def left_token(n):
    return ID[f"BAR_{max(x for x in LEFT if x <= n)}"]


def nearest_duration(d):
    return min(DURATIONS, key=lambda x: (abs(x - d) / max(d, 1), x))


def tempo_token(bpm):
    return ID[f"TEMPO_{sum(bpm >= t for t in TEMPI)}"]


def density_token(notes_per_four_quarters):
    return ID[f"DENSITY_{sum(notes_per_four_quarters >= d for d in DENSITIES)}"]


# ------------------------------------------------------------------ key


MAJOR = [6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88]
MINOR = [6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17]


def find_key(notes):
    """(tonic, mode) by the profiles of Krumhansl and Kessler (1982), weighted by duration."""
    hist = [0.0] * 12
    for _, d, p, _ in notes:
        hist[p % 12] += d
    mean = sum(hist) / 12

    def fit(profile, tonic):
        pm = sum(profile) / 12
        xs = [(hist[(tonic + i) % 12] - mean, profile[i] - pm) for i in range(12)]
        den = (sum(a * a for a, _ in xs) * sum(b * b for _, b in xs)) ** 0.5
        return sum(a * b for a, b in xs) / den if den else 0.0

    best = max(((fit(pr, t), t, m) for m, pr in (("major", MAJOR), ("minor", MINOR)) for t in range(12)))
    return best[1], best[2]


# ------------------------------------------------------------------ documents


def bars_of(piece):
    """[[(pos, voice, pitch, duration)]] of the piece, in order."""
    size = bar_ticks(piece["metre"])
    out = [[] for _ in range(piece["bars"])]
    for s, d, p, v in piece["notes"]:
        if s // size < len(out) and LOW <= p < HIGH:
            out[s // size].append((s % size, v, -p, d))
    return [sorted(set(b)) for b in out]


def bar_tokens(bar, left):
    ids, pos = [left_token(left)], -1
    for p, v, neg, d in bar:
        if p != pos:
            ids.append(ID[f"POS_{p}"])
            pos = p
        ids += [ID[f"NOTE_{v}_{-neg}"], ID[f"DUR_{nearest_duration(d)}"]]
    return ids


def conditions(piece, notes, bars, drop):
    """The tokens before the first bar; `drop()` says whether one is left out."""
    out = []
    if not drop():
        out.append(ID[f"KIND_{piece['kind']}"])
    if not drop():
        tonic, mode = find_key(notes) if notes else piece["key"]
        out.append(ID[f"KEY_{tonic}_{mode}"])
    out.append(ID["METRE_{}_{}".format(*piece["metre"])])
    if piece.get("tempo") and not drop():
        out.append(tempo_token(piece["tempo"]))
    if not drop():
        out.append(density_token(len(notes) * 4 * TICKS / max(1, bars * bar_ticks(piece["metre"]))))
    return out


def transposed(piece, by):
    return {**piece, "notes": [(s, d, p + by, v) for s, d, p, v in piece["notes"]]}
