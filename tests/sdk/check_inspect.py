# Uses only Inspect. The settings from docs/clients.md come before these lines. The argument is the
# step.
import asyncio
import json
import sys

from inspect_ai.model import ChatMessageTool, ChatMessageUser, GenerateConfig, ResponseSchema
from inspect_ai.tool import ToolInfo, ToolParams
from inspect_ai.util import JSONSchema

WEATHER = ToolInfo(
    name="weather",
    description="The weather in a town",
    parameters=ToolParams(properties={"town": JSONSchema(type="string")}, required=["town"]),
)
TOWN = JSONSchema(
    type="object",
    properties={"town": JSONSchema(type="string"), "degrees": JSONSchema(type="integer")},
    required=["town", "degrees"],
    additionalProperties=False,
)


async def use_tool():
    question = ChatMessageUser(content="How is the weather in Oslo?")
    answer = await model.generate([question], tools=[WEATHER])
    (call,) = answer.message.tool_calls
    result = ChatMessageTool(content=f"It is sunny in {call.arguments['town']}.", tool_call_id=call.id)
    return (await model.generate([question, answer.message, result], tools=[WEATHER])).completion


async def describe():
    config = GenerateConfig(response_schema=ResponseSchema(name="town", json_schema=TOWN))
    town = json.loads((await model.generate("Describe Oslo.", config=config)).completion)
    return f"{town['town']} {town['degrees']}"


async def ask(question):
    return (await model.generate(question)).completion


async def stream(question):
    parts = []

    async def note(part):
        parts.append(part)

    text = (await model.generate(question, on_stream=note)).completion
    assert parts, "it was not streamed"
    return text


def tell(attempt):
    """Prints what an attempt returned, or how it failed."""
    try:
        print("whole:", asyncio.run(attempt))
    except BaseException as error:
        print("failed:", repr(error))


match sys.argv[1]:
    case "plain":
        print(asyncio.run(ask("Say hello.")))
    case "stream":
        print(asyncio.run(stream("Say hello.")))
    case "tools":
        print(asyncio.run(use_tool()))
    case "structured":
        print(asyncio.run(describe()))
    case "cut":
        tell(stream("Cut it short."))
    case "refused":
        tell(ask("Say hello."))
