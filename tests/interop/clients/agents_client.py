"""The MCP client of the OpenAI Agents SDK, over HTTP and stdio. No model and no key is involved."""

from agents.mcp import MCPServerStdio, MCPServerStreamableHttp

from job import dump, main, run_ops


def server(job):
    if "url" in job:
        return MCPServerStreamableHttp({"url": job["url"], "timeout": 30})
    command = job["command"]
    return MCPServerStdio({"command": command[0], "args": command[1:]}, client_session_timeout_seconds=60)


def asker(peer):
    async def ask(op):
        method, params = op["method"], op.get("params") or {}
        if method == "tools/list":
            return {"result": {"tools": [dump(tool) for tool in await peer.list_tools()]}}
        if method == "tools/call":
            result = await peer.call_tool(params["name"], params.get("arguments"))
        elif method == "prompts/list":
            result = await peer.list_prompts()
        elif method == "prompts/get":
            result = await peer.get_prompt(params["name"], params.get("arguments"))
        elif method == "resources/read":
            result = await peer.read_resource(params["uri"])
        else:
            raise ValueError(f"this client does not know {method}")
        return {"result": dump(result)}

    return ask


async def run(job):
    async with server(job) as peer:
        results = await run_ops(job["ops"], asker(peer))
        connect = {"protocolVersion": peer.session.protocol_version, "capabilities": {}, "server": None}
        return {"connect": connect, "results": results}


main(run)
