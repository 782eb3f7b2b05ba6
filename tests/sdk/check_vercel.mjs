// Uses only Vercel's AI SDK. The settings from docs/clients.md come before these lines. The
// argument is the step.
import { generateText, jsonSchema, stepCountIs, streamText, tool } from 'ai';

const hello = { model, prompt: 'Say hello.' };
const weather = tool({
  description: 'The weather in a town',
  inputSchema: jsonSchema({ type: 'object', properties: { town: { type: 'string' } }, required: ['town'] }),
  execute: async ({ town }) => `It is sunny in ${town}.`,
});

switch (process.argv[2]) {
  case 'plain':
    console.log((await generateText(hello)).text);
    break;
  case 'stream': {
    let text = '';
    for await (const part of streamText(hello).textStream) text += part;
    console.log(text);
    break;
  }
  case 'tools': {
    const question = { model, prompt: 'How is the weather in Oslo?', tools: { weather }, stopWhen: stepCountIs(3) };
    console.log((await generateText(question)).text);
    break;
  }
  case 'refused':
    await generateText(hello).catch((error) => console.log(String(error)));
    break;
}
