// An MCP server that can be killed, brought back on its port, slowed down and told what to offer.

import { createServer } from "node:http";

export class Backend {
  #server;
  #port = 0;

  /** @param offer `{ tools, prompts, resources, templates }`, lists of definitions */
  constructor(offer) {
    this.offer = offer;
    this.delay = 5;
    this.status = 200;
  }

  async start() {
    this.#server = createServer((request, response) => this.#serve(request, response));
    await new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(this.#port, "127.0.0.1", resolve);
    });
    this.#port = this.#server.address().port;
    return this;
  }

  get url() {
    return `http://127.0.0.1:${this.#port}/mcp`;
  }

  /** Refuses connections from now on, and breaks those that are open. */
  async kill() {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  async #serve(request, response) {
    const say = (status, body) => {
      response.writeHead(status, { "content-type": "application/json" });
      response.end(body === undefined ? "" : JSON.stringify(body));
    };
    if (request.method !== "POST") return say(request.url === "/health" ? 200 : 405);
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const message = JSON.parse(Buffer.concat(chunks));
    if (message.id === undefined) return say(202);
    const answer = this.#answer(message);
    if (message.method === "tools/call") {
      await new Promise((resolve) => setTimeout(resolve, this.delay));
      if (this.status !== 200) return say(this.status);
    }
    const error = { code: -32601, message: "method not found" };
    say(200, { jsonrpc: "2.0", id: message.id, ...(answer ? { result: answer } : { error }) });
  }

  #answer({ method, params }) {
    const { tools = [], prompts = [], resources = [], templates = [] } = this.offer;
    switch (method) {
      case "initialize":
        return {
          protocolVersion: "2025-06-18",
          capabilities: { tools: {}, prompts: {}, resources: {} },
          serverInfo: { name: "backend of the dashboard's test", version: "1" },
        };
      case "ping":
        return {};
      case "tools/list":
        return { tools: tools.map((tool) => ({ inputSchema: { type: "object" }, ...tool })) };
      case "prompts/list":
        return { prompts };
      case "resources/list":
        return { resources };
      case "resources/templates/list":
        return { resourceTemplates: templates };
      case "tools/call":
        return { content: [{ type: "text", text: "done" }], isError: params?.name === "fails" };
      default:
        return undefined;
    }
  }
}
