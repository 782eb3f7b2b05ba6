# Uses only Mirascope. The settings from docs/clients.md come before these lines. The argument is
# the step.
import sys

from pydantic import BaseModel


class Town(BaseModel):
    town: str
    degrees: int


@llm.tool
def weather(town: str) -> str:
    """The weather in a town"""
    return f"It is sunny in {town}."


def stream(question):
    return "".join(model.stream(question).text_stream())


def use_tool():
    answer = model.call("How is the weather in Oslo?", tools=[weather])
    return answer.resume(answer.execute_tools()).text()


def tell(attempt):
    """Prints what an attempt returned, or how it failed."""
    try:
        print("whole:", attempt())
    except Exception as error:
        print("failed:", repr(error))


match sys.argv[1]:
    case "plain":
        print(model.call("Say hello.").text())
    case "stream":
        print(stream("Say hello."))
    case "tools":
        print(use_tool())
    case "structured":
        town = model.call("Describe Oslo.", format=Town).parse()
        print(town.town, town.degrees)
    case "cut":
        tell(lambda: stream("Cut it short."))
    case "refused":
        tell(lambda: model.call("Say hello.").text())
