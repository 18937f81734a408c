"""Runs the whole recipe; steps whose output is there are passed over.

    python make.py --data DATA --work WORK [--minutes 60] [--program atelier]
"""

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--data", required=True)
    p.add_argument("--work", type=Path, required=True)
    p.add_argument("--minutes", default="60")
    p.add_argument("--program", help="measures adherence with this build of atelier")
    a = p.parse_args()

    def run(script, *rest):
        subprocess.run([sys.executable, str(script), *map(str, rest)], check=True)

    if not (a.work / "train.npy").exists():
        run(HERE / "prepare.py", "--data", a.data, "--work", a.work)
    if not (a.work / "trained").exists():
        run(HERE.parents[1] / "common" / "train_decoder.py", "--work", a.work, "--minutes", a.minutes, "--batch", 12, "--drop", 0.05)
        (a.work / "trained").touch()
    run(HERE / "export.py", "--work", a.work)
    run(HERE / "golden.py", "--data", a.data)
    run(HERE / "score.py", "--work", a.work, "--data", a.data)
    if a.program:
        run(HERE / "pieces.py", "--program", a.program, "--out", a.work / "pieces")
        run(HERE / "score.py", "--work", a.work, "--data", a.data, "--pieces", a.work / "pieces")


if __name__ == "__main__":
    main()
