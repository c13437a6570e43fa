"""What each server offers: the checks that every client makes of it."""

import json
from dataclasses import dataclass
from typing import Callable

from .checks import (
    Check, at_once, call, complete, exactly, fails, prompt, prompts, read, refused, resources, result,
    same, says, starts, structured, templates, texts, tools,
)  # fmt: skip

MANAGEMENT = {"list_backends", "get_backend_health", "get_routing_info", "reload_backends_config"}


@dataclass
class Kit:
    checks: Callable  # Names -> list of Check

    def __call__(self, names):
        return self.checks(names)


def common(wraps):
    """The kit that our own servers offer on every SDK; some wrap bare results as structured output."""
    def checks(names):
        adds = structured(names, {"result": 5}, "5") if wraps else says("5")
        return [
            tools(names, ["echo", "add", "fail", "count"]),
            call(names, "echo", {"message": "héllo ∀ 🦀"}, says("héllo ∀ 🦀"), brief=True),
            call(names, "add", {"a": 2, "b": 3}, adds),
            call(names, "fail", {"reason": "out of paper"}, fails("out of paper")),
            call(names, "count", {"to": 3}, says("counted to 3"), progress=[1, 2, 3]),
            at_once(names, "echo", 16, "message", str),
            prompts(names, ["greet"]),
            prompt(names, "greet", {"name": "Ada"}, "Hello, Ada!", brief=True),
            resources(names, ["config://server", "urn:demo:readme"]),
            templates(names, ["note://item/{id}"]),
            read(names, "config://server", exactly("kit configuration"), brief=True),
            read(names, "urn:demo:readme", exactly("read me")),
            read(names, "note://item/7", exactly("note 7")),
            complete({"type": "ref/prompt", "name": names.item("greet")}, "name", "a", ["ada", "alan"]),
            complete({"type": "ref/resource", "uri": names.uri("note://item/{id}")}, "id", "g", ["grace"]),
        ]

    return Kit(checks)


EVERYTHING = [
    "echo", "get-annotated-message", "get-env", "get-resource-links", "get-resource-reference",
    "get-structured-content", "get-sum", "get-tiny-image", "gzip-file-as-resource",
    "toggle-simulated-logging", "toggle-subscriber-updates", "trigger-long-running-operation",
]  # fmt: skip
# Offered only to clients that declare roots, sampling, elicitation or tasks.
EVERYTHING_MAY = [
    "get-roots-list", "trigger-elicitation-request", "trigger-url-elicitation", "trigger-sampling-request",
    "trigger-sampling-request-async", "trigger-elicitation-request-async", "simulate-research-query",
]  # fmt: skip
DOCUMENTS = ["architecture", "extension", "features", "how-it-works", "instructions", "startup", "structure"]


def _links(names):
    base = "demo://resource/dynamic"
    expected = [names.uri(f"{base}/blob/1"), names.uri(f"{base}/text/2")]

    def judge(answer, version):
        if version < "2025-06-18" and not names.namespace:
            return  # The server sends links to clients that do not know them, and they choke.
        content = result(answer)["content"]
        if version < "2025-06-18":
            # No links in those revisions: the router turns them into text.
            joined = " ".join(texts(answer))
            assert all(uri in joined for uri in expected), f"links missing in {joined!r}"
        else:
            same([c["uri"] for c in content if c["type"] == "resource_link"], expected, "links")

    return judge


def _embedded(names):
    def judge(answer, version):
        found = [c["resource"]["uri"] for c in result(answer)["content"] if c["type"] == "resource"]
        same(found, [names.uri("demo://resource/dynamic/text/1")], "embedded resource")

    return judge


def _image(answer, version):
    found = [c["mimeType"] for c in result(answer)["content"] if c["type"] == "image"]
    same(found, ["image/png"], "image")


def everything():
    """`@modelcontextprotocol/server-everything`, as far as it asks nothing back."""

    def checks(names):
        weather = {"temperature": 36, "conditions": "Light rain / drizzle", "humidity": 82}
        long = {"duration": 0.1, "steps": 2}
        done = "Long running operation completed. Duration: 0.1 seconds, Steps: 2."
        return [
            tools(names, EVERYTHING, EVERYTHING_MAY),
            call(names, "echo", {"message": "hi"}, says("Echo: hi"), brief=True),
            call(names, "get-sum", {"a": 2, "b": 3}, says("The sum of 2 and 3 is 5.")),
            call(names, "get-structured-content", {"location": "Chicago"}, structured(names, weather)),
            # It answers in the same breath as its last progress, which some clients then drop.
            call(names, "trigger-long-running-operation", long, says(done), progress=[1, 2], sloppy=True),
            call(names, "get-tiny-image", {}, _image),
            call(names, "get-resource-links", {"count": 2}, _links(names)),
            call(names, "get-resource-reference", {"resourceType": "Text", "resourceId": 1}, _embedded(names)),
            call(names, "get-sum", {"a": "two"}, fails("get-sum"), label="call get-sum with bad arguments"),
            at_once(names, "echo", 16, "message", lambda m: f"Echo: {m}"),
            prompts(names, ["simple-prompt", "args-prompt", "completable-prompt", "resource-prompt"]),
            prompt(names, "args-prompt", {"city": "Oslo"}, "What's weather in Oslo?", brief=True),
            resources(names, [f"demo://resource/static/document/{d}.md" for d in DOCUMENTS]),
            templates(names, [f"demo://resource/dynamic/{kind}/{{resourceId}}" for kind in ("text", "blob")]),
            read(names, "demo://resource/dynamic/text/1", starts("Resource 1: This is a plaintext"), brief=True),
            read(names, "demo://resource/static/document/features.md", starts("#")),
            complete(
                {"type": "ref/prompt", "name": names.item("completable-prompt")}, "department", "E", ["Engineering"]
            ),
        ]

    return Kit(checks)


FILESYSTEM = [
    "read_file", "read_text_file", "read_media_file", "read_multiple_files", "write_file", "edit_file",
    "create_directory", "list_directory", "list_directory_with_sizes", "directory_tree", "move_file",
    "search_files", "get_file_info", "list_allowed_directories",
]  # fmt: skip


def filesystem(folder):
    """`@modelcontextprotocol/server-filesystem` on a folder with one file."""

    def checks(names):
        hello = str(folder / "hello.txt")
        return [
            tools(names, FILESYSTEM),
            call(names, "read_text_file", {"path": hello}, says("hello from a file\n"), brief=True),
            call(names, "list_directory", {"path": str(folder)}, says("[FILE] hello.txt")),
            call(names, "read_text_file", {"path": "/etc/passwd"}, fails("outside"), label="read outside the folder"),
        ]

    return Kit(checks)


def _ordered(namespaces):
    def judge(answer, version):
        found = [tool["name"] for tool in result(answer)["tools"]]
        ours = [name for name in found if name in MANAGEMENT]
        assert {"list_backends", "get_backend_health"} <= set(ours), f"management tools missing: {ours}"
        theirs = found[: len(found) - len(ours)]
        same(theirs, sorted(theirs, key=str.encode), "order")
        strange = [name for name in theirs if name.split(".")[0] not in namespaces]
        assert not strange, f"tools of nobody: {strange}"

    return judge


def _healthy(namespaces):
    def judge(answer, version):
        backends = json.loads(texts(answer)[0])
        same([b["name"] for b in backends], namespaces, "list_backends")
        sick = [b["name"] for b in backends if not b["healthy"] or b["circuit_state"] != "CLOSED"]
        assert not sick, f"not healthy: {sick}"

    return judge


def _no_resource(answer, version):
    if version < "2026" and answer.get("error", {}).get("kind") == "ResourceNotFoundError":
        return  # The new TypeScript client makes one class, with the modern code, of both codes.
    refused(-32602 if version >= "2026" else -32002)(answer, version)


def router(namespaces):
    """What the router answers itself."""

    def checks(names):
        missing = {"name": "nobody.nothing", "arguments": {}}
        return [
            Check("tools/list is ordered", {"method": "tools/list"}, _ordered(namespaces), brief=True),
            Check(
                "list_backends",
                {"method": "tools/call", "params": {"name": "list_backends", "arguments": {}}},
                _healthy(namespaces),
                brief=True,
            ),
            Check("an unknown tool", {"method": "tools/call", "params": missing}, refused(-32602)),
            Check("an unknown prompt", {"method": "prompts/get", "params": {"name": "no.where"}}, refused(-32602)),
            Check("no such resource", {"method": "resources/read", "params": {"uri": "no://where"}}, _no_resource),
        ]

    return Kit(checks)
