# Uses only Pydantic AI. The settings from docs/clients.md come before these lines. The argument is
# the step.
import asyncio
import sys

from pydantic import BaseModel

agent = Agent(model)


class Town(BaseModel):
    town: str
    degrees: int


async def stream(question):
    async with agent.run_stream(question) as answer:
        return "".join([text async for text in answer.stream_text(delta=True)])


def tell(attempt):
    """Prints what an attempt returned, or how it failed."""
    try:
        print("whole:", attempt())
    except Exception as error:
        print("failed:", repr(error), error)


match sys.argv[1]:
    case "plain":
        print(agent.run_sync("Say hello.").output)
    case "stream":
        print(asyncio.run(stream("Say hello.")))
    case "tools":

        @agent.tool_plain
        def weather(town: str) -> str:
            """The weather in a town"""
            return f"It is sunny in {town}."

        print(agent.run_sync("How is the weather in Oslo?").output)
    case "structured":
        town = Agent(model, output_type=Town).run_sync("Describe Oslo.").output
        print(town.town, town.degrees)
    case "cut":
        tell(lambda: asyncio.run(stream("Cut it short.")))
    case "refused":
        tell(lambda: agent.run_sync("Say hello.").output)
