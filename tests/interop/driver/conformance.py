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

from . import install, process, taps
from .page import EXTENSIONS, VERSIONS, page

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
    # Tasks are routed between modern peers alone.
    extensions: bool = False

    def tag(self):
        return self.name.replace("/", "-")


RUNS = [
    Run("direct", "alone", "both", edge=None, extensions=True),
    Run("router/both", "both", "both", extensions=True),
    Run("router/legacy", "legacy", "legacy"),
    Run("router/modern", "modern", "modern"),
    Run("router/sse", "HTTP+SSE", "legacy", backend="sse"),
    Run("router/child", "stdio", "both", backend="stdio"),
    Run("bridge/direct", "alone", "both", backend="stdio", edge=None),
    Run("stdio/both", "both", "both", edge="stdio"),
    Run("stdio/legacy", "legacy", "legacy", edge="stdio"),
    Run("stdio/modern", "modern", "modern", edge="stdio"),
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

    def server(self, name, url, version, extensions):
        arguments = ["server", "--url", url, "--suite", "all", "--spec-version", version]
        _, files = self._run(name, arguments, SUITE_SECONDS)
        for scenario in EXTENSIONS.get(version, ()) if extensions else ():
            _, more = self._run(f"{name}-{scenario}", ["server", "--url", url, "--scenario", scenario], SUITE_SECONDS)
            files.update(more)
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

    def failing(self, run, version, scenario):
        return next(self._of("failing", run, version, scenario), None)

    def warned(self, run, version, scenario):
        return {entry["check"] for entry in self._of("warned", run, version, scenario)}


def listening(line):
    match = URL.search(line)
    return match and match.group(1)


class Targets:
    """Starts what a run needs, and stops it."""

    def __init__(self, options, work, routers, tapped):
        self.options, self.work, self.routers, self.tapped = options, work, routers, tapped

    def open(self, run, started):
        """The URL for the suite. What was started is appended to `started`."""
        folder = self.work / run.tag()
        folder.mkdir()
        backend = [str(self.options.binaries / "reference"), "--era", run.era, "--transport", run.backend]
        if run.edge is None:
            return self._serve(folder / "direct.log", self._bridge(backend) if run.backend == "stdio" else backend, started)
        if run.backend == "stdio":
            program, *arguments = self.tapped.command(run.name, taps.TO_BACKENDS, backend)
            entry = {"command": program, "args": arguments}
        else:
            url = self._serve(folder / "backend.log", backend, started)
            entry = {"url": self.tapped.http(run.name, taps.TO_BACKENDS, url)}
        config = folder / "backends.yaml"
        entry = {"name": "reference", "namespace": "reference", **entry}
        config.write_text(json.dumps({"backends": [entry], "routing": {"enable_namespace_prefixing": False}}))
        if run.edge == "stdio":
            router = [str(self.options.binaries / "mcp-router-stdio"), "--config", str(config)]
            router = self.tapped.command(run.name, taps.TO_CLIENTS, router)
            return self._serve(folder / "router.log", self._bridge(router), started)
        router, address = self.routers(self.options, config, folder)
        started.append(router)
        return self.tapped.http(run.name, taps.TO_CLIENTS, f"http://{address}/mcp")

    def _bridge(self, command):
        """The suite speaks HTTP to servers; this lets it speak to a command on stdin and stdout."""
        return [str(self.options.binaries / "reference"), "--", *command]

    def _serve(self, log, command, started):
        server = process.Server(command[0], command, log=log)
        started.append(server)
        return server.wait_for(listening)


def serve(suite, targets, run):
    """All server scenarios against one target, in both eras."""
    started = []
    try:
        url = targets.open(run, started)
        return {v: suite.server(f"{run.tag()}-{v}", url, v, run.extensions) for v in VERSIONS}
    finally:
        for server in reversed(started):
            server.stop(seconds=15)


def judge(report, expected, run, version, verdicts):
    """One line for each scenario; gives what the table shows."""
    wanted = expected.raw["scenarios"][f"server {version}"]
    wanted += len(EXTENSIONS.get(version, ())) if run.extensions else 0
    if len(verdicts) != wanted:
        report.fail(f"{run.name} {version}", f"{len(verdicts)} scenarios, expected {wanted}")
    shown = {}
    for scenario, verdict in verdicts.items():
        case = f"{run.name} {version} {scenario}"
        wrong = verdict.wrong(expected.warned(run.name, version, scenario))
        cannot = expected.cannot(run.name, version, scenario)
        shown[scenario] = "–" if wrong and cannot else "✗" if wrong else "✓"
        tell(report, case, wrong, cannot or expected.failing(run.name, version, scenario))
    return shown


def tell(report, case, wrong, written):
    """One line for a scenario, given why it did not pass and what is written down of it."""
    if wrong and written:
        report.ok(f"{case} does not pass: {written['why']}")
    elif wrong:
        report.fail(case, wrong)
    elif written:
        report.fail(case, "passes, though expected.json says that it does not: take it out there")
    else:
        report.ok(case)


def act(report, suite, options, expected, tapped):
    """The client scenarios, with the router as the client."""
    script = shlex.quote(str(HERE / "client.py"))
    router = shlex.quote(str(options.binaries / "mcp-router-stdio"))
    command = f"{shlex.quote(sys.executable)} {script} --router {router}"
    if tapped.on:
        command += f" --tap {shlex.quote(tapped.program)} --journals {shlex.quote(str(tapped.folder))}"
    shown = {}
    for version, scenarios in CLIENT.items():
        for scenario in scenarios:
            case = f"client {version} {scenario}"
            verdict = suite.client(case.replace(" ", "-"), command, scenario, version)
            wrong = verdict.wrong(set())
            shown[version, scenario] = "✗" if wrong else "✓"
            tell(report, case, wrong, expected.failing("client", version, scenario))
    return shown


def run_all(options, work, report, new_report, routers, tapped):
    """Everything; gives the page of results."""
    suite, expected = Suite(work), Expected()
    targets = Targets(options, work, routers, tapped)
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
    clients = act(own, suite, options, expected, tapped) if not options.backend else {}
    report.add(own)
    return page(expected, runs, table, clients)


def main(options, report, new_report, routers, tell_taps):
    """Runs the suite; with `--write` renews the page, without it says when the page is out of date."""
    work = Path(tempfile.mkdtemp(prefix="mcp-router-conformance-"))
    tapped = taps.Taps(options.binaries, work)
    try:
        text = run_all(options, work, report, new_report, routers, tapped)
        tell_taps(report, tapped, options, taps.CONFORMANCE)
    except install.Missing as missing:
        report.skip("the conformance suite", missing)
        print("\n".join(report.lines))
        return work
    finally:
        tapped.stop()
    place = install.HERE.parent.parent / "docs" / "conformance.md"
    if options.write:
        place.write_text(text)
    elif not options.backend and (not place.exists() or place.read_text() != text):
        report.failed += 1
        print(f"FAIL {place.name} says otherwise: renew it with --conformance --write")
    return work
