# Uses only LlamaIndex. The settings from docs/clients.md come before these lines. The argument is
# the step.
import asyncio
import sys

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.prompts import PromptTemplate
from pydantic import BaseModel


class Town(BaseModel):
    town: str
    degrees: int


def weather(town: str) -> str:
    """The weather in a town"""
    return f"It is sunny in {town}."


async def use_tool():
    return await FunctionAgent(tools=[weather], llm=llm).run("How is the weather in Oslo?")


def stream(question):
    return "".join(part.delta for part in llm.stream_complete(question))


def tell(attempt):
    """Prints what an attempt returned, or how it failed."""
    try:
        print("whole:", attempt())
    except Exception as error:
        print("failed:", repr(error))


match sys.argv[1]:
    case "plain":
        print(llm.complete("Say hello."))
    case "stream":
        print(stream("Say hello."))
    case "tools":
        print(asyncio.run(use_tool()))
    case "structured":
        town = llm.structured_predict(Town, PromptTemplate("Describe Oslo."))
        print(town.town, town.degrees)
    case "cut":
        tell(lambda: stream("Cut it short."))
    case "embeddings":
        print(embeddings.get_text_embedding_batch(["one", "two"]))
    case "refused":
        tell(lambda: llm.complete("Say hello."))
