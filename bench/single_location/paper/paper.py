"""paper.py: draws what hone-single-location measured: pictures as PNG and SVG, and one HTML page.

usage: paper.py DIRECTORY [--summary]
"""

import argparse
import pathlib
import sys

sys.path.append(
    str(pathlib.Path(__file__).resolve().parents[2] / "report")
)  # style and page are the report's

import against
import dynamics
import findings
import runs
import stages
import story

# How each experiment is drawn, and what is found in it.
EXPERIMENTS = {
    "dynamics": (lambda run: [dynamics.draw(run, name) for name in run.activations], stages.findings),
    "risk": (lambda run: [against.risk(run)], findings.risk),
    "heads": (lambda run: [against.heads(run)], findings.heads),
    "prune": (lambda run: [against.prune(run)], findings.prune),
    "noise": (lambda run: [against.noise(run)], findings.noise),
}


def arguments():
    parser = argparse.ArgumentParser(description="Draws what hone-single-location measured.")
    parser.add_argument("directory", type=pathlib.Path, help="where its CSV and JSON are, and the page goes")
    parser.add_argument(
        "--summary", action="store_true", help="also prints the claims, and what was measured"
    )
    return parser.parse_args()


def main():
    args = arguments()
    try:
        read = {name: runs.read(args.directory, name) for name in EXPERIMENTS}
    except (runs.Refused, OSError) as error:
        sys.exit(f"paper.py: {error}")
    if not any(read.values()):
        sys.exit(f"paper.py: {args.directory} holds none of the experiments {', '.join(EXPERIMENTS)}")
    told = {}
    for name, (draw, find) in EXPERIMENTS.items():
        run = read[name]
        told[name] = run and (run, draw(run), find(run))
    for one in filter(None, told.values()):
        for picture in one[1]:
            picture.save(args.directory)
    (args.directory / "index.html").write_text(story.whole(told), encoding="utf-8")
    if args.summary:
        print(story.plain(told), end="\n\n")
    print(f"The page: {args.directory / 'index.html'}")


main()
