#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes scdoc's input from what is there already, so that nothing is said twice:

  scd.py page TEMPLATE PROGRAM   a template, in which lines like "@help@" or "@help COMMAND@" become what the program
                                 says to --help, and "@commands@" all its commands' own help
  scd.py manual NAME SECTION ABOUT FILE.md   a chapter of the documentation as a page
"""
import os
import re
import subprocess
import sys

ENVIRONMENT = dict(os.environ, LC_ALL="C.UTF-8", ASAN_OPTIONS="detect_leaks=0")


def literal(text):
    return "```\n" + text.rstrip("\n") + "\n```"


def help_of(program, *command):
    out = subprocess.run([program, *command, "--help"], stdout=subprocess.PIPE, text=True, check=True, env=ENVIRONMENT)
    return out.stdout


def commands_of(program):
    """The options that commands have of their own."""
    general = help_of(program)
    texts = []
    for name in re.findall(r"^  (\S+)", general.partition("Commands:\n")[2].partition("\n\n")[0], re.M):
        lines = help_of(program, name).splitlines()
        own = [line for line in lines if line.startswith("  --") and line not in general.splitlines()]
        if own:
            texts.append(literal("\n".join([lines[0].removeprefix("usage: "), *own])))
    return "\n\n".join(texts)


def page(template, program):
    with open(template) as file:
        text = file.read()
    text = re.sub(r"^@help((?: \S+)*)@$", lambda match: literal(help_of(program, *match.group(1).split())), text, flags=re.M)
    return re.sub(r"^@commands@$", lambda match: commands_of(program), text, flags=re.M)


PAGES = {"config.md": "vhint.conf(5)", "policy.md": "vhint-policy(5)",
         "recording.md": "vhint-recording(5)"}


def link(match):
    text, target = match.groups()
    return PAGES.get(target, f"docs/{target}") if text == target else text


def inline(text):
    """Code becomes bold, links pages or files; what scdoc would take for markup does not."""
    out = []
    for i, part in enumerate(re.split(r"`([^`]+)`", re.sub(r"\[([^\]]+)\]\(([^)]+)\)", link, text))):
        escaped = re.sub(r"([\\_*])", r"\\\1", part if i % 2 else part.replace("**", ""))
        out.append(f"*{escaped}*" if i % 2 and part.strip("*") else escaped)
    return re.sub(r"^([.'#])", r"\\\1", "".join(out))


def cells(row):
    """The cells of a table's row; a "|" in code is not the end of one."""
    parts = re.split(r"\|(?=(?:[^`]*`[^`]*`)*[^`]*$)", row.strip().strip("|"))
    return [cell.strip() for cell in parts]


def table(rows):
    """A list of its rows: the first cell, then the others with their heads."""
    head = cells(rows[0])
    out = []
    for row in map(cells, rows[2:]):
        notes = [f"{title}: {inline(cell)}" if title and title not in ("value", "meaning", "what it does") else inline(cell)
                 for title, cell in zip(head[1:], row[1:]) if cell]
        out.append(inline(row[0]) + "\n" + "\n\n".join(f"\t{note}" for note in notes))
    return "\n\n".join(out)


def manual(name, section, about, path):
    with open(path) as file:
        lines = file.read().splitlines()
    out = [f"{name}({section})", "", "# NAME", "", f"{name} - {about}", "", "# DESCRIPTION", ""]
    at = 1
    while at < len(lines):
        line = lines[at]
        if line.startswith("```"):
            end = lines.index("```", at + 1)
            out.append(literal("\n".join(lines[at + 1:end])))
            at = end
        elif line.startswith("## "):
            out.append("# " + line[3:].upper())
        elif line.startswith("### "):
            out.append("## " + line[4:])
        elif line.startswith("|"):
            end = at
            while end < len(lines) and lines[end].startswith("|"):
                end += 1
            out.append(table(lines[at:end]))
            at = end - 1
        elif match := re.match(r"(- |\d+\. )(.*)", line):
            text = match.group(2)
            while at + 1 < len(lines) and lines[at + 1].startswith("  ") and lines[at + 1].strip():
                at += 1
                text += " " + lines[at].strip()
            out.append("- " + inline(text))
        elif line.strip():
            text = line.strip()
            while at + 1 < len(lines) and lines[at + 1].strip() and not re.match(r"[|#`]|- |\d+\. ", lines[at + 1]):
                at += 1
                text += " " + lines[at].strip()
            out.append(inline(text))
        else:
            out.append("")
        at += 1
    out += ["", "# SEE ALSO", "", "*vhintd*(8), *vhintctl*(1), *vhint.conf*(5), *vhint-policy*(5)"]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(out)) + "\n"


def main():
    print({"page": page, "manual": manual}[sys.argv[1]](*sys.argv[2:]), end="")


if __name__ == "__main__":
    main()
