// Uses only Vercel's AI SDK. The settings from docs/clients.md come before these lines. The
// argument is the step.
import { Output, embedMany, generateText, jsonSchema, stepCountIs, streamText, tool } from 'ai';

// It would print hints to developers among the answers.
globalThis.AI_SDK_LOG_WARNINGS = false;

const hello = { model, prompt: 'Say hello.' };
const weather = tool({
  description: 'The weather in a town',
  inputSchema: jsonSchema({ type: 'object', properties: { town: { type: 'string' } }, required: ['town'] }),
  execute: async ({ town }) => `It is sunny in ${town}.`,
});
const schema = jsonSchema({
  type: 'object',
  properties: { town: { type: 'string' }, degrees: { type: 'integer' } },
  required: ['town', 'degrees'],
  additionalProperties: false,
});

// Prints what an attempt returned, or how it failed.
async function tell(attempt) {
  try {
    console.log('whole:', await attempt());
  } catch (error) {
    console.log('failed:', String(error), error?.message ?? JSON.stringify(error));
  }
}

// Returns the text of a stream. Failures go to `onError`.
async function stream(prompt) {
  let text = '';
  let failure;
  const { textStream } = streamText({ model, prompt, onError: ({ error }) => (failure = error) });
  for await (const part of textStream) text += part;
  if (failure) throw failure;
  return text;
}

switch (process.argv[2]) {
  case 'plain':
    console.log((await generateText(hello)).text);
    break;
  case 'stream':
    console.log(await stream('Say hello.'));
    break;
  case 'tools': {
    const question = { model, prompt: 'How is the weather in Oslo?', tools: { weather }, stopWhen: stepCountIs(3) };
    console.log((await generateText(question)).text);
    break;
  }
  case 'structured': {
    const { output } = await generateText({ model, prompt: 'Describe Oslo.', output: Output.object({ schema }) });
    console.log(output.town, output.degrees);
    break;
  }
  case 'cut':
    await tell(() => stream('Cut it short.'));
    break;
  case 'embeddings':
    console.log(JSON.stringify((await embedMany({ model: embeddings, values: ['one', 'two'] })).embeddings));
    break;
  case 'refused':
    await tell(async () => (await generateText(hello)).text);
    break;
}
