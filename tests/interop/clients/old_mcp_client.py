"""Old releases of the Python SDK, peers that still speak the revisions of their time.

One script for all of them: `mcp` 1.6.0 (2024-11-05, knows no streamable HTTP), 1.9.4 (2025-03-26) and
1.14.1 (2025-06-18). It runs in the virtual environment of the release to be tested.
"""

from contextlib import asynccontextmanager

import mcp.types as types
from mcp import ClientSession, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client
from pydantic import AnyUrl

from answers import Person, abandon
from job import all_pages, dump, main, run_ops


@asynccontextmanager
async def streams(job):
    if "command" in job:
        command = job["command"]
        async with stdio_client(StdioServerParameters(command=command[0], args=command[1:])) as (read, write):
            yield read, write
    elif job["transport"] == "sse":
        async with sse_client(job["url"]) as (read, write):
            yield read, write
    else:
        from mcp.client.streamable_http import streamablehttp_client

        async with streamablehttp_client(job["url"]) as (read, write, _):
            yield read, write


def reference(ref):
    if ref["type"] == "ref/prompt":
        return types.PromptReference(**ref)
    # Renamed between the releases.
    kind = getattr(types, "ResourceTemplateReference", None) or types.ResourceReference
    return kind(**ref)


def first_page(listed):
    """The oldest release lists without a cursor and never sees a second page."""
    return lambda cursor: listed() if cursor is None else listed(cursor)


async def tool_names(session):
    listed = await all_pages("tools", first_page(session.list_tools))
    return [tool["name"] for tool in listed["tools"]]


def asker(session, person):
    async def call(op):
        params, steps = op["params"], []

        async def progressed(progress, total, message=None):
            steps.append(progress)

        if op.get("abandon"):
            return await abandon(
                lambda seen: session.call_tool(params["name"], params["arguments"], progress_callback=seen)
            )
        if not op.get("progress"):
            return {"result": dump(await session.call_tool(params["name"], params.get("arguments")))}
        result = await session.call_tool(params["name"], params.get("arguments"), progress_callback=progressed)
        return {"result": dump(result), "progress": steps}

    async def ask(op):
        method, params = op["method"], op.get("params") or {}
        if method == "tools/list":
            result = await all_pages("tools", first_page(session.list_tools))
        elif method == "prompts/list":
            result = await all_pages("prompts", first_page(session.list_prompts))
        elif method == "resources/list":
            result = await all_pages("resources", first_page(session.list_resources))
        elif method == "resources/templates/list":
            result = await all_pages("resourceTemplates", first_page(session.list_resource_templates))
        elif method == "tools/call":
            return await call(op)
        elif method == "prompts/get":
            result = dump(await session.get_prompt(params["name"], params.get("arguments")))
        elif method == "resources/read":
            result = dump(await session.read_resource(params["uri"]))
        elif method == "completion/complete":
            result = dump(await session.complete(reference(params["ref"]), params["argument"]))
        elif method == "subscribe":
            result = dump(await session.subscribe_resource(AnyUrl(params["uri"])))
        elif method == "updates":
            result = await person.heard(params["wanted"])
        elif method == "listen":
            result = {}
        elif method == "grow":
            return await person.grown(
                lambda: session.call_tool(params["name"], params["arguments"]),
                lambda: tool_names(session),
                params["wanted"],
            )
        elif method == "logs":
            return await person.told(params["wanted"])
        elif method == "logging/setLevel":
            result = dump(await session.set_logging_level(params["level"]))
        else:
            raise ValueError(f"this client does not know {method}")
        return {"result": result}

    return ask


async def run(job):
    person, callbacks = Person(types), {}
    if job.get("answers"):
        callbacks = {
            "sampling_callback": person.sample,
            "list_roots_callback": person.roots,
            "logging_callback": person.log,
            "message_handler": person.hear,
        }
        # Came with 2025-06-18.
        if hasattr(types, "ElicitResult"):
            callbacks["elicitation_callback"] = person.elicit
    async with streams(job) as (read, write), ClientSession(read, write, **callbacks) as session:
        hello = await session.initialize()
        results = await run_ops(job["ops"], asker(session, person))
        connect = {
            "protocolVersion": hello.protocolVersion,
            "capabilities": dump(hello.capabilities),
            "server": hello.serverInfo.name,
        }
        return {"connect": connect, "results": results}


main(run)
