"""The suite's common kit on `fastmcp` 4, over stdio, streamable HTTP or HTTP+SSE.

    fastmcp_kit.py stdio | http | sse

The HTTP transports take a free port and print their base URL on stdout once they accept connections.
"""

import socket
import sys

import anyio
from fastmcp import Context, FastMCP
from fastmcp.exceptions import ToolError

kit = FastMCP("fastmcp-kit")


@kit.tool
def echo(message: str) -> str:
    """Returns the message."""
    return message


@kit.tool
def add(a: int, b: int) -> int:
    """Adds two integers."""
    return a + b


@kit.tool
def fail(reason: str) -> str:
    """Fails with the reason."""
    raise ToolError(reason)


@kit.tool
async def count(to: int, ctx: Context) -> str:
    """Counts, reporting progress."""
    for step in range(1, to + 1):
        await ctx.report_progress(step, to)
        # Some clients forget who waits for progress the moment the answer arrives.
        await anyio.sleep(0.05)
    return f"counted to {to}"


@kit.prompt
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


@kit.completion
async def complete(ref, argument, context):
    return [name for name in ("ada", "alan", "grace") if name.startswith(argument.value)]


def serve_http(transport):
    """Binds before saying so: whoever reads the URL may connect at once."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    print(f"listening on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)

    async def run():
        await kit.run_http_async(transport=transport, sockets=[listener], show_banner=False, log_level="warning")

    anyio.run(run)


if sys.argv[1] == "stdio":
    kit.run("stdio", show_banner=False)
else:
    serve_http("sse" if sys.argv[1] == "sse" else "http")
