"""Runs Atelier and its peers in alternation on this machine and prints a table in Markdown.

    python run.py --atelier ../../target/release/atelier
    python run.py --work vae --work clip --rounds 1          without Atelier, only the peers

Each measurement is a process of its own. A round visits every contender of a work once, and each round begins with
another one, so that a machine that slows down or speeds up treats all alike. What is shown is the median of all timed
runs of all rounds, with the fastest and the slowest.

What Atelier is asked for and how its answer is read stands in `ATELIER` and `atelier_seconds`.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys

import measure

HERE = pathlib.Path(__file__).resolve().parent
PICTURES = ["unet", "vae", "clip"]
WORKS = [*PICTURES, "llm"]
QUANTS = ["q8_0", "q4_k_m"]
TOKENS = {"prefill": 512, "decode": 64}

# What is comparable with what: name -> (precision, instruction set, Atelier's name of the precision).
CLASSES = {
    "f32": ("f32", "native", "exact"),
    "bf16": ("bf16", "native", "fast"),
    "f32-avx2": ("f32", "avx2", "exact"),
}

ENGINES = [("openvino", "OpenVINO"), ("torch", "PyTorch")]

# Arguments of Atelier's command line, by work.
ATELIER = {
    "unet": "bench unet --json --runs {runs} --precision {precision}",
    "vae": "bench vae --json --runs {runs} --precision {precision}",
    "clip": "bench clip --json --runs {runs} --precision {precision}",
    "llm": "bench llm --json --runs {runs} --model {file}",
}
# Added where the instruction set is not the best that the machine has.
ATELIER_ISA = "--isa {isa}"


def atelier_seconds(work, answer):
    """Reads seconds out of what Atelier printed; work is a picture's part, `prefill` or `decode`.

    `seconds` is the median of the runs, or holds one for each part of a language model's work; `all_seconds`, where
    it is told, has all runs in the same form. A bench that only tells rates is read too.
    """
    for key in ("all_seconds", "seconds"):
        found = answer.get(key)
        if isinstance(found, dict):
            found = found[work]
        if found is not None:
            return [float(value) for value in (found if isinstance(found, list) else [found])]
    if work not in TOKENS:
        raise KeyError("seconds")
    return [TOKENS[work] / float(answer[f"{work}_tokens_per_second"])]


class Contender:
    """One engine doing one work in one way, with all that was measured of it."""

    def __init__(self, works, group, engine, command, environment=None):
        self.works, self.group, self.engine = works, group, engine
        self.command, self.environment = command, environment or {}
        self.seconds = {work: [] for work in works}
        self.peak, self.failure, self.described = None, None, {}

    def run(self, log):
        """Runs the process once and keeps what it says."""
        if self.failure:
            return
        environment = os.environ | self.environment
        done = subprocess.run(self.command, env=environment, capture_output=True, text=True, cwd=HERE)
        answers = objects(done.stdout)
        if done.returncode != 0 or not answers:
            text = (done.stderr or done.stdout).strip().splitlines()
            self.failure = text[-1] if text else f"exit status {done.returncode}"
            return
        try:
            self.keep(answers)
        except (KeyError, TypeError, ValueError) as problem:
            self.failure = f"its answer could not be read: {problem!r}"
        for answer in answers:
            log.append({"group": self.group, "contender": self.engine, "answer": answer})

    def keep(self, answers):
        """Adds the seconds of the answers to those of earlier rounds."""
        for work in self.works:
            if self.engine == "Atelier":
                self.seconds[work].extend(atelier_seconds(work, answers[-1]))
                self.peak = max(self.peak or 0, answers[-1].get("peak_memory_bytes") or 0)
                continue
            answer = next(answer for answer in answers if answer["work"] == work)
            self.seconds[work].extend(answer["all_seconds"])
            self.peak = max(self.peak or 0, answer["peak_bytes"] or 0)
            self.described = answer


def objects(text):
    """Reads the JSON objects of a program's output, one a line or one over many lines."""
    found = []
    try:
        whole = json.loads(text)
        return whole if isinstance(whole, list) else [whole]
    except json.JSONDecodeError:
        pass
    for line in text.splitlines():
        try:
            value = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(value, dict):
            found.append(value)
    return found


def contenders(work, options):
    """Lists who takes part in a work."""
    common = ["--runs", str(options.runs), "--threads", str(options.threads)]
    made = []
    if work == "llm":
        for file in options.gguf:
            works = list(TOKENS)
            if options.atelier:
                made.append(atelier(works, file.name, "llm", options, file=file))
            command = [sys.executable, "llama.py", str(file), *common]
            made.append(Contender(works, file.name, "llama.cpp", command))
        return made
    for group, (precision, isa, name) in CLASSES.items():
        if options.group and group not in options.group:
            continue
        if options.atelier:
            made.append(atelier([work], group, work, options, precision=name, isa=isa))
        for engine, shown in ENGINES:
            if (engine, isa) == ("torch", "avx2"):
                # OpenVINO is the one to be measured against; PyTorch is slower with all that the machine has.
                continue
            command = [sys.executable, "sd15.py", "--work", work, "--engine", engine, *common]
            command += ["--precision", precision, "--isa", isa]
            made.append(Contender([work], group, shown, command))
    return made


def atelier(works, group, key, options, isa="native", **values):
    """Makes the contender that is Atelier."""
    template = ATELIER[key] + (f" {ATELIER_ISA}" if isa != "native" else "")
    # Split before the values are put in: a path may hold spaces.
    words = [word.format(runs=options.runs, isa=isa, **values) for word in template.split()]
    environment = {"RAYON_NUM_THREADS": str(options.threads)}
    return Contender(works, group, "Atelier", [str(options.atelier), *words], environment)


def prepare(options):
    """Makes what is made once: converted models and files of the language model."""
    measure.CACHE.mkdir(parents=True, exist_ok=True)
    if "llm" in options.work and not options.gguf:
        for quant in QUANTS:
            file = measure.CACHE / f"qwen2-0.5b-{quant}.gguf"
            if not file.exists():
                subprocess.run([sys.executable, "write_gguf.py", str(file), "--quant", quant], cwd=HERE, check=True)
            options.gguf.append(file)
    for work in options.work:
        if work in PICTURES and not list(measure.CACHE.glob(f"sd15-{work}-{measure.SEED}.xml")):
            command = [sys.executable, "sd15.py", "--work", work, "--engine", "openvino", "--convert"]
            subprocess.run(command, cwd=HERE, check=True)


def versions(teams):
    """Names each engine that answered, with its version."""
    named = {team.engine: team.described.get("version") for team in teams}
    return ", ".join(f"{engine} {version}" for engine, version in named.items() if version)


def table(teams, options):
    """Makes the lines of the table."""
    lines = [
        "| work | class | engine | median, s | fastest – slowest, s | peak memory, MB | time / Atelier's |",
        "|---|---|---|---|---|---|---|",
    ]
    medians = {}
    for team in teams:
        for work, seconds in team.seconds.items():
            if seconds:
                medians[work, team.group, team.engine] = statistics.median(seconds)
    for team in sorted(teams, key=lambda team: (options.work.index(key_of(team)), team.group)):
        for work, seconds in team.seconds.items():
            start = f"| {work} | {team.group} | {team.engine} |"
            if team.failure or not seconds:
                lines.append(f"{start} failed | | | |")
                continue
            median, ours = medians[work, team.group, team.engine], medians.get((work, team.group, "Atelier"))
            rate = f" ({TOKENS[work] / median:.1f} tokens/s)" if work in TOKENS else ""
            ratio = f"{median / ours:.2f}" if ours else ""
            spread = f"{min(seconds):.3f} – {max(seconds):.3f}"
            memory = f"{team.peak / 1e6:.0f}" if team.peak else ""
            lines.append(f"{start} {median:.3f}{rate} | {spread} | {memory} | {ratio} |")
    return lines


def key_of(team):
    """Returns which of the chosen works a contender belongs to."""
    return team.works[0] if team.works[0] in PICTURES else "llm"


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--atelier", type=pathlib.Path, help="the program; without it only the peers are run")
    parser.add_argument("--work", choices=WORKS, action="append", help="only these; may be given more than once")
    parser.add_argument("--group", choices=list(CLASSES), action="append", help="only these classes of pictures")
    parser.add_argument("--gguf", type=pathlib.Path, action="append", default=[], help="files of a language model")
    parser.add_argument("--rounds", type=measure.count, default=2)
    parser.add_argument("--runs", type=measure.count, default=3, help="timed runs of each process")
    parser.add_argument("--threads", type=measure.count, default=2)
    parser.add_argument("--log", type=pathlib.Path, help="file for all answers, one JSON object a line")
    parser.add_argument("--output", type=pathlib.Path, help="file for the table, beside printing it")
    options = parser.parse_args()
    options.work = options.work or WORKS
    options.gguf = [file.resolve() for file in options.gguf]
    if options.atelier:
        options.atelier = options.atelier.resolve()
        if not options.atelier.is_file():
            sys.exit(f"no program there: {options.atelier}")
    return options


def main():
    options = parse()
    prepare(options)
    begun, load = datetime.datetime.now(datetime.timezone.utc), os.getloadavg()
    log, teams = [], []
    for work in options.work:
        team = contenders(work, options)
        teams += team
        for turn in range(options.rounds):
            first = turn % len(team)
            for contender in team[first:] + team[:first]:
                print(f"{work}, round {turn + 1}: {contender.engine}, {contender.group}", file=sys.stderr, flush=True)
                contender.run(log)
                if contender.failure:
                    print(f"  failed: {contender.failure}", file=sys.stderr, flush=True)
    minutes = (datetime.datetime.now(datetime.timezone.utc) - begun).total_seconds() / 60
    end = os.getloadavg()
    lines = [
        f"{begun:%Y-%m-%d %H:%M} UTC, {measure.processor()}, {platform.system()} {platform.release()}; "
        f"{options.threads} threads, {options.rounds} rounds of {options.runs} runs, {minutes:.0f} minutes; "
        f"load {load[0]:.1f} before, {end[0]:.1f} after.",
        versions(teams) + ".",
        "",
        *table(teams, options),
    ]
    text = "\n".join(lines) + "\n"
    print(text)
    if options.output:
        options.output.write_text(text)
    if options.log:
        options.log.write_text("".join(json.dumps(entry) + "\n" for entry in log))
    sys.exit(1 if any(team.failure for team in teams) else 0)


if __name__ == "__main__":
    main()
