"""Does what Open WebUI's page does when its user sends a message. The argument is the step."""

import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid

BASE = f"http://127.0.0.1:{os.environ['PORT']}"
token = None


def call(path, body=None):
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(BASE + path, data, headers), timeout=60) as answer:
        return json.load(answer)


def until(what, condition, seconds=150):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.1)
    return value


def is_up():
    try:
        return call("/health")
    except (urllib.error.URLError, ConnectionError):
        return None


def send(chat, text):
    """Adds a question and the answer's place to the chat, as the page does, and asks."""
    history = chat["chat"]["history"]
    question, reply, parent = str(uuid.uuid4()), str(uuid.uuid4()), history["currentId"]
    now = int(time.time())
    is_first = parent is None
    messages = history["messages"]
    if parent:
        messages[parent]["childrenIds"].append(question)
    messages[question] = {"id": question, "parentId": parent, "childrenIds": [reply], "role": "user",
                          "content": text, "timestamp": now, "models": ["big"]}
    messages[reply] = {"id": reply, "parentId": question, "childrenIds": [], "role": "assistant", "content": "",
                       "model": "big", "modelName": "big", "modelIdx": 0, "timestamp": now}
    history["currentId"] = reply
    call(f"/api/v1/chats/{chat['id']}", {"chat": chat["chat"]})
    said = [{"role": message["role"], "content": message["content"]} for message in messages.values()]
    # Title and tags are made once.
    tasks = {"title_generation": True, "tags_generation": True} if is_first else {}
    call("/api/chat/completions", {
        "stream": True, "model": "big", "messages": said[:-1], "params": {}, "features": {}, "variables": {},
        "chat_id": chat["id"], "id": reply, "parent_id": question, "user_message": messages[question],
        "session_id": "page", "background_tasks": {**tasks, "follow_up_generation": True},
    })
    return reply


def load(chat):
    return call(f"/api/v1/chats/{chat['id']}")


def answer(chat, reply, *fields):
    """Waits until the answer has these fields, and returns it."""
    def is_done():
        message = load(chat)["chat"]["history"]["messages"][reply]
        return message if all(message.get(field) for field in fields) else None
    return until(f"{fields}", is_done)


until("Open WebUI's start", is_up)
token = call("/api/v1/auths/signin", {"email": "", "password": ""})["token"]
match sys.argv[1]:
    case "first" | "refused":
        empty = {"title": "New Chat", "models": ["big"], "history": {"messages": {}, "currentId": None}}
        chat = call("/api/v1/chats/new", {"chat": empty})
    case "second":
        chat = load(call("/api/v1/chats/?page=1")[0])
reply = send(chat, "Say hello.")
if sys.argv[1] == "refused":
    print(answer(chat, reply, "error")["error"])
else:
    print(repr(answer(chat, reply, "done", "followUps")["content"]), load(chat)["chat"]["history"]["messages"][reply]["followUps"])
if sys.argv[1] == "first":
    until("the title", lambda: load(chat)["title"] == "Greeting")
    until("the tags", lambda: call(f"/api/v1/chats/{chat['id']}/tags"))
    print(repr(load(chat)["title"]))
