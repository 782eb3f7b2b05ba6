// A program that uses only OpenAI's JavaScript SDK. It does the same as check.py.

import assert from 'node:assert/strict';
import OpenAI from 'openai';

const model = 'smollm2-135m';
const hello = [{ role: 'user', content: 'Say hello.' }];
const tools = [
  {
    type: 'function',
    function: {
      name: 'weather',
      description: 'The weather in a town',
      parameters: { type: 'object', properties: { town: { type: 'string' } }, required: ['town'] },
    },
  },
];

const client = new OpenAI();
const seen = [];

function count(usage) {
  assert.ok(usage.prompt_tokens > 0 && usage.completion_tokens > 0);
  assert.equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
  seen.push([usage.prompt_tokens, usage.completion_tokens]);
}

async function ask(messages = hello, more = {}) {
  const answer = await client.chat.completions.create({ model, messages, max_tokens: 12, temperature: 0, ...more });
  assert.equal(answer.object, 'chat.completion');
  assert.ok(answer.id && answer.created && answer.model);
  assert.equal(answer.choices.length, 1);
  const [choice] = answer.choices;
  assert.deepEqual([choice.index, choice.message.role], [0, 'assistant']);
  assert.ok(['stop', 'length', 'tool_calls'].includes(choice.finish_reason));
  count(answer.usage);
  return answer;
}

// Returns the usage of a stream, if it has one.
async function stream(more = {}) {
  let text = '';
  let usage = null;
  const [reasons, ids] = [[], new Set()];
  const request = { model, messages: hello, max_tokens: 12, temperature: 0, stream: true, ...more };
  const chunks = await client.chat.completions.create(request);
  for await (const chunk of chunks) {
    assert.equal(chunk.object, 'chat.completion.chunk');
    assert.equal(usage, null, 'something came after the usage');
    ids.add(chunk.id);
    usage = chunk.usage ?? null;
    assert.notEqual(chunk.choices.length > 0, usage !== null);
    for (const choice of chunk.choices) {
      text += choice.delta.content ?? '';
      if (choice.finish_reason) reasons.push(choice.finish_reason);
    }
  }
  assert.ok(text);
  assert.deepEqual([reasons.length, ids.size], [1, 1]);
  return usage;
}

// Checks that the call is refused with this error, and not retried.
async function refused(kind, status, code, apiKey, ask) {
  let attempts = 0;
  const counted = (...request) => {
    attempts += 1;
    return fetch(...request);
  };
  try {
    await ask(new OpenAI({ apiKey, fetch: counted }));
  } catch (error) {
    assert.equal(error.constructor, kind, String(error));
    assert.deepEqual([error.status, error.code, attempts], [status, code, 1], String(error));
    assert.ok(error.type && error.error.message && 'param' in error.error);
    return error;
  }
  assert.fail(`expected a refusal with ${status}`);
}

const completion = (model) => (client) => client.chat.completions.create({ model, messages: hello, max_tokens: 12 });

// Answers.
const plain = await ask();
assert.ok(plain.choices[0].message.content);
assert.equal(await stream(), null, 'usage that was not requested');
seen.push(null);
count(await stream({ stream_options: { include_usage: true } }));

const system = { role: 'system', content: 'You are terse.' };
const short = await ask([system, ...hello]);
const long = await ask([
  system,
  ...hello,
  { role: 'assistant', content: 'Hello! How can I help you today?' },
  { role: 'user', content: [{ type: 'text', text: 'Say it again.' }] },
]);
assert.ok(long.usage.prompt_tokens > short.usage.prompt_tokens, 'the model did not get all messages');

const cut = await ask([{ role: 'user', content: 'Count from 1 to 100.' }], { max_tokens: 8 });
assert.deepEqual([cut.usage.completion_tokens, cut.choices[0].finish_reason], [8, 'length']);
await ask(hello, { temperature: 1.5, top_p: 0.9, seed: 7 });
const stopped = (await ask(hello, { stop: ['e', 'a', 'o'], max_tokens: 30 })).choices[0];
assert.equal(stopped.finish_reason, 'stop');
assert.doesNotMatch(stopped.message.content, /[eao]/);
await ask(hello, { tools });

// A helper of the SDK that merges the parts of a stream.
const runner = client.chat.completions.stream({
  model,
  messages: hello,
  max_tokens: 12,
  temperature: 0,
  stream_options: { include_usage: true },
});
assert.ok((await runner.finalMessage()).content);
count(await runner.totalUsage());

// Models.
const models = [];
for await (const found of client.models.list()) models.push(found.id);
assert.ok(models.includes(model));
const found = await client.models.retrieve(model);
assert.deepEqual([found.id, found.object], [model, 'model']);

// Refusals.
const { AuthenticationError, NotFoundError, APIError } = OpenAI;
const [key, empty] = [client.apiKey, process.env.EMPTY_KEY];
await refused(AuthenticationError, 401, 'invalid_api_key', 'tg_nobodys', completion(model));
await refused(AuthenticationError, 401, 'invalid_api_key', 'tg_nobodys', (client) => client.models.list());
const broke = await refused(APIError, 402, 'insufficient_quota', empty, completion(model));
assert.equal(broke.type, 'insufficient_quota');
await refused(NotFoundError, 404, 'model_not_found', key, completion('nobodys-model'));
await refused(NotFoundError, 404, 'model_not_found', key, (client) => client.models.retrieve('nobodys-model'));

console.log(JSON.stringify(seen));
