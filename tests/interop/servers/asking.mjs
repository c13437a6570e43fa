// Tools that need their client, for both generations of the TypeScript SDK. `register(name, shape, run)`
// and what `run` gets differ between them; the tools do not.

import { setTimeout as sleep } from 'node:timers/promises';
import { createServer } from 'node:http';

export const SCHEMA = { type: 'object', properties: { answer: { type: 'string' } }, required: ['answer'] };
export const URL_ASKED = 'https://example.com/consent';
export const say = (text) => ({ content: [{ type: 'text', text }] });
export const elicited = (answer) => `${answer.action}:${answer.content?.answer}`;
export const words = (text) => [{ role: 'user', content: { type: 'text', text } }];

// Who was cancelled; every connection of the legacy era and every request of the modern one has its own
// server object, so this is the process's.
const cancelled = new Set();

/// Registers what is the same in both generations: `api` has `progress(ctx, step, total)`, `signal(ctx)`.
export function registerCommon(register, z, api) {
  register('count', { to: z.number() }, async ({ to }, ctx) => {
    for (let step = 1; step <= to; step += 1) {
      await api.progress(ctx, step, to);
      await sleep(50);
    }
    return say(`counted to ${to}`);
  });
  register('wait', { key: z.string() }, async ({ key }, ctx) => {
    await api.progress(ctx, 1, 2);
    try {
      await sleep(60_000, undefined, { signal: api.signal(ctx) });
    } catch (error) {
      cancelled.add(key);
      throw error;
    }
    return say('nobody cancelled');
  });
  register('was_cancelled', { key: z.string() }, async ({ key }) => {
    for (let tries = 0; tries < 200 && !cancelled.has(key); tries += 1) await sleep(50);
    return say(cancelled.has(key) ? 'yes' : 'no');
  });
}

/// Listens on a free port and says where, once it accepts connections.
export function serve(handle) {
  const server = createServer((request, response) => {
    Promise.resolve(handle(request, response)).catch((error) => {
      console.error(error);
      if (!response.headersSent) response.writeHead(500);
      response.end();
    });
  });
  server.listen(0, '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${server.address().port}/mcp`));
}
