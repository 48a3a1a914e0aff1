"""report.py: draws what `hone-bench --report` measured: pictures as PNG and SVG, and one HTML page.

usage: report.py report.json [--peers peers.json] [--out DIRECTORY] [--pictures DIRECTORY]
"""

import argparse
import pathlib
import sys

import data
import dots
import headlines
import lines
import page
import roofline

DRAWINGS = (
    roofline.roofline,
    dots.activations,
    lines.by_length,
    lines.by_dimension,
    dots.scaling,
    dots.error,
)
PUBLISHED = ("roofline", "activations")


def arguments():
    parser = argparse.ArgumentParser(description="Draws what hone-bench --report measured.")
    parser.add_argument("report", type=pathlib.Path, help="hone-bench's JSON")
    parser.add_argument(
        "--peers", type=pathlib.Path, help="what ./run.sh peers measured; left out where it is not there"
    )
    parser.add_argument(
        "--out", type=pathlib.Path, help="where the pictures and index.html go; beside the JSON otherwise"
    )
    parser.add_argument(
        "--pictures", type=pathlib.Path, help="also writes the documents' pictures there, as PNG"
    )
    return parser.parse_args()


def main():
    args = arguments()
    out = args.out or args.report.parent
    try:
        report = data.Report(args.report, args.peers)
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"report.py: {args.report} is no JSON of hone-bench: {error}")
    if not report.rows:
        sys.exit(f"report.py: {args.report} has no cases")
    pictures = [picture for draw in DRAWINGS if (picture := draw(report))]
    out.mkdir(parents=True, exist_ok=True)
    for picture in pictures:
        picture.save(out)
        if args.pictures and picture.name in PUBLISHED:
            args.pictures.mkdir(parents=True, exist_ok=True)
            picture.save(args.pictures, (".png",))
    listed = headlines.headlines(report)
    (out / "index.html").write_text(page.page(report, listed, pictures), encoding="utf-8")
    for what, value, spread in listed:
        print(f"{what:<76} {value:>20}  {spread}")
    print(f"\nThe report: {out / 'index.html'}")


main()
