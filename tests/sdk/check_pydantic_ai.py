# Uses only Pydantic AI. The settings from docs/clients.md come before these lines. The argument is
# the step.
import asyncio
import sys

agent = Agent(model)


async def stream():
    async with agent.run_stream("Say hello.") as answer:
        return "".join([text async for text in answer.stream_text(delta=True)])


match sys.argv[1]:
    case "plain":
        print(agent.run_sync("Say hello.").output)
    case "stream":
        print(asyncio.run(stream()))
    case "tools":

        @agent.tool_plain
        def weather(town: str) -> str:
            """The weather in a town"""
            return f"It is sunny in {town}."

        print(agent.run_sync("How is the weather in Oslo?").output)
    case "refused":
        try:
            agent.run_sync("Say hello.")
        except Exception as error:
            print(repr(error), error)
