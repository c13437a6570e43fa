"""The current Python SDK (`mcp` 2.x), both eras, over HTTP and stdio."""

import mcp_types
from mcp import Client, StdioServerParameters
from mcp_types import PromptReference, ResourceTemplateReference

from answers import Person, abandon
from job import all_pages, dump, main, run_ops

MODES = {"legacy": "legacy", "modern": "2026-07-28", "auto": "auto"}


def reference(ref):
    kind = PromptReference if ref["type"] == "ref/prompt" else ResourceTemplateReference
    return kind(**ref)


async def subscribe(client, person, uri):
    """Legacy: subscribes. Modern: listens, until the client closes."""
    if client.protocol_version < "2026":
        await client.subscribe_resource(uri)
        return {}
    return await person.listen(client.listen(resource_subscriptions=[uri]))


async def listen(client, person):
    """Legacy clients are told without asking."""
    if client.protocol_version < "2026":
        return {}
    return await person.listen(client.listen(tools_list_changed=True))


async def tool_names(client):
    listed = await all_pages("tools", lambda c: client.list_tools(cursor=c))
    return [tool["name"] for tool in listed["tools"]]


def asker(client, person):
    async def call(op):
        params, steps = op["params"], []
        if op.get("abandon"):
            return await abandon(
                lambda seen: client.call_tool(params["name"], params["arguments"], progress_callback=seen)
            )

        async def progressed(progress, total, message):
            steps.append(progress)

        callback = progressed if op.get("progress") else None
        result = await client.call_tool(params["name"], params.get("arguments"), progress_callback=callback)
        answer = {"result": dump(result)}
        return {**answer, "progress": steps} if callback else answer

    async def ask(op):
        method, params = op["method"], op.get("params") or {}
        if method == "tools/list":
            result = await all_pages("tools", lambda c: client.list_tools(cursor=c))
        elif method == "prompts/list":
            result = await all_pages("prompts", lambda c: client.list_prompts(cursor=c))
        elif method == "resources/list":
            result = await all_pages("resources", lambda c: client.list_resources(cursor=c))
        elif method == "resources/templates/list":
            result = await all_pages("resourceTemplates", lambda c: client.list_resource_templates(cursor=c))
        elif method == "tools/call":
            return await call(op)
        elif method == "prompts/get":
            result = dump(await client.get_prompt(params["name"], params.get("arguments")))
        elif method == "resources/read":
            result = dump(await client.read_resource(params["uri"]))
        elif method == "completion/complete":
            result = dump(await client.complete(reference(params["ref"]), params["argument"]))
        elif method == "subscribe":
            result = await subscribe(client, person, params["uri"])
        elif method == "updates":
            result = await person.heard(params["wanted"])
        elif method == "listen":
            result = await listen(client, person)
        elif method == "grow":
            return await person.grown(
                lambda: client.call_tool(params["name"], params["arguments"]),
                lambda: tool_names(client),
                params["wanted"],
            )
        elif method == "logs":
            return await person.told(params["wanted"])
        elif method == "logging/setLevel":
            # Modern requests say the level themselves.
            if client.protocol_version < "2026":
                await client.set_logging_level(params["level"])
            result = {}
        else:
            raise ValueError(f"this client does not know {method}")
        return {"result": result}

    return ask


async def run(job):
    if "url" in job:
        target = job["url"]
    else:
        command = job["command"]
        target = StdioServerParameters(command=command[0], args=command[1:])
    person, callbacks = Person(mcp_types), {}
    if job.get("answers"):
        callbacks = {
            "elicitation_callback": person.elicit,
            "sampling_callback": person.sample,
            "list_roots_callback": person.roots,
            "logging_callback": person.log,
            "message_handler": person.hear,
            "log_level": "info",
        }
    async with Client(target, mode=MODES[job["era"]], **callbacks) as client:
        results = await run_ops(job["ops"], asker(client, person))
        person.stop()
        connect = {
            "protocolVersion": client.protocol_version,
            "capabilities": dump(client.server_capabilities),
            "server": client.server_info.name if client.server_info else None,
        }
        return {"connect": connect, "results": results}


main(run)
