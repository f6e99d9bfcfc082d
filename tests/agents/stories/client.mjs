// The official client of the protocol, over a process of its own or over HTTP.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const require = createRequire(`${process.env.JITNEY_TEST_MODULES}/index.js`);
const load = (path) => import(pathToFileURL(require.resolve(`@modelcontextprotocol/sdk/${path}`)));

/** A client of `http://…`, with a token after it if there is one, or of a command with its arguments. */
export async function connect(words) {
  const { Client } = await load('client/index.js');
  const client = new Client({ name: 'a story', version: '1.0.0' });
  if (words[0].startsWith('http')) {
    const { StreamableHTTPClientTransport } = await load('client/streamableHttp.js');
    const headers = words[1] ? { Authorization: `Bearer ${words[1]}` } : {};
    await client.connect(new StreamableHTTPClientTransport(new URL(words[0]), { requestInit: { headers } }));
  } else {
    const { StdioClientTransport } = await load('client/stdio.js');
    const [command, ...args] = words;
    await client.connect(new StdioClientTransport({ command, args, stderr: 'inherit' }));
  }
  return client;
}

/** What a tool gives; an error that is not expected ends the story. */
export async function call(client, name, args = {}, isError = false) {
  const result = await client.callTool({ name, arguments: args });
  if (Boolean(result.isError) !== isError) throw new Error(`${name}: ${JSON.stringify(result.structuredContent)}`);
  if (result.content[0].text !== JSON.stringify(result.structuredContent)) throw new Error(`${name}: two answers`);
  return result.structuredContent;
}

export function expect(is, what) {
  if (!is) throw new Error(`expected ${what}`);
}
