"""Uses only Anthropic's SDK for Python. The argument is the step. Base URL and key come from the
environment, as usual."""

import sys

import anthropic
from pydantic import BaseModel

WEATHER = {
    "name": "weather",
    "description": "The weather in a town",
    "input_schema": {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]},
}


class Town(BaseModel):
    town: str
    degrees: int


client = anthropic.Anthropic()


def request(question, **more):
    messages = question if isinstance(question, list) else [{"role": "user", "content": question}]
    return {"model": "big", "max_tokens": 100, "messages": messages, **more}


def ask(question, **more):
    return client.messages.create(**request(question, **more))


def streamed(question):
    with client.messages.stream(**request(question)) as stream:
        text = "".join(stream.text_stream)
        return text, stream.get_final_message()


def use_tool():
    question = {"role": "user", "content": "How is the weather in Oslo?"}
    answer = ask([question], tools=[WEATHER])
    assert answer.stop_reason == "tool_use", answer
    (call,) = [block for block in answer.content if block.type == "tool_use"]
    assert (call.name, call.input) == ("weather", {"town": "Oslo"}), call
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "It is sunny in Oslo."}
    said = {"role": "assistant", "content": answer.content}
    return ask([question, said, {"role": "user", "content": [result]}], tools=[WEATHER]).content[0].text


def tell(attempt):
    """Prints what an attempt returned, or how it failed."""
    try:
        print("whole:", attempt())
    except Exception as error:
        print("failed:", repr(error), error)


def assert_complete(answer):
    seen = (answer.stop_reason, answer.usage.input_tokens, answer.usage.output_tokens)
    assert seen == ("end_turn", 3, 2), answer


match sys.argv[1]:
    case "plain":
        answer = ask("Say hello.", system="You are terse.")
        assert_complete(answer)
        print(answer.content[0].text)
    case "stream":
        text, answer = streamed("Say hello.")
        assert_complete(answer)
        assert text == answer.content[0].text, (text, answer)
        print(text)
    case "tools":
        print(use_tool())
    case "structured":
        town = client.messages.parse(**request("Describe Oslo."), output_format=Town).parsed_output
        print(town.town, town.degrees)
    case "cut":
        tell(lambda: streamed("Cut it short."))
    case "refused":
        tell(lambda: ask("Say hello."))
    case "count":
        count = client.messages.count_tokens(model="big", messages=request("Say hello.")["messages"])
        print(count.input_tokens > 0)
