"""Runs the five experiments in small, draws them, and checks the pictures, the page and its sentences; then that
files which are not whole are refused, and that sentences say so where a claim does not hold.

usage: paper_test.py hone-single-location paper.py        exit status 77: no Python with matplotlib
"""

import copy
import html
import json
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

PROGRAM, PAPER = sys.argv[1:]
sys.path.insert(0, str(pathlib.Path(PAPER).parent))
import claims

TINY = ["--tokens=6", "--steps=30", "--batch=16", "--samples=256", "--threads=1"]
ACTIVATIONS = ["--activation=softmax", "--activation=softmax_1", "--activation=bayes_softmax"]
OPTIONS = {
    "dynamics": ["--dim=40", "--heads=4", "--nu=1.6", "--initial-overlap=0.3", *ACTIVATIONS[:2]],
    "risk": ["--strengths=1,6", "--starts=2", *ACTIVATIONS],
    "heads": ["--heads=1,2,3,4,5", "--starts=1", *ACTIVATIONS],
    "prune": ["--heads=5", "--starts=2", *ACTIVATIONS],
    "noise": ["--strengths=1,6", "--starts=1", *ACTIVATIONS],
}


def expect(true, what):
    if not true:
        sys.exit(f"paper_test.py: {what}")


def python_that_draws():
    for python in (sys.executable, "/usr/bin/python3"):
        if subprocess.run([python, "-c", "import matplotlib"], capture_output=True).returncode == 0:
            return python
    print("skipped: there is no Python with matplotlib")
    sys.exit(77)


def draw(python, directory):
    """The exit status, stdout, stderr."""
    words = [python, PAPER, str(directory), "--summary"]
    done = subprocess.run(words, capture_output=True, text=True, encoding="utf-8", timeout=60)
    return done.returncode, done.stdout, done.stderr


def load(directory, name):
    return json.loads((directory / f"{name}.json").read_text())


def check_pictures(directory):
    for name in ["dynamics", "dynamics_softmax_1", *list(OPTIONS)[1:]]:
        png = (directory / f"{name}.png").read_bytes()
        expect(png.startswith(b"\x89PNG") and len(png) > 20000, f"{name}.png is not much of a picture")
        drawn = xml.etree.ElementTree.parse(directory / f"{name}.svg").getroot()
        paths = sum(element.tag.endswith("path") for element in drawn.iter())
        expect(paths > 50, f"{name}.svg has {paths} paths")


def check_page(directory, summary):
    page = (directory / "index.html").read_text(encoding="utf-8")
    for title, _ in claims.CLAIMS.values():
        expect(title in page and title in summary, f"the claim '{title}' is not told")
    for source in re.findall(r'(?:src|href)="([^"]+)"', page):
        expect((directory / source).is_file(), f"the page wants {source}, which is not there")
    numbers = [
        f"{one['risk']:.3g}" for one in load(directory, "risk")["summary"]["best"] if one["strength"] == 6
    ]
    numbers += [f"{one['pruned_risk'][0]:.3g}" for one in load(directory, "prune")["summary"]["best"]]
    softmax = next(o for o in load(directory, "noise")["summary"]["best"] if o["strength"] == 6)
    numbers.append(f"{softmax['irrelevant_noise']:.3g}")
    numbers += [f"{one['hessian'][0]['loss']:.3f}" for one in load(directory, "dynamics")["summary"]]
    for number in numbers:
        expect(number in page and number in summary, f"the figure {number} of the JSON is not told")
    check_commands(page)


def check_commands(page):
    """The commands on the page are such as the program takes: of each it refuses what is added at the end alone."""
    commands = re.findall(r"hone-single-location [a-z]+ --[^<]*", html.unescape(page))
    expect(len(commands) == len(OPTIONS), f"{len(commands)} commands on the page")
    expect("--initial-overlap=0.3" in commands[0], "the command of dynamics is another")
    for command in commands:
        words = [PROGRAM, *shlex.split(command)[1:], "--threads=0"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60)
        expect("--threads: is 0" in done.stderr, f"{command} says: {done.stderr}")


def copied(directory, names):
    """Another directory beside it, with the files of these experiments alone."""
    other = directory.parent / "copy"
    shutil.rmtree(other, ignore_errors=True)
    other.mkdir()
    for name in names:
        for suffix in ("csv", "json"):
            shutil.copy(directory / f"{name}.{suffix}", other)
    return other


def check_missing(python, directory):
    other = copied(directory, ["risk"])
    status, summary, _ = draw(python, other)
    expect(status == 0, "it does not draw risk alone")
    page = (other / "index.html").read_text(encoding="utf-8")
    for text in (page, " ".join(summary.split())):
        expect("there is no noise.csv and no noise.json" in text, "it does not say that noise is missing")
    expect(not (other / "noise.png").exists(), "it draws noise, which is missing")


def check_refused(python, directory):
    """Each way not to be whole gets a sentence with the file's name."""

    def incomplete(other):
        (other / "risk.json").write_text(json.dumps(load(directory, "risk") | {"complete": False}))

    def cut(name, keep):
        def edit(other):
            text = (directory / name).read_text()
            (other / name).write_text(text[: keep(text)])

        return edit

    for edit, sentence in [
        (incomplete, r"risk\.json is of a run that was interrupted: go on with it by adding --resume"),
        (cut("risk.csv", lambda text: len(text) - 9), r"risk\.csv is cut off: run the experiment risk again"),
        (cut("risk.csv", lambda text: text[:-1].rindex("\n") + 1), r"risk\.csv lacks rows"),
        (cut("risk.json", lambda text: len(text) // 2), r"risk\.json is no JSON"),
        (lambda other: (other / "risk.csv").unlink(), r"risk\.csv is missing beside its JSON"),
        (
            lambda other: shutil.copy(other / "heads.json", other / "risk.json"),
            "holds the experiment heads, not risk",
        ),
    ]:
        other = copied(directory, ["risk", "heads"])
        edit(other)
        status, _, said = draw(python, other)
        print(said, end="")
        expect(status == 1 and re.search(sentence, said), f"it does not say '{sentence}'")
        expect("Traceback" not in said and not (other / "index.html").exists(), "it goes on all the same")
    status, _, said = draw(python, copied(directory, []))
    expect(status == 1 and "holds none of the experiments" in said, "it does not say that there is nothing")


def check_sentences(python, directory):
    """The same claim, with figures for it and against it."""
    risk = load(directory, "risk")
    for softmax, bayes_softmax, sentences in [
        (0.3, 0.01, [": a floor.", "it reaches it at all strengths"]),
        (0.01, 0.2, ["NO clear floor.", "it does NOT reach it"]),
    ]:
        changed = copy.deepcopy(risk)
        for one in changed["summary"]["best"]:
            risks = {"softmax": softmax, "bayes_softmax": bayes_softmax}
            one |= {
                "bayes": 0.01,
                "bayes_error": 1e-4,
                "risk": risks.get(one["activation"], 0.1),
                "risk_error": 1e-4,
            }
        other = copied(directory, ["risk"])
        (other / "risk.json").write_text(json.dumps(changed))
        status, summary, said = draw(python, other)
        expect(status == 0, said)
        for sentence in sentences:
            expect(sentence in " ".join(summary.split()), f"it does not say '{sentence}'")


def main():
    python = python_that_draws()
    with tempfile.TemporaryDirectory() as work:
        directory = pathlib.Path(work) / "paper"
        for name, options in OPTIONS.items():
            words = [PROGRAM, name, *TINY, *options, f"--out={directory}"]
            done = subprocess.run(words, capture_output=True, text=True, timeout=60)
            expect(done.returncode == 0, f"{name}: {done.stderr}")
        status, summary, said = draw(python, directory)
        expect(status == 0, said)
        print(summary)
        check_pictures(directory)
        check_page(directory, summary)
        check_missing(python, directory)
        check_refused(python, directory)
        check_sentences(python, directory)


main()
