#!/usr/bin/env python3
"""The client that the conformance suite tests: the router, told what to do by a script on its stdin.

The suite starts a server for each scenario and runs `client.py --router PROGRAM URL`. This starts the
router over stdio with that server as its only backend, lists everything, and uses everything once. What
the suite then sees on the wire is the router's. The host's part, which is no part of a router, is done
here: answering what the server asks.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, Queue

MODERN = "2026-07-28"
ANSWER_SECONDS = 20
CAPABILITIES = {"sampling": {}, "elicitation": {"form": {}}, "roots": {"listChanged": True}}
INFO = {"name": "conformance-host", "version": "1.0.0"}
META = "io.modelcontextprotocol/"


def answer(method, params):
    """What a host answers to a request of a server, the user accepting whatever the form proposes."""
    if method == "elicitation/create":
        fields = params.get("requestedSchema", {}).get("properties", {})
        return {"action": "accept", "content": {name: value(schema) for name, schema in fields.items()}}
    if method == "sampling/createMessage":
        content = {"type": "text", "text": "An answer"}
        return {"role": "assistant", "content": content, "model": "none", "stopReason": "endTurn"}
    if method == "roots/list":
        return {"roots": [{"uri": "file:///conformance", "name": "conformance"}]}
    return None


def value(schema):
    """A value that the schema allows, its default if it has one."""
    if "default" in schema:
        return schema["default"]
    if schema.get("enum"):
        return schema["enum"][0]
    kinds = {"string": "text", "number": 1.5, "integer": 3, "boolean": True, "array": [], "object": {}}
    return kinds.get(schema.get("type"), "text")


class Router:
    """The router over stdio, spoken to in one era."""

    def __init__(self, program, config, version):
        self.version, self.modern = version, version == MODERN
        command = [*program, "--config", str(config), "--log-format", "text"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.answers, self.last = Queue(), 0
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            message = json.loads(line)
            if "method" not in message:
                self.answers.put(message)
            elif "id" in message:
                result = answer(message["method"], message.get("params", {}))
                error = {"code": -32601, "message": "Method not found"}
                said = {"error": error} if result is None else {"result": result}
                self._write({"jsonrpc": "2.0", "id": message["id"], **said})

    def _write(self, message):
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def notify(self, method):
        self._write({"jsonrpc": "2.0", "method": method})

    def ask(self, method, params=None):
        """The result of a request; none if it is an error, which is told on stderr."""
        self.last += 1
        params = dict(params or {})
        if self.modern:
            params["_meta"] = {
                META + "protocolVersion": self.version,
                META + "clientCapabilities": CAPABILITIES,
                META + "clientInfo": INFO,
            }
        self._write({"jsonrpc": "2.0", "id": self.last, "method": method, "params": params})
        try:
            message = self.answers.get(timeout=ANSWER_SECONDS)
        except Empty:
            raise SystemExit(f"no answer to {method} within {ANSWER_SECONDS} s") from None
        if "error" in message:
            print(f"{method} {params.get('name', '')}: {message['error']}", file=sys.stderr)
        return message.get("result")

    def open(self):
        if self.modern:
            self.ask("server/discover")
            return
        params = {"protocolVersion": self.version, "capabilities": CAPABILITIES, "clientInfo": INFO}
        self.ask("initialize", params)
        self.notify("notifications/initialized")

    def close(self):
        self.process.stdin.close()
        return self.process.wait(timeout=ANSWER_SECONDS)


def arguments_of(tool, tools):
    """What to call a tool with: the suite wants one tool given the schema that another is listed with."""
    if tool["name"] == "json_schema_echo":
        return {"schema": next(t["inputSchema"] for t in tools if t["name"] == "json_schema_2020_12_tool")}
    if tool["name"] == "add_numbers":
        return {"a": 5, "b": 3}
    fields = tool["inputSchema"].get("properties", {})
    return {name: value(schema) for name, schema in fields.items()}


def calls(router):
    """The calls that the suite prescribes, else one of each tool."""
    tools = (router.ask("tools/list") or {}).get("tools", [])
    given = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT", "{}")).get("toolCalls")
    if given:
        return given
    managed = {"list_backends", "get_backend_health", "get_routing_info", "reload_backends_config"}
    tools = [tool for tool in tools if tool["name"] not in managed]
    return [{"name": tool["name"], "arguments": arguments_of(tool, tools)} for tool in tools]


def use_everything(router):
    waiting = []
    # Calls that need input are finished after all the others: no answer may leak into another call.
    for call in calls(router):
        result = router.ask("tools/call", call) or {}
        if result.get("resultType") == "input_required":
            waiting.append((call, result))
    for call, result in waiting:
        while result.get("resultType") == "input_required":
            requests = result.get("inputRequests", {})
            given = {k: answer(r["method"], r.get("params", {})) for k, r in requests.items()}
            state = {"requestState": result["requestState"]} if "requestState" in result else {}
            result = router.ask("tools/call", {**call, "inputResponses": given, **state}) or {}
    for resource in (router.ask("resources/list") or {}).get("resources", []):
        router.ask("resources/read", {"uri": resource["uri"]})
    for prompt in (router.ask("prompts/list") or {}).get("prompts", []):
        given = {argument["name"]: "text" for argument in prompt.get("arguments", [])}
        router.ask("prompts/get", {"name": prompt["name"], "arguments": given})


def tap(options, kind):
    """The start of the command line of a tap (`tests/src/tap`)."""
    router = "server" if kind == "stdio" else "client"
    return [options.tap, kind, "--folder", options.journals, "--hop", "the suite's client", "--router", router]


@contextmanager
def tapped(options):
    """Program and URL, both behind taps if there are any."""
    if not options.tap:
        yield [options.router], options.url
        return
    process = subprocess.Popen([*tap(options, "http"), options.url], stdout=subprocess.PIPE, text=True)
    try:
        url = process.stdout.readline().removeprefix("listening on ").strip()
        yield [*tap(options, "stdio"), "--", options.router], url
    finally:
        process.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--router", required=True, help="the mcp-router-stdio to test")
    parser.add_argument("--tap", help="the tap to put on both sides of it")
    parser.add_argument("--journals", help="where taps write")
    parser.add_argument("url", help="the scenario's server")
    options = parser.parse_args()
    routing = {"enable_namespace_prefixing": False}
    with tapped(options) as (program, url), tempfile.TemporaryDirectory() as folder:
        backend = {"name": "suite", "namespace": "suite", "url": url}
        config = Path(folder) / "backends.yaml"
        config.write_text(json.dumps({"backends": [backend], "routing": routing}))
        version = os.environ.get("MCP_CONFORMANCE_PROTOCOL_VERSION", MODERN)
        router = Router(program, config, version)
        try:
            router.open()
            use_everything(router)
            return router.close()
        finally:
            router.process.kill()


if __name__ == "__main__":
    sys.exit(main())
