// `@modelcontextprotocol/client` 2.x, both eras, over HTTP and stdio.

import { Client, SSEClientTransport, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

import { main } from './job.mjs';

const MODES = { legacy: 'legacy', auto: 'auto', modern: { pin: '2026-07-28' } };

function transport(job) {
  if (job.command) return new StdioClientTransport({ command: job.command[0], args: job.command.slice(1) });
  const url = new URL(job.url);
  return job.transport === 'sse' ? new SSEClientTransport(url) : new StreamableHTTPClientTransport(url);
}

await main(async (job) => {
  const info = { name: 'interop-ts-client', version: '1.0.0' };
  const client = new Client(info, { versionNegotiation: { mode: MODES[job.era] } });
  await client.connect(transport(job));
  return {
    client,
    callTool: (params, options) => client.callTool(params, options),
    protocolVersion: () => client.getNegotiatedProtocolVersion(),
  };
});
