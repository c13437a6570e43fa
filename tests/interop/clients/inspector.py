"""The MCP Inspector's command line, one process for each request.

    inspector.py NODE INSPECTOR    (job on stdin, report on stdout)
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

SECONDS = 90
node, inspector = sys.argv[1:3]


def target(job, folder):
    """A server over stdio comes from a file of the kind that desktop hosts have."""
    if "url" in job:
        return ["--transport", job["transport"], "--server-url", job["url"]]
    file = Path(folder) / "mcp.json"
    server = {"command": job["command"][0], "args": job["command"][1:]}
    file.write_text(json.dumps({"mcpServers": {"router": server}}))
    return ["--config", str(file), "--server", "router"]


def arguments(op):
    params = op.get("params") or {}
    yield from ("--method", op["method"])
    if op["method"] == "tools/call":
        yield from ("--tool-name", params["name"])
        pairs = [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in params["arguments"].items()]
        if pairs:
            yield from ("--tool-arg", *pairs)
    elif op["method"] == "prompts/get":
        yield from ("--prompt-name", params["name"], "--prompt-args")
        yield from (f"{key}={value}" for key, value in params["arguments"].items())
    elif op["method"] == "resources/read":
        yield from ("--uri", params["uri"])


def ask(job, server, op):
    command = [node, inspector, "--cli", *server, "--protocol-era", job["era"], *arguments(op)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS)
    try:
        return {"result": json.loads(done.stdout)}
    except ValueError:
        said = (done.stderr or done.stdout).strip()[-400:]
        return {"error": {"code": 0, "message": f"exit code {done.returncode}: {said}"}}


job = json.load(sys.stdin)
with tempfile.TemporaryDirectory() as folder:
    server = target(job, folder)
    results = [ask(job, server, op) for op in job["ops"]]
# It does not say what it negotiated; the era was its own command line.
version = "2025-11-25" if job["era"] == "legacy" else "2026-07-28"
print(json.dumps({"connect": {"protocolVersion": version}, "results": results}))
