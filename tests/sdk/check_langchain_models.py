# Uses only LangChain. The settings from docs/clients.md come before these lines. The argument is
# the step.
import sys

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import BaseModel


class Town(BaseModel):
    """A town"""

    town: str
    degrees: int


@tool
def weather(town: str) -> str:
    """The weather in a town"""
    return f"It is sunny in {town}."


def stream(question):
    whole = None
    for part in model.stream(question):
        whole = part if whole is None else whole + part
    return whole


def use_tool():
    helped = model.bind_tools([weather])
    question = HumanMessage("How is the weather in Oslo?")
    answer = helped.invoke([question])
    (call,) = answer.tool_calls
    return helped.invoke([question, answer, ToolMessage(weather.invoke(call["args"]), tool_call_id=call["id"])])


def tell(attempt):
    """Prints what an attempt returned, or how it failed."""
    try:
        print("whole:", attempt())
    except Exception as error:
        print("failed:", repr(error))


match sys.argv[1]:
    case "plain":
        answer = model.invoke("Say hello.")
        usage = answer.usage_metadata
        assert (usage["input_tokens"], usage["output_tokens"]) == (3, 2), usage
        print(answer.text)
    case "stream":
        answer = stream("Say hello.")
        usage = answer.usage_metadata
        assert (usage["input_tokens"], usage["output_tokens"]) == (3, 2), usage
        print(answer.text)
    case "tools":
        print(use_tool().text)
    case "structured":
        town = model.with_structured_output(Town).invoke("Describe Oslo.")
        print(town.town, town.degrees)
    case "cut":
        tell(lambda: stream("Cut it short.").text)
    case "embeddings":
        print(embeddings.embed_documents(["one", "two"]))
    case "refused":
        tell(lambda: model.invoke("Say hello.").text)
