// `@modelcontextprotocol/sdk` 1.x, the legacy era, over HTTP, HTTP+SSE and stdio.

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import * as types from '@modelcontextprotocol/sdk/types.js';

import { answering, CAPABILITIES, main } from './job.mjs';

const SCHEMAS = {
  'elicitation/create': types.ElicitRequestSchema,
  'sampling/createMessage': types.CreateMessageRequestSchema,
  'roots/list': types.ListRootsRequestSchema,
  'notifications/message': types.LoggingMessageNotificationSchema,
  'notifications/resources/updated': types.ResourceUpdatedNotificationSchema,
  'notifications/tools/list_changed': types.ToolListChangedNotificationSchema,
};

function transport(job) {
  if (job.command) return new StdioClientTransport({ command: job.command[0], args: job.command.slice(1) });
  const url = new URL(job.url);
  return job.transport === 'sse' ? new SSEClientTransport(url) : new StreamableHTTPClientTransport(url);
}

await main(async (job) => {
  const capabilities = job.answers ? CAPABILITIES : {};
  const client = new Client({ name: 'interop-ts-sdk', version: '1.0.0' }, { capabilities });
  const heard = job.answers && answering(
    (method, answer) => client.setRequestHandler(SCHEMAS[method], answer),
    (method, note) => client.setNotificationHandler(SCHEMAS[method], note),
  );
  const wire = transport(job);
  // The client tells its transport what was negotiated, and nobody else.
  let negotiated;
  const inner = wire.setProtocolVersion?.bind(wire);
  wire.setProtocolVersion = (version) => {
    negotiated = version;
    inner?.(version);
  };
  await client.connect(wire);
  return {
    client,
    heard,
    setLevel: (level) => client.setLoggingLevel(level),
    subscribe: (uri) => client.subscribeResource({ uri }),
    // Who is connected is told.
    listen: async () => ({}),
    callTool: (params, options) => client.callTool(params, undefined, options),
    protocolVersion: () => negotiated,
  };
});
