"""Servers that ask their client, clients that answer: everything that is more than a call.

Each server offers the same tools in the words of its own library; each client answers in the same way.
Features are cases of their own, so that the last column of a failure says what does not work.
"""

import json
import re

from . import install
from .backends import Backend, rmcp, script
from .checks import Check, call, says, same, result
from .kits import Kit
from .process import Server, bound
from .taps import TO_CLIENTS

RESOURCE = "news://today"

# What a peer cannot do by itself, with or without a router: client, server, feature, reason.
CANNOT = [
    (r"", r"^old", "ask_url", "the SDK of 2025-06-18 has no URL mode"),
    (r"^mcp-1\.14", r"", "ask_url", "the SDK of 2025-06-18 has no URL mode"),
    (r"^mcp-1\.[69]\.", r"", "elicitation", "elicitation came with 2025-06-18"),
    (r"^mcp-1\.[69]\.", r"", "two rounds", "elicitation came with 2025-06-18"),
    (r"^mcp-1\.[69]\.", r"", "ask_url", "elicitation came with 2025-06-18"),
    (r"^mcp-1\.6", r"", "progress", "its calls cannot ask for progress"),
    (r"^mcp-1\.6", r"", "cancellation", "its calls cannot ask for progress, by which this begins"),
    (r"^mcp-1\.(9|14)", r"", "cancellation", "a call that is abandoned in that SDK tells the server nothing"),
    (r"", r"^(fast|old|nest$)", "subscription", "these servers do not offer subscriptions"),
    (r"", r"^(fastask|fastaskio|nest)$", "list_changed", "fastmcp tells nobody in the modern era, it serves no streams"),
]
# And what the router does not do between them.
WITHHELD = [
    (
        r"/(modern|auto)$", r"(io|sse)$", "logging",
        "no message on a shared connection says which request it belongs to, and modern clients get their own alone",
    ),
]  # fmt: skip


def cannot(client, backend, feature, routed):
    """Why this pair of peers cannot do this, or None."""
    for who, whom, what, why in [*CANNOT, *(WITHHELD if routed else [])]:
        if what == feature and re.search(who, client) and re.search(whom, backend):
            return why
    return None


def _logged(words):
    def judge(answer, version):
        found = [log["msg"] if isinstance(log, dict) else log for log in result(answer)["logs"]]
        assert words in found, f"logged {found!r}"

    return judge


def _cancelled(answer, version):
    same(result(answer), {"cancelled": True})


def _updated(names):
    def judge(answer, version):
        found = result(answer)["updates"]
        assert names.uri(RESOURCE) in found, f"updates of {found!r}"

    return judge


def _grown(name):
    def judge(answer, version):
        same(result(answer), {"grown": name})

    return judge


def _done(answer, version):
    result(answer)


def features(names, key):
    """The checks of each feature; `key` keeps clients apart that ask the same server."""
    new = "grown_" + re.sub(r"\W", "_", key)
    grow = {"name": names.item("grow"), "arguments": {"name": new}, "wanted": names.item(new)}
    wait = {"method": "tools/call", "params": {"name": names.item("wait"), "arguments": {"key": key}}}
    level = {"method": "logging/setLevel", "params": {"level": "info"}}
    subscribe = {"method": "subscribe", "params": {"uri": names.uri(RESOURCE)}}
    heard = {"method": "updates", "params": {"wanted": names.uri(RESOURCE)}}
    return {
        "elicitation": [call(names, "ask_form", {"question": "blue"}, says("accept:blue!"))],
        "two rounds": [call(names, "ask_twice", {}, says("accept:one!,accept:two!"))],
        "ask_url": [call(names, "ask_url", {}, says("accept"))],
        "sampling": [call(names, "sample", {"words": "héllo"}, says("model says héllo"))],
        "roots": [call(names, "roots", {}, says("file:///interop/root"))],
        "progress": [call(names, "count", {"to": 3}, says("counted to 3"), progress=[1, 2, 3])],
        "cancellation": [
            Check("cancel wait", {**wait, "abandon": True}, _cancelled),
            call(names, "was_cancelled", {"key": key}, says("yes")),
        ],
        "logging": [
            Check("set the level", level, lambda answer, version: None),
            call(names, "tell", {"words": f"I am {key}"}, says("told")),
            Check("what was logged", {"method": "logs", "params": {"wanted": f"I am {key}"}}, _logged(f"I am {key}")),
        ],
        "list_changed": [
            Check("listen", {"method": "listen"}, _done),
            Check("grow a tool, and hear of it", {"method": "grow", "params": grow}, _grown(names.item(new))),
            call(names, new, {}, says(f"{new} is new")),
        ],
        "subscription": [
            Check("subscribe", subscribe, _done),
            call(names, "touch", {}, says("touched")),
            Check("what changed", heard, _updated(names)),
        ],
    }


def _python(release, library, kind, eras):
    def build(fleet, name):
        command = [install.python(release), script("asking_kit.py"), library, kind]
        if kind == "stdio":
            return Backend(name, Kit(None), eras, command=command)
        base, endpoint = fleet.serve(name, command, "/sse" if kind == "sse" else "/mcp")
        return Backend(name, Kit(None), eras, base, endpoint, "sse" if kind == "sse" else "http")

    return build


def _node(file, kind, eras):
    def build(fleet, name):
        home, node = install.node()
        command = [node, str(home / file), kind]
        if kind == "stdio":
            return Backend(name, Kit(None), eras, command=command)
        base, endpoint = fleet.serve(name, command)
        return Backend(name, Kit(None), eras, base, endpoint, "http")

    return build


def _rmcp(kind):
    def build(fleet, name):
        command = [rmcp(fleet), kind, "asking"]
        if kind == "stdio":
            return Backend(name, Kit(None), BOTH, command=command)
        base, endpoint = fleet.serve(name, command)
        return Backend(name, Kit(None), BOTH, base, endpoint, "http")

    return build


BOTH, LEGACY = ("legacy", "modern", "auto"), ("legacy",)

INSIDE = "deep"


def _nested(inner):
    """A router with one asking server behind it: what it offers has both names."""

    def build(fleet, name):
        behind = PEERS[inner](fleet, inner)
        config = fleet.work / f"{name}.yaml"
        entry = {**behind.entry(fleet.taps), "name": INSIDE, "namespace": INSIDE}
        config.write_text(json.dumps({"backends": [entry]}))
        command = [str(fleet.binaries / "mcp-router-http"), "--config", str(config), "--port", "0"]
        router = Server(name, [*command, "--host", "127.0.0.1", "--log-format", "json"], log=fleet.work / f"{name}.log")
        fleet.servers.append(router)
        url = fleet.taps.http(f"inside {name}", TO_CLIENTS, f"http://{router.wait_for(bound)}/mcp")
        return Backend(name, Kit(None), BOTH, url, url, "http", inside=INSIDE)

    return build


# Where a server speaks both eras, the router speaks the modern one to it.
PEERS = {
    "ask": _python("current", "mcp", "http", BOTH),
    "askio": _python("current", "mcp", "stdio", BOTH),
    "fastask": _python("current", "fastmcp", "http", BOTH),
    "fastaskio": _python("current", "fastmcp", "stdio", BOTH),
    "fastasksse": _python("current", "fastmcp", "sse", LEGACY),
    "tsask": _node("asking_ts.mjs", "http", ("modern", "auto")),
    "tsaskio": _node("asking_ts.mjs", "stdio", BOTH),
    "sdkask": _node("asking_sdk.mjs", "http", LEGACY),
    "sdkaskio": _node("asking_sdk.mjs", "stdio", LEGACY),
    "rmcpask": _rmcp("http"),
    "rmcpaskio": _rmcp("stdio"),
    "oldask": _python("mcp-1.14.1", "old", "http", LEGACY),
    "oldaskio": _python("mcp-1.14.1", "old", "stdio", LEGACY),
    "nest": _nested("fastask"),
    "nestlegacy": _nested("sdkask"),
}

CLIENTS = r"^(mcp-|fastmcp|ts-2\.4|ts-1\.32|rmcp)"
