"""The two checked-in records: docs/kernels.md and tests/lab/verifier.tsv."""

from pathlib import Path

PAGE = Path("docs/kernels.md")
VERIFIER = Path("tests/lab/verifier.tsv")
VERIFIER_HEAD = """\
# Instructions that the verifier processed for each program, by kernel; `make lab UPDATE=1` writes it.
# kernel\tobject\tprogram\tsockets kept in\tinstructions
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

    rungs = {(row["kernel"], row["tool"]): row for row in table("rungs")}
    peers = {row["kernel"]: row for row in table("peers")}
    for kernel in kernels:
        for (cell, tool), found in kernel.cells.items():
            if cell == "auto" and found.rungs:
                row = {"kernel": kernel.series, "tool": tool, "chosen": found.rungs}
                rungs[kernel.series, tool] = row
        if kernel.peers:
            peers[kernel.series] = {"kernel": kernel.series, "package": kernel.release}
            peers[kernel.series] |= {k: v.replace("|", "/") for k, v in kernel.peers.items()}
    order = sorted(rungs, key=lambda key: (series_order(key[0]), tools.index(key[1])))
    write_table("rungs", ["kernel", "tool", "chosen"], [rungs[key] for key in order])
    names = ["tcpstates", "tcptop", "tcpconnlat", "tcprtt", "tcpsynbl", "tcplife"]
    order = sorted(peers, key=series_order)
    write_table("peers", ["kernel", "package", *names], [peers[key] for key in order])


def verifier():
    """Recorded instruction counts by kernel, object, program, and where sockets are kept."""
    lines = VERIFIER.read_text().splitlines() if VERIFIER.exists() else []
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    return {tuple(row[:4]): int(row[4]) for row in rows}


def write_verifier(kernels):
    """Replaces the counts of the kernels that ran."""
    ran = {kernel.series for kernel in kernels if kernel.insns}
    counts = {key: count for key, count in verifier().items() if key[0] not in ran}
    for kernel in kernels:
        for key, count in kernel.insns.items():
            if isinstance(count, int):
                counts[(kernel.series, *key)] = count
    order = sorted(counts, key=lambda key: (series_order(key[0]), key[1:]))
    lines = ["\t".join([*key, str(counts[key])]) for key in order]
    VERIFIER.write_text(VERIFIER_HEAD + "\n".join(lines) + "\n")
