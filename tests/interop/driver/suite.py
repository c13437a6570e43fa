"""The suite: every client against every backend, straight or through the router."""

import argparse
import json
import os
import re
import shutil
import sys
import tempfile
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from . import asking, clients, conformance, install, kits, process, taps
from .backends import Fleet
from .checks import Names

CLIENT_SECONDS = 180
READY_SECONDS = 120
MAX_COMPLAINTS = 4
FEW = 2


class Report:
    """One line a case and the total. Clients run side by side, so each has its own until it is done."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.lines = []

    def ok(self, case):
        self.passed += 1
        self.lines.append(f"ok   {case}")

    def fail(self, case, why):
        self.failed += 1
        self.lines.append(f"FAIL {case}\n       {why}")

    def skip(self, case, why):
        self.skipped += 1
        self.lines.append(f"skip {case}: {why}")

    def add(self, other):
        """Takes over what `other` holds, and prints it."""
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        print("\n".join(other.lines), flush=True)


class Target:
    """Where a client connects: a URL for HTTP, a command for stdio."""

    def __init__(self, transport, url=None, command=None):
        self.transport, self.url, self.command = transport, url, command

    def job(self, client, ops, answers):
        job = {"transport": self.transport, "era": client.era, "ops": ops, "answers": answers}
        return {**job, "url": self.url} if self.url else {**job, "command": self.command}


def ask(client, binaries, target, groups, answers):
    """Lets one client ask everything of `groups` (case -> checks) in one session; gives the judgements."""
    argv = client.argv(binaries)
    wanted = {
        case: [check for check in checks if client.knows(check)]
        for case, checks in groups.items()
    }
    ops = [check.op for checks in wanted.values() for check in checks]
    code, out, err = process.run(argv, json.dumps(target.job(client, ops, answers)), CLIENT_SECONDS)
    lines = out.strip().splitlines()
    if not lines or not lines[-1].startswith("{"):
        why = "hangs" if code is None else f"exit code {code}"
        raise process.Failed(f"{why}: {_last(err)}")
    report = json.loads(lines[-1])
    version = report["connect"]["protocolVersion"]
    answers = iter(report["results"])
    return version, {case: [(c, next(answers)) for c in checks] for case, checks in wanted.items()}


def _last(text):
    return " | ".join(text.strip().splitlines()[-6:]) or "(nothing on stderr)"


def judge(report, case, version, answers):
    """A case fails with all that is wrong about it."""
    wrong = []
    for check, answer in answers:
        try:
            check.judge(answer, version)
        except (AssertionError, KeyError, TypeError, IndexError, ValueError) as error:
            wrong.append(f"{check.label}: {type(error).__name__ if not str(error) else error}"[:600])
    if wrong:
        shown = wrong[:MAX_COMPLAINTS]
        if len(wrong) > len(shown):
            shown.append(f"and {len(wrong) - len(shown)} more")
        report.fail(case, "\n       ".join(shown))
    else:
        report.ok(case)


def run_cases(report, client, binaries, target, groups, version=None, answers=False):
    try:
        negotiated, answers = ask(client, binaries, target, groups, answers)
    except install.Missing as missing:
        for case in groups:
            report.skip(case, missing)
        return
    except (process.Failed, ValueError, KeyError) as failed:
        for case in groups:
            report.fail(case, failed)
        return
    for case in groups:
        if version and negotiated != version:
            report.fail(case, f"negotiated {negotiated}, expected {version}")
        else:
            judge(report, case, negotiated, answers[case])


def side_by_side(report, options, work, only="", shy=False):
    """Runs `work(client, own_report)` for every chosen client, a few at a time, and prints as they end.

    Backends that ask on a connection which many clients share are asked by one at a time, from their first
    question on; when two are there for that one, nobody can tell whom it is for. `shy` keeps apart those that
    might: the first group of clients is alone, and the eras of one client, which share connections, take turns.
    """

    def one(group):
        own = Report()
        for client in group:
            started = time.monotonic()
            work(client, own)
            own.lines.append(f"     {client.name}: {time.monotonic() - started:.1f} s")
        return own

    groups = {}
    for client in chosen_clients(options):
        if re.search(only, client.name):
            groups.setdefault(client.name.rpartition("/")[0] if shy else client.name, []).append(client)
    groups = list(groups.values())
    if shy and groups:
        report.add(one(groups.pop(0)))
    with ThreadPoolExecutor(options.jobs) as pool:
        for done in as_completed([pool.submit(one, group) for group in groups]):
            report.add(done.result())


def direct(report, options, fleet):
    """Clients straight at the servers: what fails here is a peer, not the router."""

    def work(client, own):
        for backend in fleet.backends:
            if backend.transport != client.transport or client.era not in backend.eras:
                continue
            target = Target(client.transport, backend.endpoint, backend.command)
            case = f"{client.name} -> {backend.name}"
            run_cases(own, client, options.binaries, target, {case: backend.kit(Names())})

    side_by_side(report, options, work)


def write_config(fleet, work):
    lines = ["# Written by the interop suite.", "backends:"]
    for backend in fleet.backends:
        for n, (key, value) in enumerate(backend.entry(fleet.taps).items()):
            lines.append(f"{'  - ' if n == 0 else '    '}{key}: {json.dumps(value)}")
    lines += ["routing:", f"  startup_wait_seconds: {READY_SECONDS // 2}", ""]
    path = work / "backends.yaml"
    path.write_text("\n".join(lines))
    return path


def start_router(options, config, work):
    command = [str(options.binaries / "mcp-router-http"), "--config", str(config)]
    command += ["--host", "127.0.0.1", "--port", "0", "--log-format", "json"]
    router = process.Server("mcp-router-http", command, log=work / "router.log")
    address = router.wait_for(process.bound)
    wait_ready(router, f"http://{address}/ready")
    return router, address


def wait_ready(router, url):
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                body = answer.read()
                return body
        except urllib.error.HTTPError as error:
            body = error.read()
        except OSError as error:
            body = str(error).encode()
        if time.monotonic() > deadline:
            raise process.Failed(f"not ready: {body[:400]!r}; {router.said()}")
        time.sleep(0.1)  # readiness is a state to ask for, not an event to wait for


def router_targets(options, fleet, address, config):
    front = fleet.taps.http("clients", taps.TO_CLIENTS, f"http://{address}")
    stdio = [str(options.binaries / "mcp-router-stdio"), "--config", str(config)]
    return {
        "http": Target("http", url=f"{front}/mcp"),
        "sse": Target("sse", url=f"{front}/sse"),
        "stdio": Target("stdio", command=fleet.taps.command("clients", taps.TO_CLIENTS, stdio)),
    }


def routed(report, options, fleet, work):
    """Clients at the router, one session each for all backends."""
    config = write_config(fleet, work)
    router, address = start_router(options, config, work)
    names = [backend.name for backend in fleet.backends]
    targets = router_targets(options, fleet, address, config)

    def work(client, own):
        groups = {f"{client.name} -> router": kits.router(names)(Names())}
        for backend in fleet.backends[:FEW] if client.few else fleet.backends:
            groups[f"{client.name} -> router -> {backend.name}"] = backend.kit(Names(backend.name))
        for name, why in fleet.missing.items():
            own.skip(f"{client.name} -> router -> {name}", why)
        run_cases(own, client, options.binaries, targets[client.transport], groups, client.version)

    side_by_side(report, options, work)
    last = Report()
    if not options.client or options.client == "none":
        commands(last, options, fleet, config)
    code = router.stop()
    if code == 0:
        last.ok("the router stops when told to")
    else:
        last.fail("the router stops when told to", f"exit code {code}: {router.said()}")
    report.add(last)


def asking_groups(own, client, backend, routed):
    """The cases of one asking backend; what the peers cannot do is said, not run."""
    names = Names(".".join(filter(None, [backend.name if routed else None, backend.inside])) or None)
    groups = {}
    for feature, checks in asking.features(names, f"{client.name} {backend.name}").items():
        why = asking.cannot(client.name, backend.name, feature, routed)
        if why:
            own.lines.append(f"     left out: {client.name} -> {backend.name} {feature}: {why}")
        else:
            groups[f"{client.name} -> {'router -> ' if routed else ''}{backend.name}: {feature}"] = checks
    return groups


def ask_direct(report, options, fleet):
    """The asking servers and the clients that answer, without the router."""

    def work(client, own):
        for backend in fleet.backends:
            if backend.transport == client.transport and client.era in backend.eras:
                target = Target(client.transport, backend.endpoint, backend.command)
                groups = asking_groups(own, client, backend, False)
                run_cases(own, client, options.binaries, target, groups, answers=True)

    side_by_side(report, options, work, asking.CLIENTS)


def ask_routed(report, options, fleet, work):
    """Servers that ask, through the router; one session each for all of them."""
    config = write_config(fleet, work)
    router, address = start_router(options, config, work)
    targets = router_targets(options, fleet, address, config)

    def work(client, own):
        groups = {}
        for backend in fleet.backends:
            groups.update(asking_groups(own, client, backend, True))
        run_cases(own, client, options.binaries, targets[client.transport], groups, client.version, answers=True)
        for name, why in fleet.missing.items():
            own.skip(f"{client.name} -> router -> {name}", why)

    side_by_side(report, options, work, asking.CLIENTS, shy=True)
    router.stop()


def commands(report, options, fleet, config):
    """The programs' own commands on the same real servers."""
    program = str(options.binaries / "mcp-router-stdio")
    first = fleet.backends[0].name
    tool = "list_allowed_directories" if first == "files" else "echo"
    cases = {
        "check": (["check"], [backend.name for backend in fleet.backends]),
        "tools": (["tools"], [f"{backend.name}." for backend in fleet.backends]),
        "call": (["call", f"{first}.{tool}", '{"message":"from the command line"}'], ['"content"']),
    }
    for case, (arguments, expected) in cases.items():
        command = [program, "--config", str(config), *arguments]
        code, out, err = process.run(command, "", CLIENT_SECONDS)
        absent = [text for text in expected if text not in out]
        if code != 0:
            report.fail(f"mcp-router-stdio {case}", f"exit code {code}: {_last(err)}")
        elif absent:
            report.fail(f"mcp-router-stdio {case}", f"not in its output: {absent}")
        else:
            report.ok(f"mcp-router-stdio {case}")


def chosen_clients(options):
    return [c for c in clients.everyone() if not options.client or re.search(options.client, c.name)]


def parse(arguments):
    parser = argparse.ArgumentParser(prog="run", description=__doc__)
    root = install.HERE.parent.parent
    target = Path(os.environ.get("CARGO_TARGET_DIR", root / "target"))
    parser.add_argument("--binaries", type=Path, default=target / "debug", help="folder of the built binaries")
    parser.add_argument("--require-all", action="store_true", help="a skipped case is a failure")
    parser.add_argument("--direct", action="store_true", help="leave the router out: prove the peers")
    parser.add_argument("--asking", action="store_true", help="only servers that ask their client")
    parser.add_argument("--conformance", action="store_true", help="run the official conformance suite instead")
    parser.add_argument("--write", action="store_true", help="write its results to docs/conformance.md")
    parser.add_argument("--client", help="only clients whose name matches this pattern")
    parser.add_argument("--backend", help="only backends whose name matches this pattern")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="clients at a time")
    parser.add_argument("--keep", action="store_true", help="keep logs and configuration")
    options = parser.parse_args(arguments)
    options.binaries = options.binaries.resolve()
    return options


def main(arguments):
    options = parse(arguments)
    if not options.direct and not (options.binaries / "mcp-router-http").exists():
        print(f"no mcp-router-http in {options.binaries}: build it first (cargo build --workspace)", file=sys.stderr)
        return 2
    if options.conformance:
        return conform(options)
    report, work = Report(), Path(tempfile.mkdtemp(prefix="mcp-router-interop-"))
    tapped = taps.Taps(options.binaries, work)
    try:
        if not options.asking:
            with_fleet(report, options, work / "kits", tapped, None, direct, routed)
        with_fleet(report, options, work / "asking", tapped, asking.PEERS, ask_direct, ask_routed)
        if not options.direct:
            tell_taps(report, tapped, options, taps.INTEROP)
    except process.Failed as failed:
        report.failed += 1
        print(f"FAIL the suite starts\n       {failed}", flush=True)
    finally:
        tapped.stop()
        if options.keep or report.failed:
            print(f"logs and configuration: {work}")
        else:
            shutil.rmtree(work, ignore_errors=True)
    return total(report, options)


def tell_taps(report, tapped, options, wanted):
    """The end of a run. A run of chosen peers need not have every kind of hop."""
    own = Report()
    tapped.tell(own, set() if options.client or options.backend or options.asking else wanted)
    report.add(own)


def with_fleet(report, options, work, tapped, peers, straight, through):
    """Starts the servers, runs the cases, stops the servers."""
    work.mkdir()
    fleet = Fleet(options.binaries, work, tapped, options.backend, peers)
    try:
        fleet.start()
        for name, why in fleet.missing.items():
            print(f"left out: {name}: {why}", flush=True)
        if options.direct:
            straight(report, options, fleet)
        elif fleet.backends or fleet.missing:
            through(report, options, fleet, work)
    finally:
        fleet.stop()


def conform(options):
    report = Report()
    work = conformance.main(options, report, Report, start_router, tell_taps)
    if options.keep or report.failed:
        print(f"logs and results: {work}")
    else:
        shutil.rmtree(work, ignore_errors=True)
    return total(report, options)


def total(report, options):
    """Prints the sum, and gives the exit code."""
    failed = report.failed + (report.skipped if options.require_all else 0)
    if options.require_all and report.skipped:
        print("every case is required here: the skipped ones count as failures")
    print(f"{report.passed} passed, {report.failed} failed, {report.skipped} skipped")
    return 1 if failed or not report.passed else 0
