# Uses only LlamaIndex. The settings from docs/clients.md come before these lines. The argument is
# the step.
import asyncio
import sys

from llama_index.core.agent.workflow import FunctionAgent


def weather(town: str) -> str:
    """The weather in a town"""
    return f"It is sunny in {town}."


async def use_tool():
    return await FunctionAgent(tools=[weather], llm=llm).run("How is the weather in Oslo?")


match sys.argv[1]:
    case "plain":
        print(llm.complete("Say hello."))
    case "stream":
        print("".join(part.delta for part in llm.stream_complete("Say hello.")))
    case "tools":
        print(asyncio.run(use_tool()))
    case "refused":
        try:
            llm.complete("Say hello.")
        except Exception as error:
            print(repr(error))
