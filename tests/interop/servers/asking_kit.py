"""Tools that need their client, on the current Python peers and on an old release of the SDK.

    asking_kit.py mcp|fastmcp|old stdio|http|sse

`mcp` is the SDK's own server, `fastmcp` the other project's, `old` the SDK of the virtual environment it
runs in. In the modern era a tool answers with what it wants to know and is called again with it; in the
legacy era it asks in the middle of the call. The HTTP transports print their base URL on stdout.
"""

import asyncio
import socket
import sys

LIBRARY, TRANSPORT = sys.argv[1], sys.argv[2]
if LIBRARY == "fastmcp":
    import mcp_types as types
    from fastmcp import Context, FastMCP

    kit = FastMCP("asking-kit")
elif LIBRARY == "mcp":
    import mcp_types as types
    from mcp.server.mcpserver import Context, MCPServer

    kit = MCPServer("asking-kit")
else:
    import mcp.types as types
    from mcp.server.fastmcp import Context, FastMCP

    kit = FastMCP("asking-kit")

RESOURCE = "news://today"
SCHEMA = {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]}
cancelled = {}


def modern(ctx):
    return LIBRARY != "old" and (ctx.session.protocol_version or "") >= "2026"


def form(question):
    if LIBRARY == "old":
        return types.ElicitRequestParams(message=question, requestedSchema=SCHEMA)
    return types.ElicitRequestFormParams(mode="form", message=question, requested_schema=SCHEMA)


def prompt(words):
    message = types.SamplingMessage(role="user", content=types.TextContent(type="text", text=words))
    return [message]


def needs(key, request, state):
    """What a modern tool returns instead of a result."""
    return types.InputRequiredResult(input_requests={key: request}, request_state=state)


def elicited(answer):
    return f"{answer.action}:{(answer.content or {}).get('answer')}"


async def ask(ctx, question):
    if LIBRARY == "old":
        return await ctx.session.elicit(question, SCHEMA, related_request_id=ctx.request_id)
    return await ctx.session.elicit_form(question, SCHEMA, related_request_id=ctx.request_id)


# Decorated without a return type: what is returned is a text or a wish.
@kit.tool()
async def ask_form(question: str, ctx: Context):
    """Elicits one answer."""
    if not modern(ctx):
        return elicited(await ask(ctx, question))
    answers = ctx.input_responses
    if not answers:
        return needs("q", types.ElicitRequest(params=form(question)), "asked")
    return elicited(answers["q"])


@kit.tool()
async def ask_twice(ctx: Context):
    """Elicits, and elicits again knowing the first answer."""
    if not modern(ctx):
        first = await ask(ctx, "one")
        return f"{elicited(first)},{elicited(await ask(ctx, 'two'))}"
    answers = ctx.input_responses
    if not answers:
        return needs("one", types.ElicitRequest(params=form("one")), "")
    if "one" in answers:
        return needs("two", types.ElicitRequest(params=form("two")), elicited(answers["one"]))
    return f"{ctx.request_state},{elicited(answers['two'])}"


if LIBRARY != "old":

    @kit.tool()
    async def ask_url(ctx: Context):
        """Sends the user to a page."""
        url = "https://example.com/consent"
        if not modern(ctx):
            answer = await ctx.session.elicit_url("go there", url, "e-1", related_request_id=ctx.request_id)
            return answer.action
        answers = ctx.input_responses
        if not answers:
            params = types.ElicitRequestURLParams(mode="url", message="go there", url=url)
            return needs("u", types.ElicitRequest(params=params), "sent")
        return answers["u"].action


@kit.tool()
async def sample(words: str, ctx: Context):
    """Asks the client's model."""
    if not modern(ctx):
        related = {"related_request_id": ctx.request_id}
        answer = await ctx.session.create_message(prompt(words), max_tokens=10, **related)
        return answer.content.text
    answers = ctx.input_responses
    if not answers:
        params = types.CreateMessageRequestParams(messages=prompt(words), max_tokens=10)
        return needs("s", types.CreateMessageRequest(params=params), "asked")
    return answers["s"].content.text


@kit.tool()
async def roots(ctx: Context):
    """Lists the client's roots."""
    if not modern(ctx):
        found = await ctx.session.list_roots()
    else:
        answers = ctx.input_responses
        if not answers:
            return needs("r", types.ListRootsRequest(), "asked")
        found = answers["r"]
    return " ".join(str(root.uri) for root in found.roots)


@kit.tool()
async def count(to: int, ctx: Context):
    """Counts, reporting progress."""
    for step in range(1, to + 1):
        await ctx.report_progress(step, to)
        await asyncio.sleep(0.05)
    return f"counted to {to}"


def noted(key):
    return cancelled.setdefault(key, asyncio.Event())


@kit.tool()
async def wait(key: str, ctx: Context):
    """Waits for good, until it is cancelled."""
    try:
        await ctx.report_progress(1, 2)
        await asyncio.sleep(60)
        return "nobody cancelled"
    except asyncio.CancelledError:
        noted(key).set()
        raise


@kit.tool()
async def was_cancelled(key: str):
    """Whether `wait` of this key was, within ten seconds."""
    try:
        await asyncio.wait_for(noted(key).wait(), 10)
    except asyncio.TimeoutError:
        return "no"
    return "yes"


@kit.tool()
async def tell(words: str, ctx: Context):
    """Logs the words."""
    await ctx.info(words)
    return "told"


@kit.tool()
async def grow(name: str, ctx: Context):
    """Adds a tool while clients are there, and says so."""

    async def grown():
        return f"{name} is new"

    if LIBRARY == "fastmcp":
        kit.tool(grown, name=name)
    else:
        kit.add_tool(grown, name=name)
    if modern(ctx) and LIBRARY == "mcp":
        await ctx.notify_tools_changed()
    else:
        await ctx.session.send_tool_list_changed()
    return "grown"


if LIBRARY == "mcp":

    @kit.resource(RESOURCE)
    def news():
        return "news"

    @kit.tool()
    async def touch(ctx: Context):
        """Says that the news have changed, to whom listens in the modern way."""
        await ctx.notify_resource_updated(RESOURCE)
        return "touched"


if LIBRARY == "old":
    from mcp.server.lowlevel import NotificationOptions

    # The kit of that release cannot be told that its tools change.
    options = kit._mcp_server.create_initialization_options
    kit._mcp_server.create_initialization_options = lambda: options(NotificationOptions(tools_changed=True))


def serve_http():
    """Binds before saying so: whoever reads the URL may connect at once."""
    import uvicorn

    if LIBRARY == "fastmcp":
        app = kit.http_app(transport="sse" if TRANSPORT == "sse" else "http")
    else:
        app = kit.sse_app() if TRANSPORT == "sse" else kit.streamable_http_app()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    print(f"listening on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    # Newer Starlettes than the old release knew do not start its sessions with the application.
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off" if LIBRARY == "old" else "on"))

    async def run():
        if LIBRARY != "old":
            return await server.serve(sockets=[listener])
        async with kit.session_manager.run():
            await server.serve(sockets=[listener])

    asyncio.run(run())


if TRANSPORT != "stdio":
    serve_http()
elif LIBRARY == "fastmcp":
    kit.run("stdio", show_banner=False)
else:
    kit.run("stdio")
