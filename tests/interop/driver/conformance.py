"""The official conformance suite: the reference backend by itself, the router before it, the router as client.

What passes by itself must pass through the router. What cannot is in `conformance/expected.json`, each
with its reason; a scenario that fails without being there, and one that is there but passes, fail the run.
"""

import fnmatch
import json
import re
import shlex
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from . import install, process

VERSIONS = ("2025-11-25", "2026-07-28")
SUITE_SECONDS = 300
CLIENT_SECONDS = 60
HERE = install.HERE / "conformance"
URL = re.compile(r"listening on (http://\S+)")
# A scenario's folder among the results ends in the time it was run.
FOLDER = re.compile(r"^(?:server-|client-)?(.*)-\d{4}-\d\d-\d\dT.*$")

# By the suite's own rule these three say nothing of the scenario itself.
SAYS_NOTHING = {"wire-schema-valid"}


@dataclass(frozen=True)
class Run:
    """One target of the server scenarios. `name` is what `expected.json` and the table call it."""

    name: str
    title: str
    era: str
    backend: str = "http"
    edge: str = "http"

    def direct(self):
        return self.edge is None


RUNS = [
    Run("direct", "reference backend alone", "both", edge=None),
    Run("router/both", "both eras", "both"),
    Run("router/legacy", "legacy", "legacy"),
    Run("router/modern", "modern", "modern"),
]

CLIENT = {
    "2025-11-25": [
        "initialize",
        "tools_call",
        "elicitation-sep1034-client-defaults",
        "sse-retry",
        "json-schema-2020-12-preservation",
    ],
    "2026-07-28": [
        "tools_call",
        "request-metadata",
        "sep-2322-client-request-state",
        "http-standard-headers",
        "http-custom-headers",
        "http-invalid-tool-headers",
        "json-schema-ref-no-deref",
        "json-schema-2020-12-preservation",
    ],
}


class Verdict:
    """What the suite said of one scenario."""

    def __init__(self, checks):
        self.failed = [c for c in checks if c["status"] == "FAILURE"]
        self.warned = [c for c in checks if c["status"] == "WARNING"]
        self.real = [c for c in checks if c["status"] == "SUCCESS" and c["id"] not in SAYS_NOTHING]

    def wrong(self, allowed_warnings):
        """Why it does not count as passed. A scenario in which nothing succeeded proves nothing."""
        said = [*self.failed, *(c for c in self.warned if c["id"] not in allowed_warnings)]
        if said:
            return "; ".join(f"{c['id']}: {(c.get('errorMessage') or 'failed')[:300]}" for c in said)
        return None if self.real or self.warned else "nothing succeeded"


class Suite:
    """The pinned package, and where its results go."""

    def __init__(self, work):
        home, self.node = install.node()
        self.script = install.entry(home, "@modelcontextprotocol/conformance")
        self.work = work

    def _run(self, name, arguments, seconds):
        out = self.work / name
        command = [self.node, self.script, *arguments, "-o", str(out)]
        code, stdout, stderr = process.run(command, "", seconds)
        (self.work / f"{name}.log").write_text(stdout + stderr)
        return code, {FOLDER.match(f.parent.name).group(1): f for f in out.glob("**/checks.json")}

    def server(self, name, url, version):
        arguments = ["server", "--url", url, "--suite", "all", "--spec-version", version]
        _, files = self._run(name, arguments, SUITE_SECONDS)
        return {scenario: Verdict(json.loads(f.read_text())) for scenario, f in sorted(files.items())}

    def client(self, name, command, scenario, version):
        arguments = ["client", "--command", command, "--scenario", scenario, "--spec-version", version]
        code, files = self._run(name, arguments, CLIENT_SECONDS)
        verdict = Verdict([c for f in files.values() for c in json.loads(f.read_text())])
        if code != 0 and not verdict.failed:
            verdict.failed.append({"id": "client", "errorMessage": f"exit code {code}"})
        return verdict


class Expected:
    """What is written down of what cannot pass."""

    def __init__(self):
        self.raw = json.loads((HERE / "expected.json").read_text())

    def _of(self, kind, run, version, scenario):
        for entry in self.raw[kind]:
            fits = fnmatch.fnmatch(run, entry["runs"]) and fnmatch.fnmatch(scenario, entry["scenario"])
            if fits and entry["version"] == version:
                yield entry

    def cannot(self, run, version, scenario):
        return next(self._of("cannot", run, version, scenario), None)

    def warned(self, run, version, scenario):
        return {entry["check"] for entry in self._of("warned", run, version, scenario)}


def listening(line):
    match = URL.search(line)
    return match and match.group(1)


class Targets:
    """Starts what a run needs, and stops it."""

    def __init__(self, options, work, routers):
        self.options, self.work, self.routers = options, work, routers

    def open(self, run, started):
        """The URL for the suite. What was started is appended to `started`."""
        reference = [str(self.options.binaries / "reference"), "--era", run.era]
        tag = run.name.replace("/", "-")
        if run.backend == "stdio":
            entry = {"command": reference[0], "args": [*reference[1:], "--transport", "stdio"]}
        else:
            command = [*reference, "--transport", run.backend]
            server = process.Server("reference", command, log=self.work / f"{tag}-reference.log")
            started.append(server)
            entry = {"url": server.wait_for(listening)}
            if run.direct():
                return entry["url"]
        folder = self.work / tag
        folder.mkdir()
        config = folder / "backends.yaml"
        backend = {"name": "reference", "namespace": "reference", **entry}
        config.write_text(json.dumps({"backends": [backend], "routing": {"enable_namespace_prefixing": False}}))
        if run.edge == "stdio":
            router = [str(self.options.binaries / "mcp-router-stdio"), "--config", str(config)]
            command = [str(self.options.binaries / "stdio_bridge"), *router]
            bridge = process.Server("stdio_bridge", command, log=folder / "router.log")
            started.append(bridge)
            return bridge.wait_for(listening)
        router, address = self.routers(self.options, config, folder)
        started.append(router)
        return f"http://{address}/mcp"


def serve(suite, targets, run):
    """All server scenarios against one target, in both eras."""
    started = []
    try:
        url = targets.open(run, started)
        tag = run.name.replace("/", "-")
        return {version: suite.server(f"{tag}-{version}", url, version) for version in VERSIONS}
    finally:
        for server in reversed(started):
            server.stop(seconds=15)


def judge(report, expected, run, version, verdicts):
    """One line for each scenario; gives what the table shows."""
    wanted = expected.raw["scenarios"][f"server {version}"]
    if len(verdicts) != wanted:
        report.fail(f"{run.name} {version}", f"{len(verdicts)} scenarios, expected {wanted}")
    shown = {}
    for scenario, verdict in verdicts.items():
        case = f"{run.name} {version} {scenario}"
        wrong = verdict.wrong(expected.warned(run.name, version, scenario))
        cannot = expected.cannot(run.name, version, scenario)
        shown[scenario] = "✗" if wrong else "✓"
        if wrong and cannot:
            shown[scenario] = "–"
            report.ok(f"{case} cannot pass: {cannot['why']}")
        elif wrong:
            report.fail(case, wrong)
        elif cannot:
            report.fail(case, "passes, though expected.json says that it cannot: take it out there")
        else:
            report.ok(case)
    return shown


def act(report, suite, options):
    """The client scenarios, with the router as the client."""
    script = shlex.quote(str(HERE / "client.py"))
    router = shlex.quote(str(options.binaries / "mcp-router-stdio"))
    command = f"{shlex.quote(sys.executable)} {script} --router {router}"
    shown = {}
    for version, scenarios in CLIENT.items():
        for scenario in scenarios:
            case = f"client {version} {scenario}"
            verdict = suite.client(case.replace(" ", "-"), command, scenario, version)
            wrong = verdict.wrong(set())
            shown[version, scenario] = "✗" if wrong else "✓"
            if wrong:
                report.fail(case, wrong)
            else:
                report.ok(case)
    return shown


def run_all(options, work, report, new_report, routers):
    """Everything; gives the page of results."""
    suite, expected = Suite(work), Expected()
    targets = Targets(options, work, routers)
    runs = [run for run in RUNS if not options.backend or re.search(options.backend, run.name)]
    table = {}
    with ThreadPoolExecutor(min(options.jobs, 2)) as pool:
        waiting = [(run, pool.submit(serve, suite, targets, run)) for run in runs]
        for run, future in waiting:
            own = new_report()
            try:
                for version, verdicts in future.result().items():
                    table[run.name, version] = judge(own, expected, run, version, verdicts)
            except process.Failed as failed:
                own.fail(f"{run.name} starts", failed)
            report.add(own)
    own = new_report()
    # Alone, for one of these measures how punctual the client is.
    clients = act(own, suite, options) if not options.backend else {}
    report.add(own)
    return page(expected, runs, table, clients)


def page(expected, runs, table, clients):
    """The results as a page of the documentation."""
    lines = [HEADING]
    for version in VERSIONS:
        scenarios = sorted({s for run in runs for s in table.get((run.name, version), {})})
        lines += [f"## Server scenarios of {version}", ""]
        lines += ["| scenario | " + " | ".join(run.title for run in runs) + " |"]
        lines += ["|---|" + "---|" * len(runs)]
        for scenario in scenarios:
            cells = [table.get((run.name, version), {}).get(scenario, "") for run in runs]
            lines.append(f"| `{scenario}` | " + " | ".join(cells) + " |")
        counts = [list(table.get((run.name, version), {}).values()) for run in runs]
        lines.append("| **passed** | " + " | ".join(f"**{c.count('✓')} of {len(c)}**" for c in counts) + " |")
        lines.append("")
    lines += ["## Client scenarios", "", "| revision | scenario | the router as client |", "|---|---|---|"]
    lines += [f"| {version} | `{scenario}` | {cell} |" for (version, scenario), cell in clients.items()]
    passed = list(clients.values()).count("✓")
    lines += [f"| | **passed** | **{passed} of {len(clients)}** |", "", "## What cannot pass", ""]
    for entry in expected.raw["cannot"]:
        lines.append(f"- `{entry['scenario']}` ({entry['version']}, {entry['runs']}): {entry['why']}")
    lines += ["", "Passes with a warning, which the suite gives where a server does not do what it SHOULD:", ""]
    for entry in expected.raw["warned"]:
        lines.append(f"- `{entry['scenario']}` ({entry['version']}, {entry['runs']}): {entry['why']}")
    lines += ["", "## What is left out", ""]
    for entry in expected.raw["left_out"]:
        lines.append(f"- `{entry['scenario']}`: {entry['why']}")
    return "\n".join(lines) + "\n"


HEADING = """# Conformance

<!-- Written by `tests/interop/run --conformance --write`. -->

Results of the official suite, `@modelcontextprotocol/conformance` 0.2.0-alpha.12. The reference backend
(`tests/src/reference`) passes every server scenario by itself. The columns after it are the router before
that backend with namespaces off: while the backend speaks both eras, and while it is held to one of them,
so that the router has to translate for the other. ✓ passes, ✗ fails, – cannot pass, for the reason below.
A scenario in which nothing succeeded does not count as passed.
"""


def main(options, report, new_report, routers):
    """Runs the suite; with `--write` renews the page, without it says when the page is out of date."""
    work = Path(tempfile.mkdtemp(prefix="mcp-router-conformance-"))
    try:
        text = run_all(options, work, report, new_report, routers)
    except install.Missing as missing:
        report.skip("the conformance suite", missing)
        print("\n".join(report.lines))
        return work
    place = install.HERE.parent.parent / "docs" / "conformance.md"
    if options.write:
        place.write_text(text)
    elif not options.backend and (not place.exists() or place.read_text() != text):
        report.failed += 1
        print(f"FAIL {place.name} says otherwise: renew it with --conformance --write")
    return work
