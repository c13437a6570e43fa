"""The real clients: which script asks, over which transport, in which era, and what it negotiates."""

from dataclasses import dataclass

from . import install

LATEST_LEGACY = "2025-11-25"
MODERN = "2026-07-28"
AGENTS = ("tools/list", "tools/call", "prompts/list", "prompts/get", "resources/read")


@dataclass
class Client:
    """One way of connecting. `brief` clients start a process for each request, so they ask little; those
    that start a whole router for each ask it of `few` backends only."""

    name: str
    transport: str
    era: str
    version: str
    command: object
    progress: bool = True
    brief: bool = False
    few: bool = False
    # What its library offers, where that is not everything.
    methods: tuple = None
    # Looks at arguments itself, and does not let wrong ones out.
    strict: bool = False

    def knows(self, check):
        """Whether it can ask this."""
        if self.strict and "bad arguments" in check.label:
            return False
        if (self.brief and not check.brief) or (check.progress and not self.progress):
            return False
        op = check.op
        ops = op.get("parallel", [op])
        return self.methods is None or all(each["method"] in self.methods for each in ops)

    def argv(self, binaries):
        """The command line; raises `Missing` where the peer cannot be had."""
        return self.command(binaries)


def _python(release, script):
    def command(_):
        return [install.python(release), str(install.HERE / "clients" / script)]

    return command


def _node(script):
    def command(_):
        home, node = install.node()
        return [node, str(home / script)]

    return command


def _inspector(_):
    home, node = install.node()
    cli = install.entry(home, "@modelcontextprotocol/inspector", "mcp-inspector")
    return [install.python("current"), str(install.HERE / "clients" / "inspector.py"), node, cli]


def _rmcp(binaries):
    client = binaries / "rmcp_client"
    if not client.exists():
        raise install.Missing(f"rmcp: {client.name} is not built")
    return [str(client)]


def _eras(name, transport, command, eras, **more):
    for era in eras:
        version = LATEST_LEGACY if era == "legacy" else MODERN
        yield Client(f"{name}/{transport}/{era}", transport, era, version, command, **more)


def everyone():
    """All clients, the quick ones first."""
    current, fast = _python("current", "mcp_client.py"), _python("current", "fastmcp_client.py")
    ts, sdk = _node("ts_client.mjs"), _node("ts_sdk.mjs")
    old = {release: _python(f"mcp-{release}", "old_mcp_client.py") for release in ("1.6.0", "1.9.4", "1.14.1")}
    every = ("legacy", "modern", "auto")
    for transport in ("http", "stdio"):
        yield from _eras("rmcp", transport, _rmcp, every)
        yield from _eras("mcp-2.3", transport, current, every)
        yield from _eras("ts-2.4", transport, ts, every)
        yield from _eras("fastmcp", transport, fast, ("legacy", "modern"))
        yield from _eras("ts-1.32", transport, sdk, ("legacy",))
        yield Client(f"mcp-1.14.1/{transport}", transport, "legacy", "2025-06-18", old["1.14.1"])
        yield Client(f"mcp-1.9.4/{transport}", transport, "legacy", "2025-03-26", old["1.9.4"])
    agents = _python("agents", "agents_client.py")
    for transport in ("http", "stdio"):
        some = {"progress": False, "methods": AGENTS, "strict": True}
        yield Client(f"agents/{transport}", transport, "auto", None, agents, **some)
    yield Client("mcp-1.6.0/sse", "sse", "legacy", "2024-11-05", old["1.6.0"], progress=False)
    yield Client("mcp-1.6.0/stdio", "stdio", "legacy", "2024-11-05", old["1.6.0"], progress=False)
    yield from _eras("fastmcp", "sse", fast, ("legacy",))
    yield from _eras("ts-1.32", "sse", sdk, ("legacy",))
    yield from _eras("inspector", "http", _inspector, every, progress=False, brief=True)
    yield from _eras("inspector", "stdio", _inspector, ("auto",), progress=False, brief=True, few=True)
