// The real router, and a client that calls through it.

import { spawn } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

export class Router {
  /** Starts it on a free port and waits until it listens. */
  static async start(binaries, config) {
    const folder = mkdtempSync(join(tmpdir(), "mcp-router-ui-"));
    const file = join(folder, "backends.yaml");
    writeFileSync(file, config);
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("MCP_")));
    const args = ["--config", file, "--port", "0", "--log-format", "json"];
    const child = spawn(join(binaries, "mcp-router-http"), args, { env, stdio: ["ignore", "ignore", "pipe"] });
    const router = new Router();
    Object.assign(router, { child, file, log: [], ids: 0 });
    const lines = createInterface({ input: child.stderr });
    router.url = await new Promise((resolve, reject) => {
      child.once("exit", (code) => reject(new Error(`the router ended with ${code}:\n${router.log.join("\n")}`)));
      lines.on("line", (line) => {
        router.log.push(line);
        const said = line.startsWith("{") ? JSON.parse(line) : {};
        if (said.message === "listening" || said.fields?.message === "listening") {
          resolve(`http://${said.addr ?? said.fields.addr}`);
        }
      });
    });
    return router;
  }

  rewrite(config) {
    writeFileSync(this.file, config);
    this.child.kill("SIGHUP");
  }

  /** Calls a tool as a client of the stateless revision; the answer's message. */
  async call(name, args = {}) {
    const version = "2026-07-28";
    const params = {
      name,
      arguments: args,
      _meta: {
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientInfo": { name: "night-shift-agent", version: "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
      },
    };
    const answer = await fetch(`${this.url}/mcp`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
        "mcp-protocol-version": version,
        "mcp-method": "tools/call",
        "mcp-name": name,
      },
      body: JSON.stringify({ jsonrpc: "2.0", id: ++this.ids, method: "tools/call", params }),
    });
    return answer.text();
  }

  async stop() {
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.kill("SIGTERM");
    await ended;
  }
}
