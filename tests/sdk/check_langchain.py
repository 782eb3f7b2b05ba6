"""A program that uses only langchain-openai, like check.py."""

import json
import os

import openai
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI

MODEL = "smollm2-135m"
MESSAGES = [SystemMessage("You are terse."), HumanMessage("Say hello.")]

seen = []


def count(usage):
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"], usage
    seen.append([usage["input_tokens"], usage["output_tokens"]])


model = ChatOpenAI(model=MODEL, max_tokens=12, temperature=0)
answer = model.invoke(MESSAGES)
assert answer.content and answer.response_metadata["finish_reason"], answer
count(answer.usage_metadata)

whole = None
for chunk in ChatOpenAI(model=MODEL, max_tokens=12, temperature=0, stream_usage=True).stream(MESSAGES):
    whole = chunk if whole is None else whole + chunk
assert whole.content, whole
count(whole.usage_metadata)

try:
    ChatOpenAI(model=MODEL, max_tokens=12, api_key=os.environ["EMPTY_KEY"]).invoke(MESSAGES)
except openai.APIStatusError as error:
    assert (error.status_code, error.code) == (402, "insufficient_quota"), repr(error)
else:
    raise AssertionError("expected a refusal")

print(json.dumps(seen))
