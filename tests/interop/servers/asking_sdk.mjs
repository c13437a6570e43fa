// `@modelcontextprotocol/sdk` 1.x: the legacy era, over streamable HTTP with sessions, and stdio.
//
//     asking_sdk.mjs stdio|http

import { randomUUID } from 'node:crypto';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import {
  CreateMessageResultSchema, ElicitResultSchema, ListRootsResultSchema, SubscribeRequestSchema,
  UnsubscribeRequestSchema,
} from '@modelcontextprotocol/sdk/types.js';
import * as z from 'zod';

import { elicited, registerCommon, say, SCHEMA, serve, URL_ASKED, words } from './asking.mjs';

const RESOURCE = 'news://today';

const api = {
  signal: (extra) => extra.signal,
  progress: async (extra, progress, total) => {
    const progressToken = extra._meta?.progressToken;
    if (progressToken === undefined) return;
    await extra.sendNotification({ method: 'notifications/progress', params: { progressToken, progress, total } });
  },
};

function questions(register) {
  const elicit = (extra, params) => extra.sendRequest({ method: 'elicitation/create', params }, ElicitResultSchema);
  const form = (extra, message) => elicit(extra, { mode: 'form', message, requestedSchema: SCHEMA });
  register('ask_form', { question: z.string() }, async ({ question }, extra) =>
    say(elicited(await form(extra, question))));
  register('ask_twice', {}, async (_, extra) =>
    say(`${elicited(await form(extra, 'one'))},${elicited(await form(extra, 'two'))}`));
  register('ask_url', {}, async (_, extra) => {
    const params = { mode: 'url', message: 'go there', url: URL_ASKED, elicitationId: 'e-1' };
    return say((await elicit(extra, params)).action);
  });
  register('sample', { words: z.string() }, async (asked, extra) => {
    const params = { messages: words(asked.words), maxTokens: 10 };
    const request = { method: 'sampling/createMessage', params };
    return say((await extra.sendRequest(request, CreateMessageResultSchema)).content.text);
  });
  register('roots', {}, async (_, extra) => {
    const answer = await extra.sendRequest({ method: 'roots/list' }, ListRootsResultSchema);
    return say(answer.roots.map((root) => root.uri).join(' '));
  });
}

// Whoever subscribed, in whatever session, hears of a touch; tools that grow do in all sessions.
const subscribers = new Set();
const all = new Set();
const grown = new Set();

/// On a server that is connected this also says that the tools have changed.
function grow(server, name) {
  server.registerTool(name, { inputSchema: {} }, async () => say(`${name} is new`));
}

function build() {
  const capabilities = { logging: {}, resources: { subscribe: true } };
  const server = new McpServer({ name: 'asking-sdk', version: '1.0.0' }, { capabilities });
  const register = (name, shape, run) => server.registerTool(name, { inputSchema: shape }, run);
  questions(register);
  registerCommon(register, z, api);
  register('tell', { words: z.string() }, async (said, extra) => {
    await extra.sendNotification({ method: 'notifications/message', params: { level: 'info', data: said.words } });
    return say('told');
  });
  register('touch', {}, async () => {
    for (const one of subscribers) await one.server.sendResourceUpdated({ uri: RESOURCE }).catch(() => {});
    return say('touched');
  });
  register('grow', { name: z.string() }, async ({ name }) => {
    grown.add(name);
    for (const one of all) grow(one, name);
    return say('grown');
  });
  for (const name of grown) grow(server, name);
  all.add(server);
  server.registerResource('news', RESOURCE, {}, async () => ({ contents: [{ uri: RESOURCE, text: 'news' }] }));
  server.server.setRequestHandler(SubscribeRequestSchema, async () => (subscribers.add(server), {}));
  server.server.setRequestHandler(UnsubscribeRequestSchema, async () => (subscribers.delete(server), {}));
  return server;
}

const sessions = new Map();

async function handle(request, response) {
  const id = request.headers['mcp-session-id'];
  if (id && !sessions.has(id)) {
    response.writeHead(404, { 'content-type': 'application/json' });
    response.end('{"jsonrpc":"2.0","error":{"code":-32001,"message":"Session not found"},"id":null}');
    return;
  }
  let transport = sessions.get(id);
  if (!transport) {
    transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (opened) => sessions.set(opened, transport),
    });
    await build().connect(transport);
  }
  await transport.handleRequest(request, response);
}

if (process.argv[2] === 'stdio') await build().connect(new StdioServerTransport());
else serve(handle);
