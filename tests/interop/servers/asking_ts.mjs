// `@modelcontextprotocol/server` 2.x: modern over HTTP, both eras over stdio.
//
//     asking_ts.mjs stdio|http

import { createMcpHandler, inputRequired, McpServer } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { toNodeHandler } from '@modelcontextprotocol/node';
import * as z from 'zod';

import { elicited, registerCommon, say, SCHEMA, serve, URL_ASKED, words } from './asking.mjs';

const RESOURCE = 'news://today';

const api = {
  signal: (ctx) => ctx.mcpReq.signal,
  progress: async (ctx, progress, total) => {
    const progressToken = ctx.mcpReq._meta?.progressToken;
    if (progressToken === undefined) return;
    await ctx.mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress, total } });
  },
};

// In the modern era a question is a result; the answer comes with the next call.
const needs = (key, request, requestState) => inputRequired({ inputRequests: { [key]: request }, requestState });
const form = (message) => ({ message, requestedSchema: SCHEMA });

function questions(register, server, modern) {
  const ask = (message, ctx) => ctx.mcpReq.elicitInput({ mode: 'form', ...form(message) });
  register('ask_form', { question: z.string() }, async ({ question }, ctx) => {
    if (!modern) return say(elicited(await ask(question, ctx)));
    const answers = ctx.mcpReq.inputResponses;
    return answers?.q ? say(elicited(answers.q)) : needs('q', inputRequired.elicit(form(question)), 'asked');
  });
  register('ask_twice', {}, async (_, ctx) => {
    if (!modern) return say(`${elicited(await ask('one', ctx))},${elicited(await ask('two', ctx))}`);
    const answers = ctx.mcpReq.inputResponses;
    if (answers?.two) return say(`${ctx.mcpReq.requestState()},${elicited(answers.two)}`);
    if (answers?.one) return needs('two', inputRequired.elicit(form('two')), elicited(answers.one));
    return needs('one', inputRequired.elicit(form('one')));
  });
  register('ask_url', {}, async (_, ctx) => {
    const where = { message: 'go there', url: URL_ASKED };
    if (!modern) return say((await ctx.mcpReq.elicitInput({ mode: 'url', elicitationId: 'e-1', ...where })).action);
    const answers = ctx.mcpReq.inputResponses;
    return answers?.u ? say(answers.u.action) : needs('u', inputRequired.elicitUrl(where));
  });
  register('sample', { words: z.string() }, async (asked, ctx) => {
    const params = { messages: words(asked.words), maxTokens: 10 };
    if (!modern) return say((await ctx.mcpReq.requestSampling(params)).content.text);
    const answers = ctx.mcpReq.inputResponses;
    return answers?.s ? say(answers.s.content.text) : needs('s', inputRequired.createMessage(params));
  });
  register('roots', {}, async (_, ctx) => {
    if (!modern) return say((await server.server.listRoots()).roots.map((root) => root.uri).join(' '));
    const answers = ctx.mcpReq.inputResponses;
    return answers?.r ? say(answers.r.roots.map((root) => root.uri).join(' ')) : needs('r', inputRequired.listRoots());
  });
}

let notify;
// Each request of the modern era over HTTP has a server of its own; what grew stays.
const grown = new Set();

function build({ era }) {
  const capabilities = { logging: {}, resources: { subscribe: true } };
  const server = new McpServer({ name: 'asking-ts', version: '1.0.0' }, { capabilities });
  const register = (name, shape, run) => server.registerTool(name, { inputSchema: z.object(shape) }, run);
  questions(register, server, era === 'modern');
  registerCommon(register, z, api);
  register('tell', { words: z.string() }, async (said, ctx) => {
    await ctx.mcpReq.log('info', said.words);
    return say('told');
  });
  register('touch', {}, async () => {
    await (notify ? notify.resourceUpdated(RESOURCE) : server.server.sendResourceUpdated({ uri: RESOURCE }));
    return say('touched');
  });
  const grow = (name) => register(name, {}, async () => say(`${name} is new`));
  register('grow', { name: z.string() }, async ({ name }) => {
    grown.add(name);
    // Over stdio the server itself says so.
    if (notify) notify.toolsChanged();
    else grow(name);
    return say('grown');
  });
  for (const name of grown) grow(name);
  server.registerResource('news', RESOURCE, {}, async () => ({ contents: [{ uri: RESOURCE, text: 'news' }] }));
  // Modern subscriptions are the library's own; legacy ones are each server's.
  if (era === 'legacy') {
    for (const method of ['resources/subscribe', 'resources/unsubscribe']) {
      server.server.setRequestHandler(method, async () => ({}));
    }
  }
  return server;
}

if (process.argv[2] === 'stdio') {
  serveStdio(build);
} else {
  // Its legacy HTTP has no sessions, so it cannot ask there: this endpoint is modern alone.
  const handler = createMcpHandler(build, { legacy: 'reject' });
  notify = handler.notify;
  serve(toNodeHandler(handler));
}
