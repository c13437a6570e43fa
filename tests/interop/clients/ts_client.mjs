// `@modelcontextprotocol/client` 2.x, both eras, over HTTP and stdio.

import { Client, SSEClientTransport, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

import { answering, CAPABILITIES, main } from './job.mjs';

const MODES = { legacy: 'legacy', auto: 'auto', modern: { pin: '2026-07-28' } };

function transport(job) {
  if (job.command) return new StdioClientTransport({ command: job.command[0], args: job.command.slice(1) });
  const url = new URL(job.url);
  return job.transport === 'sse' ? new SSEClientTransport(url) : new StreamableHTTPClientTransport(url);
}

await main(async (job) => {
  const info = { name: 'interop-ts-client', version: '1.0.0' };
  const capabilities = job.answers ? CAPABILITIES : {};
  const client = new Client(info, { capabilities, versionNegotiation: { mode: MODES[job.era] } });
  const heard = job.answers && answering(
    (method, answer) => client.setRequestHandler(method, answer),
    (method, note) => client.setNotificationHandler(method, note),
  );
  await client.connect(transport(job));
  const modern = () => client.getNegotiatedProtocolVersion() >= '2026';
  let level;
  return {
    client,
    heard,
    // Modern requests say the level themselves.
    setLevel: async (wanted) => {
      if (!modern()) return client.setLoggingLevel(wanted);
      level = wanted;
      return {};
    },
    subscribe: async (uri) => {
      if (!modern()) return client.subscribeResource({ uri });
      const subscription = await client.listen({ resourceSubscriptions: [uri] });
      return { honored: subscription.honoredFilter };
    },
    listen: async () => {
      if (!modern()) return {};
      const subscription = await client.listen({ toolsListChanged: true });
      return { honored: subscription.honoredFilter };
    },
    callTool: (params, options) => {
      const _meta = level && { 'io.modelcontextprotocol/logLevel': level };
      return client.callTool(_meta ? { ...params, _meta } : params, options);
    },
    protocolVersion: () => client.getNegotiatedProtocolVersion(),
  };
});
