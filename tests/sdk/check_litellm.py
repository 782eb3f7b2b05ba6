"""Uses OpenAI's SDK through LiteLLM's proxy. The argument is the step."""

import os
import sys
import time

import openai

HELLO = [{"role": "user", "content": "Say hello."}]
TOOLS = [{"type": "function", "function": {
    "name": "weather", "parameters": {"type": "object", "properties": {"town": {"type": "string"}}},
}}]

# A proxy without a database has one key for all.
key = "sk-check-0123456789abcdef0123456789abcdef"
client = openai.OpenAI(base_url=f"http://127.0.0.1:{os.environ['PORT']}/v1", api_key=key)


def ask(model="big", **more):
    return client.chat.completions.create(model=model, messages=HELLO, **more)


deadline = time.monotonic() + 120
while True:
    try:
        client.with_options(max_retries=0).models.list()
        break
    except openai.APIConnectionError:
        assert time.monotonic() < deadline, "LiteLLM's proxy did not start"
        time.sleep(0.1)

match sys.argv[1]:
    case "plain":
        print(ask().choices[0].message.content)
    case "stream":
        print("".join(part.choices[0].delta.content or "" for part in ask("small", stream=True) if part.choices))
    case "tools":
        print(ask(tools=TOOLS).choices[0].message.tool_calls[0].function.arguments)
    case "refused":
        try:
            ask()
        except openai.APIStatusError as error:
            print(error.status_code, error.message)
