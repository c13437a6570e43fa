"""Taps on every hop of the router: what it sends to real peers is held against the published schemas.

A tap (`tests/src/tap`, the program `tap`) passes everything on and writes down the messages; when the run
is over, those of the router are checked, each in the revision that it was sent in. `MCP_SCHEMA_DIR` says
where the schemas are; without it there are no taps, and the run says so.
"""

import json
import os
import re
import subprocess

from . import process

URL = re.compile(r"listening on (http://\S+)")
CHECK_SECONDS = 600
# What the router is on a hop.
TO_CLIENTS, TO_BACKENDS = "server", "client"
UNCHECKED = "MCP_SCHEMA_DIR is not set: no message of the router was checked against its schema"


def hops(*lines):
    """What must be among the checked: revision, to whom, over what."""
    short = {"L1": "2024-11-05", "L2": "2025-03-26", "L3": "2025-06-18", "L4": "2025-11-25", "M": "2026-07-28"}
    split = (line.split() for line in lines)
    return {(short[revision], to, over) for to, over, *revisions in split for revision in revisions}


# Every kind of hop that there is with these peers.
INTEROP = hops(
    "clients http L2 L3 L4 M",
    "clients sse L1 L4",
    "clients stdio L1 L2 L3 L4 M",
    "backends http L2 L3 L4 M",
    "backends sse L1 L4",
    "backends stdio L3 L4 M",
)
CONFORMANCE = hops(
    "clients http L4 M",
    "clients stdio L4 M",
    "backends http L4 M",
    "backends sse L4",
    "backends stdio M",
)


class Taps:
    """Puts taps on hops; `tell` reports what they found."""

    def __init__(self, binaries, work):
        self.on = bool(os.environ.get("MCP_SCHEMA_DIR"))
        self.program, self.folder = str(binaries / "tap"), work / "journals"
        self.folder.mkdir(parents=True)
        self.servers = []

    def _options(self, hop, router):
        return ["--folder", str(self.folder), "--hop", hop, "--router", router]

    def http(self, hop, router, url):
        """The URL to use in place of `url`."""
        if not self.on:
            return url
        command = [self.program, "http", *self._options(hop, router), url]
        server = process.Server(f"the tap on {hop}", command)
        self.servers.append(server)

        def own(line):
            match = URL.search(line)
            return match and match.group(1)

        return server.wait_for(own)

    def command(self, hop, router, command):
        """The command to start in place of `command`, which speaks stdio."""
        if not self.on:
            return command
        return [self.program, "stdio", *self._options(hop, router), "--", *command]

    def stop(self):
        for server in self.servers:
            server.kill()

    def tell(self, report, wanted):
        """What was checked, what was wrong, and which of the `wanted` hops were silent; to be called last."""
        self.stop()
        if not self.on:
            report.lines.append(UNCHECKED)
            return
        command = [self.program, "check", str(self.folder)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=CHECK_SECONDS)
        if done.returncode != 0:
            return report.fail("the schemas", done.stderr.strip())
        found = json.loads(done.stdout)
        for wrong in found["wrong"]:
            report.fail("a message that fits its schema", wrong)
        if found["wrongs"] > len(found["wrong"]):
            report.lines.append(f"     {found['wrongs']} messages do not fit; each complaint is shown once")
        self._count(report, found, wanted)

    def _count(self, report, found, wanted):
        seen = {(row["revision"], row["to"], row["over"]): row["messages"] for row in found["checked"]}
        total = sum(seen.values())
        for (revision, to, over), messages in sorted(seen.items()):
            report.lines.append(f"     {messages:6} messages of the router to {to} over {over} in {revision}")
        silent = sorted(" ".join(hop) for hop in wanted - set(seen))
        if not total:
            report.fail("messages of the router are checked against their schemas", "there were none")
        elif silent:
            report.fail("messages of the router are checked on every kind of hop", f"none on {', '.join(silent)}")
        else:
            report.ok(f"{total} messages of the router were checked against their schemas")
