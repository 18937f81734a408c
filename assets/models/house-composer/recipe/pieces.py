"""Has the program compose pieces for score.py: 108 requests over keys, metres, tempi and players.

    python pieces.py --program atelier --out FOLDER

Seeds count from 1 and none is left out. The first eight are written as samples/*.mid too.
"""

import argparse
import json
import subprocess
from pathlib import Path

NAMES = ["C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"]
PLAYERS = [("flute and piano", ["flute", "piano"]), ("piano", ["piano"]), ("choir", ["choir"]),
           ("clarinet and harp", ["clarinet", "harp"]), ("organ", ["organ"]), ("string quartet", ["strings", "cello"]),
           ("trumpet and piano", ["trumpet", "piano"]), ("guitar", ["guitar"]), ("flute", ["flute"])]
METRES = ["4/4", "3/4", "6/8", "2/4"]
TEMPI = [60, 84, 108, 132, None]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--program", default="atelier")
    p.add_argument("--out", type=Path, required=True)
    a = p.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    samples = Path(__file__).resolve().parents[1] / "samples"
    samples.mkdir(exist_ok=True)
    for i in range(108):
        tonic, mode = i * 7 % 12, "major" if (i // 12) % 2 else "minor"
        words, players = PLAYERS[i % len(PLAYERS)]
        metre, tempo = METRES[i // 3 % 4], TEMPI[i % 5]
        prompt = f"{words} in {NAMES[tonic]} {mode}, {metre}" + (f", {tempo} bpm" if tempo else "") + ", 30 seconds"
        file = a.out / f"{i}.mid"
        made = subprocess.run([a.program, "compose", prompt, "--seed", str(i + 1), "--json", "-o", str(file)],
                              capture_output=True, text=True, check=True)
        end = json.loads(made.stdout.strip().splitlines()[-1])
        beats, unit = map(int, metre.split("/"))
        asked = {"key": {"tonic": tonic, "mode": mode}, "metre": {"beats": beats, "unit": unit},
                 "tempo_bpm": tempo, "instruments": players, "duration_secs": 30}
        (a.out / f"{i}.json").write_text(json.dumps({"prompt": prompt, "asked": asked, "score": end["score"], "seconds": end["music_seconds"]}))
        if i < 8:
            (samples / f"{i + 1}-{words.replace(' ', '-')}.mid").write_bytes(file.read_bytes())


if __name__ == "__main__":
    main()
