"""Uses only OpenAI's SDK for Python, in the dialects that check.py does not use. The argument is
the step. Base URL and key come from the environment, as usual."""

import sys

import openai
from pydantic import BaseModel

WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "The weather in a town",
    "parameters": {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]},
    "strict": False,
}


class Town(BaseModel):
    town: str
    degrees: int


client = openai.OpenAI()


def ask(question, **more):
    return client.responses.create(model="big", input=question, **more)


def streamed(question):
    with client.responses.stream(model="big", input=question) as stream:
        events = list(stream)
        return "".join(event.delta for event in events if event.type == "response.output_text.delta"), stream


def use_tool():
    question = [{"role": "user", "content": "How is the weather in Oslo?"}]
    (call,) = [item for item in ask(question, tools=[WEATHER]).output if item.type == "function_call"]
    assert (call.name, call.arguments) == ("weather", '{"town":"Oslo"}'), call
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "It is sunny in Oslo."}
    return ask([*question, call, result], tools=[WEATHER]).output_text


def tell(attempt):
    """Prints what an attempt returned, or how it failed."""
    try:
        print("whole:", attempt())
    except Exception as error:
        print("failed:", repr(error), error)


match sys.argv[1]:
    case "plain":
        answer = ask("Say hello.")
        assert (answer.status, answer.usage.input_tokens, answer.usage.output_tokens) == ("completed", 3, 2), answer
        print(answer.output_text)
    case "stream":
        text, stream = streamed("Say hello.")
        answer = stream.get_final_response()
        assert (answer.status, answer.usage.input_tokens, answer.usage.output_tokens) == ("completed", 3, 2), answer
        assert text == answer.output_text, (text, answer)
        print(text)
    case "tools":
        print(use_tool())
    case "structured":
        town = client.responses.parse(model="big", input="Describe Oslo.", text_format=Town).output_parsed
        print(town.town, town.degrees)
    case "cut":
        tell(lambda: streamed("Cut it short.")[1].get_final_response())
    case "refused":
        tell(lambda: ask("Say hello."))
    case "stored":
        first = ask("Say hello.")
        assert client.responses.retrieve(first.id).output_text == first.output_text
        print(ask("Say it again.", previous_response_id=first.id).output_text)
        client.responses.delete(first.id)
        tell(lambda: client.responses.retrieve(first.id))
    case "completion":
        answer = client.completions.create(model="big", prompt="Say hello.")
        assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (3, 2), answer
        print(answer.choices[0].text)
    case "streamed completion":
        parts = client.completions.create(model="big", prompt="Say hello.", stream=True)
        print("".join(part.choices[0].text for part in parts if part.choices))
    case "cut completion":
        tell(lambda: list(client.completions.create(model="big", prompt="Cut the text short.", stream=True)))
    case "embeddings":
        # The SDK asks for base64, and decodes it.
        answer = client.embeddings.create(model="vectors", input=["one", "two"])
        print([vector.embedding for vector in answer.data], answer.usage.prompt_tokens)
    case "embeddings as floats":
        answer = client.embeddings.create(model="vectors", input="one", encoding_format="float")
        print([vector.embedding for vector in answer.data], answer.usage.prompt_tokens)
    case "refused embeddings":
        tell(lambda: client.embeddings.create(model="vectors", input="one"))
