// What stands behind the router while the dashboard is looked at.

import { join } from "node:path";
import { Backend } from "./backend.mjs";

/** A script in every place where a backend can write. */
export const HOSTILE = {
  name: `<img src=x onerror="window.owned=1">`,
  title: `"><script>window.owned=1</script>`,
  description: `</td></table><script>window.owned=1</script><svg onload="window.owned=1">\u202e turned`,
};

const tool = (name, description, annotations) => ({ name, description, annotations });

export async function scene(binaries) {
  const orders = await new Backend({
    tools: [
      tool("get_order", "Looks up one order by its number: state, items, and where the parcel is.", { readOnlyHint: true }),
      tool("list_orders", "Lists the orders of a customer, the newest first.", { readOnlyHint: true }),
      tool("cancel_order", "Cancels an order that has not been shipped.", { destructiveHint: true, idempotentHint: true }),
      tool("fails", "Always answers that it failed."),
    ],
    prompts: [{ name: "complaint", description: "Drafts an answer to a complaint about an order." }],
    resources: [{ uri: "orders://terms", name: "terms", description: "The terms of sale in force." }],
    templates: [{ uriTemplate: "orders://{id}/invoice", name: "invoice", description: "The invoice of one order." }],
  }).start();
  const searches = [];
  for (let n = 0; n < 2; n++) {
    searches.push(await new Backend({ tools: [tool("query", "Searches the product catalogue.", { readOnlyHint: true })] }).start());
  }
  const weather = await new Backend({ tools: [tool("forecast", "The weather of the next days at a place.")] }).start();
  const hostile = await new Backend({ tools: [HOSTILE] }).start();
  const quick = "health_check: { interval_seconds: 1, timeout_seconds: 1 }, circuit_breaker: { failure_threshold: 2, timeout_seconds: 2, half_open_attempts: 1 }";
  const url = (backend) => JSON.stringify(backend.url);
  const config = `
backends:
  - { name: orders, namespace: orders, url: ${url(orders)}, ${quick} }
  - { name: search, namespace: search, urls: [${searches.map(url)}], ${quick} }
  - { name: weather, namespace: weather, url: ${url(weather)}, priority: 5, ${quick} }
  - { name: files, namespace: files, command: ${JSON.stringify(join(binaries, "fixture"))}, args: [stdio, --tools, "240"] }
  - { name: strange, namespace: strange, url: ${url(hostile)}, ${quick} }
  - { name: archive, namespace: archive, url: "http://127.0.0.1:9/mcp", auto_start: false }
`;
  return { orders, searches, weather, hostile, config };
}
