// Uses only the OpenAI Agents SDK for JavaScript, like check_agents.py.

import assert from 'node:assert/strict';
import { Agent, run, tool } from '@openai/agents';
import { z } from 'zod';

const weather = tool({
  name: 'weather',
  description: 'The weather in a town',
  parameters: z.object({ town: z.string() }),
  execute: async ({ town }) => `It is sunny in ${town}.`,
});
const Town = z.object({ town: z.string(), degrees: z.number() });
const agent = new Agent({ name: 'Ada', instructions: 'You are terse.' });

async function stream(question) {
  const running = await run(agent, question, { stream: true });
  let text = '';
  for await (const part of running.toTextStream()) text += part;
  await running.completed;
  assert.equal(text, running.finalOutput);
  return text;
}
const ask = async (agent, question) => (await run(agent, question)).finalOutput;

// Prints what an attempt returned, or how it failed.
async function tell(attempt) {
  try {
    console.log('whole:', await attempt());
  } catch (error) {
    console.log('failed:', String(error));
  }
}

switch (process.argv[2]) {
  case 'plain':
    console.log(await ask(agent, 'Say hello.'));
    break;
  case 'stream':
    console.log(await stream('Say hello.'));
    break;
  case 'tools':
    console.log(await ask(new Agent({ name: 'Ada', tools: [weather] }), 'How is the weather in Oslo?'));
    break;
  case 'structured': {
    const { town, degrees } = await ask(new Agent({ name: 'Ada', outputType: Town }), 'Describe Oslo.');
    console.log(town, degrees);
    break;
  }
  case 'cut':
    await tell(() => stream('Cut it short.'));
    break;
  case 'refused':
    await tell(() => ask(agent, 'Say hello.'));
    break;
}
