// The official TypeScript clients, both generations: `client` in both eras, `sdk` in the legacy one. The conversation is
// that of python/lines.py.
//
// Usage: PACKAGES=… PORTCULLIS_KEY=… client.mjs TARGET modern|legacy client|sdk
//
// PACKAGES is the folder that has `node_modules`.

import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const [target, era, generation] = process.argv.slice(2);
const from = createRequire(`${process.env.PACKAGES}/`);
const requestInit = { headers: { Authorization: `Bearer ${process.env.PORTCULLIS_KEY}` } };
const me = { name: 'test', version: '1' };

function parts() {
    if (generation === 'sdk') {
        const sdk = '@modelcontextprotocol/sdk/client';
        const { Client } = from(`${sdk}/index.js`);
        const { StreamableHTTPClientTransport } = from(`${sdk}/streamableHttp.js`);
        const { StdioClientTransport } = from(`${sdk}/stdio.js`);
        return { client: new Client(me), StreamableHTTPClientTransport, StdioClientTransport };
    }
    const { Client, StreamableHTTPClientTransport } = from('@modelcontextprotocol/client');
    const { StdioClientTransport } = from('@modelcontextprotocol/client/stdio');
    // Finds the modern era by itself, and meets a server of the other era where it is.
    const versionNegotiation = { mode: era === 'modern' ? 'auto' : 'legacy' };
    return { client: new Client(me, { versionNegotiation }), StreamableHTTPClientTransport, StdioClientTransport };
}

async function make(client, call) {
    const _meta = {};
    if (call.key !== undefined) _meta['dev.portcullis/idempotency-key'] = call.key;
    if (call.approval !== undefined) _meta['dev.portcullis/approval'] = call.approval;
    const result = await client.callTool({ name: call.tool, arguments: call.arguments, _meta });
    const text = result.content.filter((block) => block.type === 'text').map((block) => block.text).join('');
    return {
        error: result.isError === true,
        structured: result.structuredContent ?? null,
        text,
        content: result.content,
        meta: result._meta ?? null,
    };
}

const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
const failed = (error) => ({ failed: `${error.name}: ${error.message}` });

try {
    const { client, StreamableHTTPClientTransport, StdioClientTransport } = parts();
    let transport;
    if (target.startsWith('[')) {
        const [command, ...args] = JSON.parse(target);
        transport = new StdioClientTransport({ command, args });
    } else {
        transport = new StreamableHTTPClientTransport(new URL(target), { requestInit });
    }
    await client.connect(transport);
    const { tools } = await client.listTools();
    const version = client.getNegotiatedProtocolVersion?.() ?? transport.protocolVersion ?? null;
    say({ version, tools });
    for await (const line of createInterface({ input: process.stdin })) {
        say(await Promise.all(JSON.parse(line).map((call) => make(client, call).catch(failed))));
    }
    await client.close();
} catch (error) {
    say(failed(error));
}
process.exit();
