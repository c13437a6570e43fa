"""The suite's common kit on old releases of the Python SDK, as servers of their time wrote it.

    old_mcp_kit.py stdio | http | sse

Runs in the virtual environment of the release: 1.6.0 (2024-11-05), 1.9.4 (2025-03-26) or 1.14.1
(2025-06-18). The HTTP transports take a free port and print their base URL on stdout.
"""

import asyncio
import socket
import sys

import mcp.types as types
from mcp.server.fastmcp import Context, FastMCP

kit = FastMCP("old-kit")


@kit.tool()
def echo(message: str) -> str:
    """Returns the message."""
    return message


@kit.tool()
def add(a: int, b: int) -> int:
    """Adds two integers."""
    return a + b


@kit.tool()
def fail(reason: str) -> str:
    """Fails with the reason."""
    raise ValueError(reason)


@kit.tool()
async def count(to: int, ctx: Context) -> str:
    """Counts, reporting progress."""
    for step in range(1, to + 1):
        await ctx.report_progress(step, to)
        await asyncio.sleep(0.05)
    # Progress goes by the session's stream of its own, the answer by that of the call, and clients
    # forget who waits for progress the moment the answer arrives: on a busy machine it may overtake.
    await asyncio.sleep(0.25)
    return f"counted to {to}"


@kit.prompt()
def greet(name: str) -> str:
    """Greets somebody."""
    return f"Hello, {name}!"


@kit.resource("config://server", name="config")
def config() -> str:
    return "kit configuration"


@kit.resource("urn:demo:readme", name="readme")
def readme() -> str:
    return "read me"


@kit.resource("note://item/{id}", name="note")
def note(id: str) -> str:
    return f"note {id}"


@kit._mcp_server.completion()
async def complete(ref, argument, *context):
    names = [name for name in ("ada", "alan", "grace") if name.startswith(argument.value)]
    return types.Completion(values=names)


def outlive_sessions(server):
    """In 1.9.4 the end of one session can raise in its task and take all the others along."""
    run = server.run

    async def guarded(*arguments, **options):
        try:
            await run(*arguments, **options)
        except Exception as error:
            print(f"a session ended in its own way: {error!r}", file=sys.stderr, flush=True)

    server.run = guarded


async def serve(server, listener):
    manager = getattr(kit, "_session_manager", None)
    outlive_sessions(kit._mcp_server)
    if manager is None:
        await server.serve(sockets=[listener])
    else:
        # Newer Starlettes than the release knew do not start it with the application.
        async with manager.run():
            await server.serve(sockets=[listener])


def serve_http(app):
    """Binds before saying so: whoever reads the URL may connect at once."""
    import uvicorn

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    print(f"listening on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    asyncio.run(serve(server, listener))


if sys.argv[1] == "stdio":
    kit.run("stdio")
else:
    serve_http(kit.sse_app() if sys.argv[1] == "sse" else kit.streamable_http_app())
