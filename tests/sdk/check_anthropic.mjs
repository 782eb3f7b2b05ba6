// Uses only Anthropic's SDK for JavaScript, like check_anthropic.py.

import assert from 'node:assert/strict';
import Anthropic from '@anthropic-ai/sdk';
import { jsonSchemaOutputFormat } from '@anthropic-ai/sdk/helpers/json-schema';

const tools = [
  {
    name: 'weather',
    description: 'The weather in a town',
    input_schema: { type: 'object', properties: { town: { type: 'string' } }, required: ['town'] },
  },
];
const town = {
  type: 'object',
  properties: { town: { type: 'string' }, degrees: { type: 'integer' } },
  required: ['town', 'degrees'],
  additionalProperties: false,
};
const client = new Anthropic();

function request(question, more = {}) {
  const messages = typeof question === 'string' ? [{ role: 'user', content: question }] : question;
  return { model: 'big', max_tokens: 100, messages, ...more };
}
const ask = (question, more) => client.messages.create(request(question, more));

// Returns the text of a stream, and the whole answer.
async function streamed(question) {
  const stream = client.messages.stream(request(question));
  let text = '';
  stream.on('text', (delta) => (text += delta));
  const answer = await stream.finalMessage();
  return [text, answer];
}

async function useTool() {
  const question = { role: 'user', content: 'How is the weather in Oslo?' };
  const { content, stop_reason } = await ask([question], { tools });
  assert.equal(stop_reason, 'tool_use');
  const [call] = content.filter((block) => block.type === 'tool_use');
  assert.deepEqual([call.name, call.input], ['weather', { town: 'Oslo' }]);
  const result = { type: 'tool_result', tool_use_id: call.id, content: 'It is sunny in Oslo.' };
  const messages = [question, { role: 'assistant', content }, { role: 'user', content: [result] }];
  return (await ask(messages, { tools })).content[0].text;
}

// Prints what an attempt returned, or how it failed.
async function tell(attempt) {
  try {
    console.log('whole:', await attempt());
  } catch (error) {
    console.log('failed:', String(error));
  }
}

function assertComplete({ stop_reason, usage }) {
  assert.deepEqual([stop_reason, usage.input_tokens, usage.output_tokens], ['end_turn', 3, 2]);
}

switch (process.argv[2]) {
  case 'plain': {
    const answer = await ask('Say hello.', { system: 'You are terse.' });
    assertComplete(answer);
    console.log(answer.content[0].text);
    break;
  }
  case 'stream': {
    const [text, answer] = await streamed('Say hello.');
    assertComplete(answer);
    assert.equal(text, answer.content[0].text);
    console.log(text);
    break;
  }
  case 'tools':
    console.log(await useTool());
    break;
  case 'structured': {
    const output_config = { format: jsonSchemaOutputFormat(town) };
    const { parsed_output } = await client.messages.parse(request('Describe Oslo.', { output_config }));
    console.log(parsed_output.town, parsed_output.degrees);
    break;
  }
  case 'cut':
    await tell(() => streamed('Cut it short.'));
    break;
  case 'refused':
    await tell(() => ask('Say hello.'));
    break;
  case 'count': {
    const { input_tokens } = await client.messages.countTokens({ model: 'big', messages: request('Say hello.').messages });
    console.log(input_tokens > 0 ? 'True' : 'False');
    break;
  }
}
