"""The real servers: how each is started, what it offers, and how the router is told of it."""

import re
import socket
from dataclasses import dataclass, field
from pathlib import Path

from . import install, kits
from .process import Server
from .taps import TO_BACKENDS

URL = re.compile(r"listening on (http://\S+)")


@dataclass
class Backend:
    """One backend of the router. Its name is its namespace."""

    name: str
    kit: kits.Kit
    eras: tuple = ("legacy",)
    # Over a socket: the address for the router (often a base URL) and the exact endpoint for clients.
    url: str = None
    endpoint: str = None
    transport: str = "stdio"
    # As a child process.
    command: list = field(default_factory=list)
    # A router's own backend: its tools have this name before theirs.
    inside: str = None

    def entry(self, taps):
        """Its entry in `backends.yaml`, behind a tap; JSON values are YAML too."""
        entry = {"name": self.name, "namespace": self.name}
        if self.url:
            return {**entry, "url": taps.http(self.name, TO_BACKENDS, self.url)}
        program, *arguments = taps.command(self.name, TO_BACKENDS, self.command)
        return {**entry, "command": program, "args": arguments}


class Fleet:
    """Starts what can be started; what cannot is in `missing`, by name, with the reason."""

    def __init__(self, binaries, work, taps, only=None, peers=None):
        self.taps = taps
        self.peers = PEERS if peers is None else peers
        self.backends, self.missing, self.servers = [], {}, []
        self.binaries, self.work, self.only = binaries, work, only

    def start(self):
        for name, build in self.peers.items():
            if self.only and not re.search(self.only, name):
                continue
            try:
                self.backends.append(build(self, name))
            except install.Missing as missing:
                self.missing[name] = str(missing)
        return self

    def serve(self, name, command, path=""):
        """Starts a server that takes a free port and prints its URL; gives URL and endpoint."""
        server = Server(name, command, log=self.work / f"{name}.log")
        self.servers.append(server)

        def url(line):
            match = URL.search(line)
            return match and match.group(1)

        base = server.wait_for(url)
        return base, base + path

    def stop(self):
        for server in self.servers:
            server.stop(seconds=5)


def script(name):
    """The path of one of our server scripts."""
    return str(install.HERE / "servers" / name)


def _fastmcp(kind):
    both = ("legacy", "modern", "auto")

    def build(fleet, name):
        command = [install.python("current"), script("fastmcp_kit.py"), kind]
        kit = kits.common(wraps=True)
        if kind == "stdio":
            return Backend(name, kit, both, command=command)
        # The router gets the base URL alone, as users write it, and finds the path by itself.
        base, endpoint = fleet.serve(name, command, "/sse" if kind == "sse" else "/mcp")
        if kind == "sse":
            return Backend(name, kit, ("legacy",), base, endpoint, "sse")
        return Backend(name, kit, both, base, endpoint, "http")

    return build


def _old(release, kind, wraps=False):
    def build(fleet, name):
        command = [install.python(f"mcp-{release}"), script("old_mcp_kit.py"), kind]
        kit = kits.common(wraps=wraps)
        if kind == "stdio":
            return Backend(name, kit, command=command)
        base, endpoint = fleet.serve(name, command, "/sse" if kind == "sse" else "/mcp")
        return Backend(name, kit, ("legacy",), base, endpoint, kind)

    return build


def _free_port():
    """For the one server that wants its port told and cannot be asked for it afterwards."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _everything(kind):
    def build(fleet, name):
        home, node = install.node()
        script = install.entry(home, "@modelcontextprotocol/server-everything")
        if kind == "stdio":
            return Backend(name, kits.everything(), command=[node, script, "stdio"])
        port = _free_port()
        argument, path, transport = {
            "http": ("streamableHttp", "/mcp", "http"),
            "sse": ("sse", "/sse", "sse"),
        }[kind]
        command = ["env", f"PORT={port}", node, script, argument]
        server = Server(name, command, log=fleet.work / f"{name}.log")
        fleet.servers.append(server)
        server.wait_for(lambda line: True if "port" in line.lower() else None)
        base = f"http://127.0.0.1:{port}"
        return Backend(name, kits.everything(), ("legacy",), base + path, base + path, transport)

    return build


def _filesystem(fleet, name):
    home, node = install.node()
    script = install.entry(home, "@modelcontextprotocol/server-filesystem")
    folder = Path(fleet.work / "files").resolve()
    folder.mkdir(exist_ok=True)
    (folder / "hello.txt").write_text("hello from a file\n")
    return Backend(name, kits.filesystem(folder), command=[node, script, str(folder)])


def rmcp(fleet):
    """Our server on rmcp."""
    server = fleet.binaries / "rmcp_server"
    if not server.exists():
        raise install.Missing(f"rmcp: {server.name} is not built")
    return str(server)


def _rmcp(kind):
    both = ("legacy", "modern", "auto")

    def build(fleet, name):
        server, kit = rmcp(fleet), kits.common(wraps=False)
        if kind == "stdio":
            return Backend(name, kit, both, command=[server, "stdio"])
        url, endpoint = fleet.serve(name, [server, "http"])
        return Backend(name, kit, both, url, endpoint, "http")

    return build


PEERS = {
    "fast": _fastmcp("http"),
    "fastsse": _fastmcp("sse"),
    "fastio": _fastmcp("stdio"),
    "every": _everything("stdio"),
    "everyhttp": _everything("http"),
    "everysse": _everything("sse"),
    "files": _filesystem,
    "rmcp": _rmcp("http"),
    "rmcpio": _rmcp("stdio"),
    "old2024": _old("1.6.0", "sse"),
    "old2025": _old("1.9.4", "http"),
    "older": _old("1.14.1", "stdio", wraps=True),
}
