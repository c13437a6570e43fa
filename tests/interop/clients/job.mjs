// What the Node clients of the suite share: the job on stdin, the report on stdout. The clients of both
// SDK generations have the same methods, so one asker serves them; only connecting differs.

import { text } from 'node:stream/consumers';

const MAX_PAGES = 50;

async function allPages(key, list) {
  const items = [];
  const seen = new Set();
  let cursor;
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const result = await list(cursor === undefined ? undefined : { cursor });
    items.push(...result[key]);
    cursor = result.nextCursor;
    if (cursor === undefined) return { result: { [key]: items } };
    if (seen.has(cursor)) throw new Error('a cursor came twice');
    seen.add(cursor);
  }
  throw new Error('the list does not end');
}

async function call(callTool, op) {
  if (!op.progress) return { result: await callTool(op.params) };
  const progress = [];
  const onprogress = (note) => progress.push(note.progress);
  return { result: await callTool(op.params, { onprogress }), progress };
}

function asker(client, callTool) {
  return async (op) => {
    switch (op.method) {
      case 'tools/list':
        return allPages('tools', (page) => client.listTools(page));
      case 'prompts/list':
        return allPages('prompts', (page) => client.listPrompts(page));
      case 'resources/list':
        return allPages('resources', (page) => client.listResources(page));
      case 'resources/templates/list':
        return allPages('resourceTemplates', (page) => client.listResourceTemplates(page));
      case 'tools/call':
        return call(callTool, op);
      case 'prompts/get':
        return { result: await client.getPrompt(op.params) };
      case 'resources/read':
        return { result: await client.readResource(op.params) };
      case 'completion/complete':
        return { result: await client.complete(op.params) };
      default:
        throw new Error(`this client does not know ${op.method}`);
    }
  };
}

async function runOps(ops, ask) {
  const one = async (op) => {
    try {
      return await ask(op);
    } catch (error) {
      const code = typeof error.code === 'number' ? error.code : 0;
      return { error: { code, kind: error.constructor.name, message: String(error.message), data: error.data } };
    }
  };
  const results = [];
  for (const op of ops) {
    results.push(op.parallel ? await Promise.all(op.parallel.map(one)) : await one(op));
  }
  return results;
}

/// Reads the job, connects with `connect(job)`, asks, prints the report, closes.
export async function main(connect) {
  const job = JSON.parse(await text(process.stdin));
  const { client, callTool, protocolVersion } = await connect(job);
  const results = await runOps(job.ops, asker(client, callTool));
  const report = {
    connect: {
      protocolVersion: protocolVersion(),
      capabilities: client.getServerCapabilities(),
      server: client.getServerVersion()?.name,
    },
    results,
  };
  await new Promise((written) => process.stdout.write(`${JSON.stringify(report)}\n`, written));
  await client.close();
  process.exit(0);
}
