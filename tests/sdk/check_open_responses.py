"""Sends what the compliance tests of Open Responses send, and checks all that comes back with the
types that were generated from its OpenAPI document. The argument is the case. Base URL and key come
from the environment, as for OpenAI's SDK."""

import inspect
import json
import os
import sys

import openresponses_types as types
import requests

BASE = os.environ["OPENAI_BASE_URL"]
HEADERS = {"Authorization": f"Bearer {os.environ['OPENAI_API_KEY']}"}
# One pixel.
PICTURE = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    "gg=="
)
WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "The weather in a town",
    "parameters": {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]},
}


def message(content, role="user"):
    return {"type": "message", "role": role, "content": content}


def name_of(kind):
    """Returns the name of the events of this type."""
    (name,) = kind.model_fields["type"].annotation
    return name.value


def is_event(kind):
    return inspect.isclass(kind) and kind.__name__.endswith("StreamingEvent")


EVENTS = {name_of(kind): kind for kind in vars(types).values() if is_event(kind)}
assert len(EVENTS) == 24, sorted(EVENTS)


def check(kind, data):
    """Checks an object of the answer with a type, and returns it as a `dict`."""
    kind.model_validate_json(json.dumps(data), strict=True)
    return data


def post(**body):
    return requests.post(f"{BASE}/responses", json={"model": "big", **body}, headers=HEADERS, timeout=60)


def checked(answer):
    assert answer.status_code == 200, answer.text
    return check(types.ResponseResource, answer.json())


def ask(*messages, status="completed", **more):
    response = checked(post(input=list(messages), **more))
    assert response["status"] == status, response
    assert response["output"], response
    return response


def stored(response):
    """Returns the response as it is stored."""
    return checked(requests.get(f"{BASE}/responses/{response['id']}", headers=HEADERS, timeout=60))


def text_of(response):
    parts = [part for item in response["output"] if item["type"] == "message" for part in item["content"]]
    return "".join(part["text"] for part in parts)


def events_of(answer):
    """Returns the events of a stream, each of which fits its type."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].split(";")[0] == "text/event-stream", answer.headers
    blocks = [block for block in answer.text.split("\n\n") if block.strip() and not block.startswith(":")]
    assert blocks[-1] == "data: [DONE]", blocks[-1]
    events = []
    for block in blocks[:-1]:
        name, data = block.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}", block
        events.append(check(EVENTS[event["type"]], event))
    assert [event["sequence_number"] for event in events] == list(range(len(events))), events
    return events


def check_order(events):
    """Checks that items and their parts begin, grow and end in this order, and that the whole answer
    has all of them."""
    names = [event["type"] for event in events]
    assert names[:2] == ["response.created", "response.in_progress"], names
    items, parts = {}, {}
    for event in events[2:-1]:
        kind, index = event["type"], event["output_index"]
        part = (index, event.get("content_index"))
        match kind.removeprefix("response."):
            case "output_item.added":
                assert index == len(items), event
                items[index] = event["item"]
            case "output_item.done":
                assert event["item"]["id"] == items[index]["id"], event
                items[index] = event["item"]
            case "content_part.added":
                assert event["item_id"] == items[index]["id"], event
                parts[part] = ""
            case "output_text.delta" | "function_call_arguments.delta":
                assert event["item_id"] == items[index]["id"], event
                parts[part] = parts.get(part, "") + event["delta"]
            case "output_text.done":
                assert event["text"] == parts[part], event
            case "function_call_arguments.done":
                assert event["arguments"] == parts[part], event
            case "content_part.done":
                assert event["part"]["text"] == parts[part], event
            case other:
                raise AssertionError(f"unexpected: {event}")
    whole = events[-1]["response"]
    assert whole["output"] == list(items.values()), (whole, items)
    return whole


def stream(*messages, **more):
    events = events_of(post(input=list(messages), stream=True, **more))
    assert events[-1]["type"] == "response.completed", events[-1]
    response = check_order(events)
    assert stored(response) == response, "the stored response differs"
    return response, [event["type"] for event in events]


def call_of(response):
    (call,) = [item for item in response["output"] if item["type"] == "function_call"]
    return f"{call['name']} {call['arguments']}"


match sys.argv[1]:
    case "basic text":
        response = ask(message("Say hello."))
        assert stored(response) == response, "the stored response differs"
        print(text_of(response))
    case "streaming":
        response, names = stream(message("Say hello."))
        assert "response.output_text.delta" in names, names
        print(text_of(response))
    case "system prompt":
        print(text_of(ask(message("You are a pirate.", "system"), message("Say hello."))))
    case "tool calling":
        print(call_of(ask(message("How is the weather in Oslo?"), tools=[WEATHER])))
    case "streamed tool calling":
        response, names = stream(message("How is the weather in Oslo?"), tools=[WEATHER])
        assert "response.function_call_arguments.delta" in names, names
        print(call_of(response))
    case "image input":
        picture = {"type": "input_image", "image_url": PICTURE}
        print(text_of(ask(message([{"type": "input_text", "text": "What is this?"}, picture]))))
    case "several turns":
        turns = [message("My name is Ada."), message("Hello, Ada!", "assistant"), message("What is my name?")]
        print(text_of(ask(*turns)))
    case "a previous response":
        first = ask(message("Say hello."))
        second = ask(message("Say it again."), previous_response_id=first["id"])
        assert second["previous_response_id"] == first["id"], second
        print(text_of(second))
    case "an answer that is too long":
        response = ask(message("Say hello."), status="incomplete", max_output_tokens=1)
        assert response["incomplete_details"] == {"reason": "max_output_tokens"}, response
        print(text_of(response))
    case "a stream that breaks off":
        events = events_of(post(input="Cut it short.", stream=True))
        names = [event["type"] for event in events]
        assert names[-2:] == ["error", "response.failed"], names
        assert events[-1]["response"]["status"] == "failed", events[-1]
        assert "response.completed" not in names, names
        print("failed:", events[-1]["response"]["error"]["message"])
    case "refused":
        answer = post(input="Say hello.")
        print("failed:", answer.status_code, answer.json()["error"]["message"])
