// Uses only OpenAI's SDK for JavaScript, like check_openai.py.

import assert from 'node:assert/strict';
import OpenAI from 'openai';

const tools = [
  {
    type: 'function',
    name: 'weather',
    description: 'The weather in a town',
    parameters: { type: 'object', properties: { town: { type: 'string' } }, required: ['town'] },
    strict: false,
  },
];
const format = {
  type: 'json_schema',
  name: 'town',
  strict: true,
  schema: {
    type: 'object',
    properties: { town: { type: 'string' }, degrees: { type: 'integer' } },
    required: ['town', 'degrees'],
    additionalProperties: false,
  },
};
const client = new OpenAI();
const ask = (input, more = {}) => client.responses.create({ model: 'big', input, ...more });

// Returns the text of a stream, and the whole answer.
async function streamed(input) {
  const stream = client.responses.stream({ model: 'big', input });
  let text = '';
  for await (const event of stream) if (event.type === 'response.output_text.delta') text += event.delta;
  return [text, await stream.finalResponse()];
}

async function useTool() {
  const question = [{ role: 'user', content: 'How is the weather in Oslo?' }];
  const { output } = await ask(question, { tools });
  const [call] = output.filter((item) => item.type === 'function_call');
  assert.deepEqual([call.name, call.arguments], ['weather', '{"town":"Oslo"}']);
  const result = { type: 'function_call_output', call_id: call.call_id, output: 'It is sunny in Oslo.' };
  return (await ask([...question, call, result], { tools })).output_text;
}

// Prints what an attempt returned, or how it failed.
async function tell(attempt) {
  try {
    console.log('whole:', await attempt());
  } catch (error) {
    console.log('failed:', String(error));
  }
}

function assertComplete({ status, usage }) {
  assert.deepEqual([status, usage.input_tokens, usage.output_tokens], ['completed', 3, 2]);
}

switch (process.argv[2]) {
  case 'plain': {
    const answer = await ask('Say hello.');
    assertComplete(answer);
    console.log(answer.output_text);
    break;
  }
  case 'stream': {
    const [text, answer] = await streamed('Say hello.');
    assertComplete(answer);
    assert.equal(text, answer.output_text);
    console.log(text);
    break;
  }
  case 'tools':
    console.log(await useTool());
    break;
  case 'structured': {
    const answer = await client.responses.parse({ model: 'big', input: 'Describe Oslo.', text: { format } });
    console.log(answer.output_parsed.town, answer.output_parsed.degrees);
    break;
  }
  case 'cut':
    await tell(async () => (await streamed('Cut it short.'))[1].output_text);
    break;
  case 'refused':
    await tell(() => ask('Say hello.'));
    break;
  case 'stored': {
    const first = await ask('Say hello.');
    assert.equal((await client.responses.retrieve(first.id)).output_text, first.output_text);
    console.log((await ask('Say it again.', { previous_response_id: first.id })).output_text);
    await client.responses.delete(first.id);
    await tell(() => client.responses.retrieve(first.id));
    break;
  }
  case 'completion': {
    const { choices, usage } = await client.completions.create({ model: 'big', prompt: 'Say hello.' });
    assert.deepEqual([usage.prompt_tokens, usage.completion_tokens], [3, 2]);
    console.log(choices[0].text);
    break;
  }
  case 'streamed completion': {
    let text = '';
    for await (const part of await client.completions.create({ model: 'big', prompt: 'Say hello.', stream: true })) {
      text += part.choices[0]?.text ?? '';
    }
    console.log(text);
    break;
  }
  case 'cut completion':
    await tell(async () => {
      const parts = [];
      const request = { model: 'big', prompt: 'Cut the text short.', stream: true };
      for await (const part of await client.completions.create(request)) parts.push(part);
      return parts;
    });
    break;
  case 'embeddings': {
    // The SDK asks for base64, and decodes it.
    const { data, usage } = await client.embeddings.create({ model: 'vectors', input: ['one', 'two'] });
    console.log(JSON.stringify(data.map((vector) => vector.embedding)), usage.prompt_tokens);
    break;
  }
  case 'embeddings as floats': {
    const request = { model: 'vectors', input: 'one', encoding_format: 'float' };
    const { data, usage } = await client.embeddings.create(request);
    console.log(JSON.stringify(data.map((vector) => vector.embedding)), usage.prompt_tokens);
    break;
  }
  case 'refused embeddings':
    await tell(() => client.embeddings.create({ model: 'vectors', input: 'one' }));
    break;
}
