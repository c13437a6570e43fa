"""What every Python client of the suite shares: the job on stdin, the report on stdout.

A job says where to connect (`url` or `command`), how (`transport`, `era`) and which MCP requests to
make. The report holds what was negotiated and one answer for each request, in order, as the JSON that
the client's own types turn into. The driver judges; clients only ask.
"""

import asyncio
import json
import sys

MAX_PAGES = 50


def dump(value):
    """A result of the client library as plain JSON, with the names of the wire."""
    return value.model_dump(mode="json", by_alias=True, exclude_none=True)


def error_of(exception):
    """The JSON-RPC error inside whatever the library raised, or the exception's own words."""
    data = getattr(exception, "error", None)
    code = getattr(data, "code", None)
    if code is None:
        return {"error": {"code": 0, "message": f"{type(exception).__name__}: {exception}"}}
    return {"error": {"code": code, "message": data.message, "data": getattr(data, "data", None)}}


async def all_pages(key, page):
    """Walks a paginated list to its end; a cursor that repeats is an error of the server."""
    items, cursor, seen = [], None, set()
    for _ in range(MAX_PAGES):
        result = dump(await page(cursor))
        items += result[key]
        cursor = result.get("nextCursor")
        if cursor is None:
            return {key: items}
        if cursor in seen:
            raise RuntimeError("a cursor came twice")
        seen.add(cursor)
    raise RuntimeError("the list does not end")


async def run_ops(ops, ask):
    """Asks one after the other, or at once what stands under `parallel`."""

    async def one(op):
        try:
            return await ask(op)
        except Exception as exception:  # whatever the library raises is the answer
            return error_of(exception)

    results = []
    for op in ops:
        if "parallel" in op:
            results.append(await asyncio.gather(*(one(each) for each in op["parallel"])))
        else:
            results.append(await one(op))
    return results


def main(run):
    """Reads the job, runs it, prints the report. A connection that fails is the exit code."""
    job = json.load(sys.stdin)
    report = asyncio.run(run(job))
    print(json.dumps(report), flush=True)
