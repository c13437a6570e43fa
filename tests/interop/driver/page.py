"""The page of the documentation that holds the results of the conformance suite."""

VERSIONS = ("2025-11-25", "2026-07-28")
# Scenarios of extensions, which the suite counts to no revision.
EXTENSIONS = {
    "2026-07-28": [
        "tasks-lifecycle",
        "tasks-capability-negotiation",
        "tasks-wire-fields",
        "tasks-request-state-removal",
        "tasks-mrtr-input",
        "tasks-request-headers",
        "tasks-dispatch-and-envelope",
        "tasks-required-task-error",
        "tasks-mrtr-composition",
    ]
}


def page(expected, runs, table, clients):
    """The results as a page of the documentation."""
    lines = [HEADING]
    for title, intro, edges in GROUPS:
        chosen = [run for run in runs if run.name.split("/")[0] in edges]
        lines += [f"## {title}", "", intro, ""]
        for version in VERSIONS:
            lines += rows(version, chosen, table)
        if "router" in edges:
            lines += [total(table), ""]
    lines += ["## The router as the client", "", "| revision | scenario | |", "|---|---|---|"]
    lines += [f"| {version} | `{scenario}` | {cell} |" for (version, scenario), cell in clients.items()]
    passed = list(clients.values()).count("✓")
    lines += [f"| | **passed** | **{passed} of {len(clients)}** |", "", "## What cannot pass", ""]
    lines += reasons(expected.raw["cannot"])
    lines += ["", "What passes with a warning, which the suite gives where a server does not what it SHOULD:", ""]
    lines += reasons(expected.raw["warned"])
    if expected.raw["failing"]:
        lines += ["", "What could pass and does not yet:", ""]
        lines += reasons(expected.raw["failing"])
    lines += ["", "What is left out:", ""]
    lines += [f"- `{entry['scenario']}`: {entry['why']}" for entry in expected.raw["left_out"]]
    return "\n".join(lines) + "\n"


def total(table):
    """The sum over a backend in both eras, held to the legacy and held to the modern one."""
    cells = [
        cell
        for name in ("router/both", "router/legacy", "router/modern")
        for version in VERSIONS
        for scenario, cell in table.get((name, version), {}).items()
        if scenario not in EXTENSIONS.get(version, ())
    ]
    passed, cannot = cells.count("✓"), cells.count("–")
    return (
        f"`router/both`, `router/legacy` and `router/modern` together: **{passed} of {len(cells)}** passed, "
        f"{cannot} cannot pass."
    )


def rows(version, runs, table):
    """One table: the scenarios of a revision against some of the runs."""
    columns = [table.get((run.name, version), {}) for run in runs]
    yield f"| {version} | " + " | ".join(run.title for run in runs) + " |"
    yield "|---|" + "---|" * len(runs)
    for scenario in sorted({s for column in columns for s in column}):
        yield f"| `{scenario}` | " + " | ".join(column.get(scenario, "") for column in columns) + " |"
    counts = [[cell for s, cell in c.items() if s not in EXTENSIONS.get(version, ())] for c in columns]
    yield "| **passed** | " + " | ".join(f"**{c.count('✓')} of {len(c)}**" for c in counts) + " |"
    yield ""


def reasons(entries):
    """Each reason once, with where it holds."""
    where = {}
    for entry in entries:
        key = (entry["scenario"], entry["version"], entry["why"])
        where.setdefault(key, []).append(f"`{entry['runs']}`")
    for (scenario, version, why), names in where.items():
        yield f"- `{scenario}` of {version} ({', '.join(names)}): {why}"


GROUPS = [
    (
        "Through mcp-router-http",
        "The backend alone; then the router before it (`router/…`): the backend in both eras, held to the legacy "
        "and to the modern one, over HTTP+SSE (legacy), and as a child process of the router (both eras).",
        ("direct", "router"),
    ),
    (
        "Through mcp-router-stdio",
        "The suite speaks HTTP to servers, so a bridge (`tests/src/reference/bridge.rs`) stands between it and the "
        "router. What is about HTTP alone, sessions, headers and statuses, is the bridge's merit and not the "
        "router's. The first column is the bridge before the backend itself (`bridge/direct`), the others are "
        "the router (`stdio/…`).",
        ("bridge", "stdio"),
    ),
]

HEADING = """# Conformance

<!-- Written by `tests/interop/run --conformance --write`. -->

Results of the official suite, `@modelcontextprotocol/conformance` 0.2.0-alpha.12. The reference backend
(`tests/src/reference`) passes every server scenario by itself, in both eras; the router stands before it with
namespaces off. Held to one era, the backend leaves it to the router to translate for the other. ✓ passes,
✗ fails, – cannot pass, for the reason below. A scenario in which nothing succeeded does not count.
"""
