"""The two checked-in records: docs/kernels.md and tests/lab/verifier.tsv."""

from pathlib import Path

PAGE = Path("docs/kernels.md")
VERIFIER = Path("tests/lab/verifier.tsv")
VERIFIER_HEAD = """\
# What the verifier made of each object, by kernel; `make lab UPDATE=1` writes it.
# kernel\tobject\tsockets kept in\tprograms that load\tthe largest\tinstructions processed for it
"""
SERIES = ["5.10", "6.1", "6.12", "7.x"]
CELLS = ["auto", "fentry", "tracepoint", "kprobe", "user", "integrity", "confidentiality"]


def series_order(series):
    """Kernels of the lab first, then others."""
    return (SERIES.index(series) if series in SERIES else len(SERIES), series)


def section(name):
    """The marks around a table in the page."""
    return f"<!-- {name}: written by make lab UPDATE=1 -->", f"<!-- {name}: end -->"


def table(name):
    """The rows of a table, each as a dictionary by heading."""
    begin, end = section(name)
    text = PAGE.read_text() if PAGE.exists() else ""
    if begin not in text:
        return []
    lines = text.split(begin)[1].split(end)[0].strip().splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [dict(zip(cells[0], row)) for row in cells[2:]]


def write_table(name, headings, rows):
    """Puts rows between the marks of the page."""
    begin, end = section(name)
    lines = ["| " + " | ".join(headings) + " |", "|" + "---|" * len(headings)]
    lines += ["| " + " | ".join(row.get(key) or "-" for key in headings) + " |" for row in rows]
    before, rest = PAGE.read_text().split(begin)
    after = rest.split(end)[1]
    PAGE.write_text(before + begin + "\n" + "\n".join(lines) + "\n" + end + after)


def write_page(kernels, tools):
    """Brings the page up to date; rows of what did not run stay as they are."""
    rows = {(row["kernel"], row["cell"]): row for row in table("cells")}
    for kernel in kernels:
        for (cell, tool), found in kernel.cells.items():
            row = rows.setdefault((kernel.series, cell), {"kernel": kernel.series, "cell": cell})
            row[tool] = str(found)
    order = sorted(rows, key=lambda key: (series_order(key[0]), CELLS.index(key[1])))
    write_table("cells", ["kernel", "cell", *tools], [rows[key] for key in order])

    methods = {(row["kernel"], row["tool"]): row for row in table("methods")}
    peers = {row["kernel"]: row for row in table("peers")}
    for kernel in kernels:
        for (cell, tool), found in kernel.cells.items():
            if cell == "auto" and found.methods:
                row = {"kernel": kernel.series, "tool": tool, "chosen": found.methods}
                methods[kernel.series, tool] = row
        if kernel.peers:
            peers[kernel.series] = {"kernel": kernel.series, "package": kernel.release}
            peers[kernel.series] |= {k: v.replace("|", "/") for k, v in kernel.peers.items()}
    order = sorted(methods, key=lambda key: (series_order(key[0]), tools.index(key[1])))
    write_table("methods", ["kernel", "tool", "chosen"], [methods[key] for key in order])
    order = sorted(peers, key=series_order)
    rows = [peers[key] for key in order]
    headings = dict.fromkeys(["kernel", "package", *(heading for row in rows for heading in row)])
    write_table("peers", list(headings), rows)


def largest(insns):
    """Of each object and place of the sockets: programs that load, and the one that takes most."""
    found = {}
    for (name, program, kept), count in insns.items():
        if isinstance(count, int):
            loaded, most, of = found.get((name, kept), (0, 0, ""))
            most, of = max((most, of), (count, program))
            found[name, kept] = (loaded + 1, most, of)
    return found


def verifier():
    """The record by kernel, object, and where sockets are kept, as `largest` has it."""
    lines = VERIFIER.read_text().splitlines() if VERIFIER.exists() else []
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    return {tuple(row[:3]): (int(row[3]), int(row[5]), row[4]) for row in rows}


def write_verifier(kernels):
    """Replaces the rows of the kernels that ran."""
    ran = {kernel.series for kernel in kernels if kernel.insns}
    rows = {key: row for key, row in verifier().items() if key[0] not in ran}
    for kernel in kernels:
        for key, row in largest(kernel.insns).items():
            rows[(kernel.series, *key)] = row
    order = sorted(rows, key=lambda key: (series_order(key[0]), key[1:]))
    lines = []
    for key in order:
        loaded, most, of = rows[key]
        lines.append("\t".join([*key, str(loaded), of, str(most)]))
    VERIFIER.write_text(VERIFIER_HEAD + "\n".join(lines) + "\n")
