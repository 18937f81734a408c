"""Makes the house writer from the data, all of it, with one command.

    python make.py                    # about an hour of one CPU core; uses CUDA by itself where present
    python make.py --minutes 600      # better stories

Every stage is skipped, or taken up again, when its result is in the work folder; a stopped
training is continued by the same command, and a finished one by --more MINUTES.
"""

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[3]
TRAINER = HERE.parents[1] / "common" / "train_decoder.py"


def run(script, *words):
    print("==", script, *words, flush=True)
    subprocess.run([sys.executable, str(HERE / script), *map(str, words)], check=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", type=Path, default=ROOT / ".." / "shared" / "data")
    p.add_argument("--work", type=Path, default=HERE / "work")
    p.add_argument("--out", type=Path, default=HERE.parent)
    p.add_argument("--minutes", type=float, default=55)
    p.add_argument("--more", type=float, default=0, help="minutes to train a finished model further")
    p.add_argument("--threads", type=int, default=1)
    a = p.parse_args()
    a.work.mkdir(parents=True, exist_ok=True)

    def once(mark, script, *words):
        done = a.work / f"{mark}.done"
        if not done.exists():
            run(script, *words)
            done.touch()

    train = (TRAINER, "--work", a.work, "--threads", a.threads, "--minutes")
    once("prepare", "prepare.py", "--data", a.data, "--work", a.work)
    once("train", *train, a.minutes)
    if a.more:
        run(*train, a.more)
    model = a.out / "model.gguf"
    run("export.py", "--work", a.work, "--out", model)
    run("golden.py", "--model", model)
    run("score.py", "--work", a.work, "--model", model, "--out", a.out)


if __name__ == "__main__":
    main()
