// An agent that may write loads a month, sees another one fail, explains it and asks the data.
import { call, connect, expect } from './client.mjs';

const client = await connect(process.argv.slice(2));
expect(client.getServerVersion().name === 'jitney', 'the name of the server');
const { tools } = await client.listTools();
const names = tools.map((tool) => tool.name);
expect(names.includes('run_flow') && names.includes('explain_execution'), `tools to run and to explain: ${names}`);
expect(tools.find((tool) => tool.name === 'run_flow').annotations.readOnlyHint === false, 'that running is no reading');

const { flows } = await call(client, 'list_flows', { text: 'trips' });
expect(flows.length === 1 && flows[0].id === 'trips' && flows[0].inputs[0] === 'month', `one flow: ${JSON.stringify(flows)}`);
const flow = { namespace: flows[0].namespace, id: flows[0].id };
const explained = await call(client, 'explain_flow', flow);
expect(explained.tasks[0].type === 'postgres.load' && explained.tasks[0].does.length > 10, 'what the task does');

const good = await call(client, 'run_flow', { ...flow, inputs: { month: '2019-01' }, wait_seconds: 50 });
expect(good.state === 'SUCCESS' && good.rows === 3, `a loaded month: ${JSON.stringify(good)}`);
const bad = await call(client, 'run_flow', { ...flow, inputs: { month: '2019-03' }, wait_seconds: 50 });
expect(bad.state === 'FAILED' && bad.next.includes('explain_execution'), `a failure: ${JSON.stringify(bad)}`);
const why = await call(client, 'explain_execution', { id: bad.id });
const failure = why.failures[0];
expect(failure.task === 'load' && failure.message.includes('trips-2019-03.csv:3'), `the place: ${JSON.stringify(failure)}`);
expect(failure.yaml.includes('replace_partition') && failure.line === 10, `the lines of the task: ${JSON.stringify(failure)}`);

const answer = await call(client, 'query_data', { sql: 'SELECT month, count(*) AS trips FROM trips GROUP BY 1' });
expect(JSON.stringify(answer.rows) === '[["2019-01","3"]]', `what is loaded: ${JSON.stringify(answer)}`);
const refused = await call(client, 'query_data', { sql: 'DELETE FROM trips' }, true);
expect(refused.error.includes('only queries run here'), `that nothing is deleted: ${refused.error}`);

const plan = await call(client, 'plan_backfill', { ...flow, from: '2019-01', to: '2019-02', only: 'missing' });
expect(plan.runs === 1 && plan.partitions.length === 2 && !plan.backfill, `a plan: ${JSON.stringify(plan)}`);
const started = await call(client, 'start_backfill', { ...flow, from: '2019-01', to: '2019-02', only: 'missing' });
let backfill = started.backfill;
while (backfill.state === 'RUNNING') {
  await new Promise((done) => setTimeout(done, 200));
  backfill = await call(client, 'follow_backfill', { id: backfill.id });
}
expect(backfill.state === 'SUCCESS' && backfill.rows === 3, `a backfill that ended well: ${JSON.stringify(backfill)}`);
await client.close();
