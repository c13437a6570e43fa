"""The MCP Inspector's command line, one process for each request.

    inspector.py NODE INSPECTOR    (job on stdin, report on stdout)
"""

import json
import subprocess
import sys

SECONDS = 90
node, inspector = sys.argv[1:3]


def target(job):
    if "command" in job:
        return ["--transport", "stdio", *job["command"]]
    return ["--transport", job["transport"], "--server-url", job["url"]]


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


def ask(job, op):
    command = [node, inspector, "--cli", *target(job), "--protocol-era", job["era"], *arguments(op)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS)
    try:
        return {"result": json.loads(done.stdout)}
    except ValueError:
        said = (done.stderr or done.stdout).strip()[-400:]
        return {"error": {"code": 0, "message": f"exit code {done.returncode}: {said}"}}


job = json.load(sys.stdin)
results = [ask(job, op) for op in job["ops"]]
# It does not say what it negotiated; the era was its own command line.
version = "2025-11-25" if job["era"] == "legacy" else "2026-07-28"
print(json.dumps({"connect": {"protocolVersion": version}, "results": results}))
