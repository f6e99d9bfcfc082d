// An agent that may only read: it validates, reads documentation, and is told how writing could be allowed.
import { call, connect, expect } from './client.mjs';

const client = await connect(process.argv.slice(2));
const names = (await client.listTools()).tools.map((tool) => tool.name);
for (const name of ['run_flow', 'save_flow', 'start_backfill', 'kill_execution']) {
  expect(!names.includes(name), `no ${name}`);
}
const refused = await call(client, 'run_flow', { namespace: 'shop', id: 'hello' }, true);
expect(refused.next.includes('allow'), `how to allow it: ${JSON.stringify(refused)}`);

const yaml = 'id: a\nnamespace: shop\ntasks:\n  - {id: say, type: log, massage: hello}\n';
const found = await call(client, 'validate_flow', { yaml });
expect(found.valid === false && found.findings[0].line === 4, `a place: ${JSON.stringify(found)}`);
expect(found.findings[0].help.includes('`message`'), `what is meant: ${JSON.stringify(found)}`);
expect((await call(client, 'validate_flow', { yaml: yaml.replace('massage', 'message') })).valid === true, 'a valid flow');

const types = await call(client, 'search_documentation', { words: 'load csv files into postgres' });
expect(types.types.slice(0, 3).some((type) => type.name === 'postgres.load'), `the task: ${JSON.stringify(types)}`);
const page = await call(client, 'read_documentation', { name: 'postgres.load' });
expect(page.documentation.includes('replace_partition'), 'its fields');

const flow = { namespace: 'shop', id: 'hello' };
const text = await call(client, 'read_flow', flow);
expect(text.yaml.includes('type: log') && !text.yaml.includes('hunter2hunter2'), `no password: ${text.yaml}`);
expect((await call(client, 'graph_flow', { ...flow, format: 'mermaid' })).graph.includes('flowchart'), 'a graph');
const unknown = await call(client, 'read_flow', { namespace: 'shop', id: 'helo' }, true);
expect(unknown.error.includes('did you mean `hello`'), `the near one: ${unknown.error}`);
const wrong = await call(client, 'read_flow', { namespace: 'shop', name: 'hello' }, true);
expect(wrong.error.includes('name'), `what does not fit: ${wrong.error}`);
let isUnknown = false;
await client.callTool({ name: 'no_such_tool', arguments: {} }).catch(() => { isUnknown = true; });
expect(isUnknown, 'an error for a tool that does not exist');
await client.close();
