"""Uses only the OpenAI Agents SDK for Python. The argument is the step. Its settings come from the
environment."""

import asyncio
import sys

from agents import Agent, Runner, function_tool
from openai.types.responses import ResponseTextDeltaEvent
from pydantic import BaseModel


class Town(BaseModel):
    town: str
    degrees: int


@function_tool
def weather(town: str) -> str:
    """The weather in a town"""
    return f"It is sunny in {town}."


agent = Agent(name="Ada", instructions="You are terse.")


async def stream(question):
    text, running = "", Runner.run_streamed(agent, question)
    async for event in running.stream_events():
        if event.type == "raw_response_event" and isinstance(event.data, ResponseTextDeltaEvent):
            text += event.data.delta
    assert text == running.final_output, (text, running.final_output)
    return text


def ask(agent, question):
    return Runner.run_sync(agent, question).final_output


def tell(attempt):
    """Prints what an attempt returned, or how it failed."""
    try:
        print("whole:", attempt())
    except Exception as error:
        print("failed:", repr(error), error)


match sys.argv[1]:
    case "plain":
        print(ask(agent, "Say hello."))
    case "stream":
        print(asyncio.run(stream("Say hello.")))
    case "tools":
        print(ask(Agent(name="Ada", tools=[weather]), "How is the weather in Oslo?"))
    case "structured":
        town = ask(Agent(name="Ada", output_type=Town), "Describe Oslo.")
        print(town.town, town.degrees)
    case "cut":
        tell(lambda: asyncio.run(stream("Cut it short.")))
    case "refused":
        tell(lambda: ask(agent, "Say hello."))
