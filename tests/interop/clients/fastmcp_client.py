"""`fastmcp.Client`, over HTTP, HTTP+SSE and stdio."""

import mcp_types
from fastmcp import Client
from fastmcp.client.transports import SSETransport, StdioTransport, StreamableHttpTransport
from mcp.client.subscriptions import listen

from answers import ROOT, Person, abandon
from job import dump, main, run_ops

MODES = {"legacy": "legacy", "modern": "2026-07-28", "auto": "auto"}


def transport(job):
    if "command" in job:
        return StdioTransport(job["command"][0], job["command"][1:])
    kind = SSETransport if job["transport"] == "sse" else StreamableHttpTransport
    return kind(job["url"])


def reference(ref):
    if ref["type"] == "ref/prompt":
        return mcp_types.PromptReference(**ref)
    return mcp_types.ResourceTemplateReference(**ref)


async def subscribe(session, person, uri):
    """Legacy: subscribes. Modern: listens, until the client closes."""
    if session.protocol_version < "2026":
        await session.subscribe_resource(uri)
        return {}
    return await person.listen(listen(session, resource_subscriptions=[uri]))


async def tool_names(client):
    return [tool.name for tool in await client.list_tools()]


def asker(client, person):
    lists = {
        "tools/list": ("tools", client.list_tools),
        "prompts/list": ("prompts", client.list_prompts),
        "resources/list": ("resources", client.list_resources),
        "resources/templates/list": ("resourceTemplates", client.list_resource_templates),
    }

    async def call(op):
        params, steps = op["params"], []
        if op.get("abandon"):
            return await abandon(
                lambda seen: client.call_tool_mcp(params["name"], params["arguments"], progress_handler=seen)
            )

        async def progressed(progress, total, message):
            steps.append(progress)

        handler = progressed if op.get("progress") else None
        result = await client.call_tool_mcp(params["name"], params.get("arguments") or {}, progress_handler=handler)
        answer = {"result": dump(result)}
        return {**answer, "progress": steps} if handler else answer

    async def ask(op):
        method, params = op["method"], op.get("params") or {}
        if method in lists:
            key, listed = lists[method]
            return {"result": {key: [dump(item) for item in await listed()]}}
        if method == "tools/call":
            return await call(op)
        if method == "subscribe":
            return {"result": await subscribe(client.session, person, params["uri"])}
        if method == "updates":
            return {"result": await person.heard(params["wanted"])}
        if method == "listen":
            modern = client.session.protocol_version >= "2026"
            return {"result": await person.listen(listen(client.session, tools_list_changed=True)) if modern else {}}
        if method == "grow":
            return await person.grown(
                lambda: client.call_tool_mcp(params["name"], params["arguments"]),
                lambda: tool_names(client),
                params["wanted"],
            )
        if method == "logs":
            return await person.told(params["wanted"])
        if method == "logging/setLevel":
            # Modern requests say the level themselves.
            if client.session.protocol_version < "2026":
                await client.set_logging_level(params["level"])
            return {"result": {}}
        if method == "prompts/get":
            result = await client.get_prompt_mcp(params["name"], params.get("arguments"))
        elif method == "resources/read":
            result = await client.read_resource_mcp(params["uri"])
        elif method == "completion/complete":
            result = await client.complete_mcp(reference(params["ref"]), params["argument"])
        else:
            raise ValueError(f"this client does not know {method}")
        return {"result": dump(result)}

    return ask


async def run(job):
    person, handlers = Person(mcp_types), {}
    if job.get("answers"):
        handlers = {
            "elicitation_handler": lambda message, kind, params, context: person.elicit(context, params),
            "sampling_handler": lambda messages, params, context: person.sample(context, params),
            "roots": [ROOT],
            "log_handler": person.log,
            "message_handler": person.hear,
        }
    async with Client(transport(job), mode=MODES[job["era"]], **handlers) as client:
        results = await run_ops(job["ops"], asker(client, person))
        person.stop()
        session = client.session
        info = session.server_info
        connect = {
            "protocolVersion": session.protocol_version,
            "capabilities": dump(session.server_capabilities),
            "server": info.name if info else None,
        }
        return {"connect": connect, "results": results}


main(run)
