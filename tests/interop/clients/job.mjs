// What the Node clients of the suite share: the job on stdin, the report on stdout. The clients of both
// SDK generations have the same methods, so one asker serves them; only connecting differs.

import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';

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

// What these clients answer when a server asks them.
const ANSWERS = {
  'elicitation/create': ({ params }) =>
    params.mode === 'url' ? { action: 'accept' } : { action: 'accept', content: { answer: `${params.message}!` } },
  'sampling/createMessage': ({ params }) => {
    const content = [params.messages[0].content].flat()[0];
    return { role: 'assistant', content: { type: 'text', text: `model says ${content.text}` }, model: 'interop' };
  },
  'roots/list': () => ({ roots: [{ uri: 'file:///interop/root', name: 'root' }] }),
};
export const CAPABILITIES = { elicitation: { form: {}, url: {} }, sampling: {}, roots: {} };

/// Registers the answers with `handle(method, answer)`, and what is to be heard with `hear(method, note)`.
export function answering(handle, hear) {
  const heard = { logs: [], updates: [], changes: 0 };
  for (const [method, answer] of Object.entries(ANSWERS)) handle(method, async (request) => answer(request));
  hear('notifications/message', (note) => heard.logs.push(note.params.data));
  hear('notifications/resources/updated', (note) => heard.updates.push(note.params.uri));
  hear('notifications/tools/list_changed', () => (heard.changes += 1));
  return heard;
}

/// What was heard; it may come a moment after the answer.
async function told(list, key, wanted) {
  for (let tries = 0; tries < 100 && !JSON.stringify(list).includes(wanted); tries += 1) await sleep(50);
  return { result: { [key]: list } };
}

/// Calls what brings a new tool, and waits for word of it. The list is asked for after each such word and
/// at no other time.
async function grow(client, callTool, heard, { wanted, ...params }) {
  let known = heard.changes;
  await callTool(params);
  for (let tries = 0; tries < 400; tries += 1) {
    if (heard.changes > known) {
      known = heard.changes;
      const { result } = await allPages('tools', (page) => client.listTools(page));
      if (result.tools.some((tool) => tool.name === wanted)) return { result: { grown: wanted } };
    }
    await sleep(50);
  }
  throw new Error(`no word of a change that brings ${wanted}`);
}

/// Cancels a call at its first progress.
async function abandon(callTool, op) {
  const control = new AbortController();
  const late = setTimeout(() => control.abort('late'), 20_000);
  try {
    const options = { signal: control.signal, onprogress: () => control.abort('enough') };
    const result = await callTool(op.params, options);
    return { error: { code: 0, message: `ended by itself: ${JSON.stringify(result)}` } };
  } catch (error) {
    if (control.signal.reason === 'enough') return { result: { cancelled: true } };
    throw error;
  } finally {
    clearTimeout(late);
  }
}

async function call(callTool, op) {
  if (op.abandon) return abandon(callTool, op);
  if (!op.progress) return { result: await callTool(op.params) };
  const progress = [];
  const onprogress = (note) => progress.push(note.progress);
  return { result: await callTool(op.params, { onprogress }), progress };
}

function asker(client, callTool, heard, setLevel, subscribe, listen) {
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
      case 'logging/setLevel':
        return { result: await setLevel(op.params.level) };
      case 'logs':
        return told(heard.logs, 'logs', op.params.wanted);
      case 'subscribe':
        return { result: await subscribe(op.params.uri) };
      case 'listen':
        return { result: await listen() };
      case 'grow':
        return grow(client, callTool, heard, op.params);
      case 'updates':
        return told(heard.updates, 'updates', op.params.wanted);
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
  const { client, callTool, protocolVersion, heard, setLevel, subscribe, listen } = await connect(job);
  const results = await runOps(job.ops, asker(client, callTool, heard, setLevel, subscribe, listen));
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
