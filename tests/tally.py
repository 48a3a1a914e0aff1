"""Counts what one `meson test` run has done: a GoogleTest program by its cases, any other test as one.

usage: tally.py build        prints: passed failed skipped
"""

import json
import pathlib
import re
import sys
import xml.etree.ElementTree as xml


def cases(report):
    """passed, failed, skipped in a GoogleTest program's report, which is missing where the program died."""
    count = [0, 0, 0]
    for case in xml.parse(report).iter("testcase") if report.exists() else []:
        failed = case.find("failure") is not None
        skipped = case.find("skipped") is not None or case.get("status") == "notrun"
        count[1 if failed else 2 if skipped else 0] += 1
    return count


def main():
    build = pathlib.Path(sys.argv[1])
    listed = json.loads((build / "meson-info/intro-tests.json").read_text())
    protocol = {test["name"]: test["protocol"] for test in listed}
    total = [0, 0, 0]
    for line in (build / "meson-logs/testlog.json").read_text().splitlines():
        test = json.loads(line)
        name = re.split(r":| / ", test["name"])[-1]  # without the project and the suite
        failed = test["result"] not in ("OK", "SKIP")
        if protocol[name] == "gtest":
            count = cases(build / f"{name}.xml")
            if failed and count[1] == 0:
                count[1] = 1
        else:
            count = [int(test["result"] == "OK"), int(failed), int(test["result"] == "SKIP")]
        total = [a + b for a, b in zip(total, count)]
    print(*total)


main()
