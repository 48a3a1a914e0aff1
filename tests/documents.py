"""The fenced blocks, sections and links of a Markdown document, so that the tests run and follow what it shows."""

import re
from typing import NamedTuple


class Block(NamedTuple):
    language: str
    label: str  # the nearest line of prose before it
    text: str


def blocks(markdown):
    """The fenced blocks, in their order."""
    found, label, fence, lines = [], "", None, []
    for line in markdown.splitlines():
        mark = re.match(r"\s*```\s*(\w*)", line)
        if fence is not None:
            if mark:
                found.append(Block(fence, label, "\n".join(lines) + "\n"))
                fence, label = None, ""
            else:
                lines.append(line)
        elif mark:
            fence, lines = mark.group(1), []
        elif line.strip():
            label = line
    return found


def prose(markdown):
    """What is outside of the fenced blocks."""
    return re.sub(r"^\s*```.*?^\s*```", "", markdown, flags=re.MULTILINE | re.DOTALL)


def links(markdown):
    """Where its links and pictures point to."""
    return re.findall(r"\]\(([^()\s]+)\)", re.sub(r"`[^`]*`", "", prose(markdown)))


def anchors(markdown):
    """Its headings as GitHub names them, for a link to have behind a #."""
    headings = re.findall(r"^#+\s+(.*?)\s*$", prose(markdown), flags=re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


def section(markdown, title):
    """What stands under the heading `title`, up to the next heading of its level or above."""
    inside, level, fenced, lines = False, 0, False, []
    for line in markdown.splitlines():
        fenced ^= line.lstrip().startswith("```")
        heading = None if fenced else re.match(r"(#+)\s+(.*?)\s*$", line)
        if heading and not inside and heading.group(2) == title:
            inside, level = True, len(heading.group(1))
        elif heading and inside and len(heading.group(1)) <= level:
            break
        elif inside:
            lines.append(line)
    if not inside:
        raise SystemExit(f"the document has no section '{title}'")
    return "\n".join(lines)
