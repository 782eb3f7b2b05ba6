"""A program that uses only OpenAI's Python SDK.

Base URL and key come from OPENAI_BASE_URL and OPENAI_API_KEY, as usual; EMPTY_KEY is the key of a
user without balance. It prints the usage of each answer as JSON, in the order of the questions,
with `null` where it saw none. What the model says is not checked: it is small, and says anything.
At temperature 0 it always says the same.
"""

import json
import os

import openai

MODEL = "smollm2-135m"
HELLO = [{"role": "user", "content": "Say hello."}]
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "The weather in a town",
            "parameters": {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]},
        },
    }
]

client = openai.OpenAI()
seen = []


def count(usage):
    assert usage.prompt_tokens > 0 and usage.completion_tokens > 0, usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens, usage
    seen.append([usage.prompt_tokens, usage.completion_tokens])
    return usage


def ask(messages=HELLO, **more):
    answer = client.chat.completions.create(model=MODEL, messages=messages, **{"max_tokens": 12, "temperature": 0, **more})
    assert answer.object == "chat.completion" and answer.id and answer.created and answer.model, answer
    (choice,) = answer.choices
    assert choice.index == 0 and choice.message.role == "assistant", answer
    assert choice.finish_reason in ("stop", "length", "tool_calls"), answer
    count(answer.usage)
    return answer


def stream(messages=HELLO, **more):
    """Returns the usage of a stream, if it has one."""
    text, reasons, usage, ids = "", [], None, set()
    chunks = client.chat.completions.create(
        model=MODEL, messages=messages, max_tokens=12, temperature=0, stream=True, **more
    )
    for chunk in chunks:
        assert chunk.object == "chat.completion.chunk", chunk
        assert usage is None, f"something came after the usage: {chunk}"
        ids.add(chunk.id)
        usage = chunk.usage
        assert bool(chunk.choices) != bool(usage), chunk
        for choice in chunk.choices:
            text += choice.delta.content or ""
            reasons += [choice.finish_reason] if choice.finish_reason else []
    assert text and len(reasons) == 1 and len(ids) == 1, (text, reasons, ids)
    return usage


def refused(kind, status, code, key, ask):
    """Checks that the call is refused with this error, and not retried."""
    attempts = []
    http = openai.DefaultHttpxClient(event_hooks={"request": [attempts.append]})
    try:
        ask(openai.OpenAI(api_key=key, http_client=http))
    except openai.APIStatusError as error:
        assert type(error) is kind, repr(error)
        assert (error.status_code, error.code) == (status, code), repr(error)
        assert error.type and error.body["message"] and "param" in error.body, error.body
        assert len(attempts) == 1, f"{len(attempts)} attempts at {status}"
        return error
    raise AssertionError(f"expected a refusal with {status}")


def completion(model):
    return lambda client: client.chat.completions.create(model=model, messages=HELLO, max_tokens=12)


# Answers.
plain = ask()
assert plain.choices[0].message.content, plain
assert stream() is None, "usage that was not requested"
seen.append(None)
count(stream(stream_options={"include_usage": True}))

short = ask([{"role": "system", "content": "You are terse."}, *HELLO])
long = ask(
    [
        {"role": "system", "content": "You are terse."},
        *HELLO,
        {"role": "assistant", "content": "Hello! How can I help you today?"},
        {"role": "user", "content": [{"type": "text", "text": "Say it again."}]},
    ]
)
assert long.usage.prompt_tokens > short.usage.prompt_tokens, "the model did not get all messages"

cut = ask([{"role": "user", "content": "Count from 1 to 100."}], max_tokens=8)
assert cut.usage.completion_tokens == 8 and cut.choices[0].finish_reason == "length", cut
ask(temperature=1.5, top_p=0.9, seed=7)
stopped = ask(stop=["e", "a", "o"], max_tokens=30).choices[0]
assert stopped.finish_reason == "stop" and not set("eao") & set(stopped.message.content), stopped
ask(tools=TOOLS)
ask(tools=TOOLS, tool_choice="auto", max_tokens=30)

# Models.
models = client.models.list()
assert MODEL in [model.id for model in models] and models.object == "list", models
model = client.models.retrieve(MODEL)
assert (model.id, model.object) == (MODEL, "model") and model.owned_by, model

# Refusals.
KEY, EMPTY = client.api_key, os.environ["EMPTY_KEY"]
refused(openai.AuthenticationError, 401, "invalid_api_key", "tg_nobodys", completion(MODEL))
refused(openai.AuthenticationError, 401, "invalid_api_key", "tg_nobodys", lambda client: client.models.list())
broke = refused(openai.APIStatusError, 402, "insufficient_quota", EMPTY, completion(MODEL))
assert broke.type == "insufficient_quota", broke.body
refused(openai.NotFoundError, 404, "model_not_found", KEY, completion("nobodys-model"))
refused(openai.NotFoundError, 404, "model_not_found", KEY, lambda client: client.models.retrieve("nobodys-model"))

print(json.dumps(seen))
