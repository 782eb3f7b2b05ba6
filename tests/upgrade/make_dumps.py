#!/usr/bin/env python3
"""Fills a database of a released version with rows of every kind, and records its contents.

    make_dumps.py BINARY DATABASE_URL FOLDER

BINARY is the release binary of the version. DATABASE_URL is an empty SQLite file or PostgreSQL
database. The rows are made through the binary's own API, panel and commands. Only what needs time to
pass, or an import, is set by SQL (sqlite3 or psql must be on the PATH). Writes FOLDER/expected.json.
The dump itself is made afterwards, see README.md.
"""

import atexit
import http.client
import http.server
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse

BINARY, URL, FOLDER = sys.argv[1:4]
IS_SQLITE = not URL.startswith("postgres")
# Not a secret: the users exist only in the dump.
PASSWORD = "a plain pass phrase 7"
NEW_PASSWORD = "another pass phrase 9"


class Upstream(http.server.BaseHTTPRequestHandler):
    """An LLM that fails, hangs, stalls or breaks if the message says so."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        message = body["messages"][-1]["content"]
        if "fail" in message:
            self.send_response(500)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.event({"choices": [{"index": 0, "delta": {"role": "assistant"}, "finish_reason": None}]})
        if "hang" in message:
            time.sleep(600)
        for word in f"Answer to {message}".split():
            self.event({"choices": [{"index": 0, "delta": {"content": word + " "}, "finish_reason": None}]})
        if "stall" in message:
            time.sleep(600)
        if "break" in message:
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        if "uncounted" not in message:
            usage = {"prompt_tokens": 12, "completion_tokens": 34, "total_tokens": 46}
            self.event({"choices": [], "usage": usage})
        self.chunk(b"data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def event(self, value):
        value = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", **value}
        self.chunk(f"data: {json.dumps(value)}\n\n".encode())

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()


class Server:
    def __init__(self, *flags):
        words = [BINARY, "serve", "--bind", "127.0.0.1:0", "--database-url", URL, "--throttle", "off"]
        words += ["--bcrypt-cost", "4", "--log", "info", *flags]
        self.process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env={})
        atexit.register(self.process.kill)
        self.lines = []
        for line in self.process.stderr:
            self.lines.append(line)
            found = re.search(r"listening on http://127\.0\.0\.1:(\d+)", line)
            if found:
                self.port = int(found[1])
                break
        else:
            raise SystemExit("".join(self.lines))
        threading.Thread(target=lambda: self.lines.extend(self.process.stderr), daemon=True).start()

    def send(self, method, path, headers=None, body=b""):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer, text

    def call(self, status, method, path, token=None, body=None, key=None):
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if key:
            headers["Idempotency-Key"] = key
        answer, text = self.send(method, path, headers, json.dumps(body) if body is not None else b"")
        assert answer.status == status, (method, path, answer.status, text)
        return json.loads(text) if text else None

    def login(self, name, password=PASSWORD):
        return self.call(200, "POST", "/login/", body={"username": name, "password": password})["token"]

    def chat(self, token, message, status=201, key=None, **fields):
        return self.call(status, "POST", "/chat/", token, {"message": message, **fields}, key)

    def leave(self, token, message, is_stream):
        """Sends a message and returns the connection, during the stream or before the answer begins."""
        body = json.dumps({"model": "small-1", "stream": is_stream, "messages": [{"role": "user", "content": message}]})
        client = socket.create_connection(("127.0.0.1", self.port))
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        client.sendall((head + body).encode())
        if is_stream:
            read = b""
            while b"to" not in read:
                read += client.recv(4096)
        return client

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait()


class Browser:
    def __init__(self, server, name, password=PASSWORD):
        self.server, self.cookie = server, None
        self.submit("/admin/sign-in/", username=name, password=password)

    def headers(self):
        origin = f"127.0.0.1:{self.server.port}"
        headers = {"Host": origin, "Origin": f"http://{origin}", "User-Agent": "a browser of the dump"}
        if self.cookie:
            headers["Cookie"] = self.cookie
        return headers

    def took(self, answer):
        cookie = answer.getheader("Set-Cookie")
        self.cookie = cookie.split(";")[0] if cookie else self.cookie

    def get(self, path):
        answer, text = self.server.send("GET", path, self.headers())
        assert answer.status == 200, (path, answer.status, text)
        self.took(answer)
        return text

    def post(self, path, fields, statuses=(303, 201)):
        headers = {**self.headers(), "Content-Type": "application/x-www-form-urlencoded"}
        answer, text = self.server.send("POST", path, headers, urllib.parse.urlencode(fields))
        assert answer.status in statuses, (path, answer.status, text)
        self.took(answer)
        return text

    def submit(self, path, **fields):
        """Sends the form of a page with its hidden fields and these fields."""
        return self.post(path, {**hidden(self.get(path)), **fields})


def hidden(page):
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page))


def sql(statement):
    if IS_SQLITE:
        statement = "PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON; PRAGMA recursive_triggers = ON; " + statement
        words = ["sqlite3", "-bail", URL, statement]
    else:
        words = ["psql", "-qAt", "-v", "ON_ERROR_STOP=1", URL, "-c", statement]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip().splitlines()


def number(query):
    return int(sql(query)[-1])


def id_of(name):
    return number(f"SELECT id FROM users WHERE username = '{name}'")


def wait_for(query):
    while number(query) == 0:
        time.sleep(0.05)


def accounts():
    """Makes users, auth tokens of every kind, chats with the dummy, keys and conversations."""
    made = subprocess.run(
        [BINARY, "createsuperuser", "--username", "root", "--password-stdin", "--database-url", URL, "--bcrypt-cost", "4"],
        input=PASSWORD + "\n", text=True, env={})
    assert made.returncode == 0
    server = Server()
    tokens = {}
    for name in ["ada", "Grace.Hopper", "ian", "wanda", "zoë", "bob", "poor"]:
        server.call(201, "POST", "/register/", body={"username": name, "password": PASSWORD})
        tokens[name] = server.login(name)
    ada = tokens["ada"]
    tokens["ada's other log-in"] = server.login("ada")
    tokens["ada's script"] = server.call(201, "POST", "/auth-tokens/", ada, {"name": "script"})["token"]
    tokens["ada's until 2125"] = server.call(
        201, "POST", "/auth-tokens/", ada, {"name": "for long", "expires_in_days": 36000})["token"]
    for name in ["revoked", "expired"]:
        made = server.call(201, "POST", "/auth-tokens/", ada, {"name": name, "expires_in_days": 1})
        tokens[f"dead: {name}"] = made["token"]
        if name == "revoked":
            server.call(204, "DELETE", f"/auth-tokens/{made['id']}/", ada)
    tokens["dead: logged out"] = server.login("bob")
    server.call(200, "POST", "/logout/", tokens["dead: logged out"], {})
    sql("UPDATE auth_tokens SET expires_at = '2026-01-01 00:00:00' WHERE name = 'expired'")
    server.call(200, "POST", "/password/", tokens["Grace.Hopper"],
                {"old_password": PASSWORD, "new_password": NEW_PASSWORD})
    for name, count in [("ada", 30), ("Grace.Hopper", 5), ("wanda", 4), ("zoë", 3), ("ian", 2)]:
        for turn in range(count):
            server.chat(tokens[name], f"message {turn} of {name}: Grüße, 東京 & <b>x</b>")
    server.chat(ada, "with a key", key="key-1")
    server.chat(ada, "with a key", key="key-1")
    for title in ["Trains", "gone", ""]:
        conversation = server.call(201, "POST", "/conversations/", ada, {"title": title})["id"]
        server.chat(ada, f"in {title}", conversation_id=conversation)
        if title == "gone":
            server.call(204, "DELETE", f"/conversations/{conversation}/", ada)
    server.end()
    return tokens


def upstream_chats(tokens, upstream):
    """Makes models with prices, and chats that end in every way."""
    flags = ["--responder", "openai", "--upstream-models", "small-1,by-usage,withdrawn"]
    server = Server(*flags, "--upstream-url", f"http://127.0.0.1:{upstream}/v1")
    wait_for("SELECT count(*) FROM models")
    root = Browser(server, "root")
    model = lambda name: number(f"SELECT id FROM models WHERE name = '{name}'")
    root.submit(f"/admin/models/{model('by-usage')}/", price="usage", base="7", prompt="1000", answer="2000")
    root.submit(f"/admin/models/{model('withdrawn')}/", price="message", withdrawn="1")
    ada = tokens["ada"]
    root.submit(f"/admin/users/{id_of('ada')}/adjust/", amount="20000", reason="enough for holds by usage")
    for _ in range(3):
        server.chat(ada, "to an upstream")
    for message in ["by usage", "by usage, uncounted"]:
        body = {"model": "by-usage", "messages": [{"role": "user", "content": message}]}
        server.call(200, "POST", "/v1/chat/completions", ada, body)
    server.chat(ada, "fail", status=502)
    server.chat(tokens["bob"], "break in the middle", status=502)
    server.leave(ada, "stall while streaming", True).close()
    wait_for("SELECT count(*) FROM chats WHERE state = 'cancelled'")
    return server, root


def pending(server, tokens):
    """Makes two chats that are still being answered."""
    clients = [server.leave(tokens["bob"], "hang before the first byte", False)]
    wait_for("SELECT count(*) FROM chats WHERE state = 'pending'")
    clients.append(server.leave(tokens["ada"], "stall for ever", True))
    wait_for("SELECT count(*) / 2 FROM chats WHERE state = 'pending'")
    return clients


def panel(server, root, tokens):
    """Does what administrators do, to one user and in bulk. Returns their session secrets."""
    user = lambda name: f"/admin/users/{id_of(name)}"
    root.submit(f"{user('ada')}/adjust/", amount="+500", reason="a prize")
    root.submit(f"{user('zoë')}/adjust/", amount="-100", reason="a mistake of ours")
    root.submit(f"{user('poor')}/adjust/", amount="-3990", reason="nearly nothing left")
    chat = number(f"SELECT min(id) FROM chats WHERE user_id = {id_of('ada')}")
    root.submit(f"/admin/chats/{chat}/refund/", reason="it was no use")
    root.submit(f"{user('zoë')}/limits/", concurrent_chats="3", requests_per_minute="0")
    root.submit(f"{user('Grace.Hopper')}/edit/", username="Grace.Hopper", active="1", staff="1")
    root.submit(f"{user('ian')}/deactivate/")
    root.submit("/admin/auth-tokens/add/", user="zoë", name="made in the panel", days="")
    root.submit("/admin/settings/", time_zone="Europe/Berlin", page_size="25", theme="dark")
    root.submit("/admin/users/add/", username="made.in.the.panel", password=PASSWORD, again=PASSWORD, tokens="0")
    page = root.get("/admin/")
    root.post("/admin/verify/", hidden(page))
    wait_for("SELECT count(*) FROM verifications WHERE finished_at IS NOT NULL")
    csrf = hidden(page)["csrf"]
    ids = [("id", id_of(name)) for name in ["ada", "bob", "poor"]]
    chosen = root.post("/admin/users/selected/", [("csrf", csrf), ("action", "adjust"), *ids], (200,))
    fields = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', chosen)
    fields = [pair for pair in fields if pair[0] != "here"] + [("amount", "-50"), ("reason", "a fee")]
    root.post("/admin/users/bulk-adjust/", fields)
    server.call(201, "POST", "/auth-tokens/", tokens["zoë"], {"name": "to be revoked in bulk"})
    token = number("SELECT max(id) FROM auth_tokens")
    page = root.post("/admin/auth-tokens/selected/", [("csrf", csrf), ("action", "revoke"), ("id", token)], (200,))
    fields = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page)
    root.post("/admin/auth-tokens/bulk-revoke/", fields + [("reason", "lost")])
    wanda = user("wanda")
    root.submit(f"{wanda}/anonymise/", name="wanda")
    wait_for("SELECT count(*) / 3 FROM bulk_operations WHERE finished_at IS NOT NULL")
    tokens["dead: wanda"] = tokens.pop("wanda")
    tokens["dead: ian"] = tokens.pop("ian")
    grace = Browser(server, "Grace.Hopper", NEW_PASSWORD)
    return {"root": root.cookie.split("=", 1)[1], "Grace.Hopper": grace.cookie.split("=", 1)[1]}


def what_needs_time():
    """Makes what needs time or an import: an unfinished operation, and deadlines in the far future."""
    ids = "".join(f"{id_of(name):016x}" for name in ["ada", "bob"])
    blob = (lambda text: f"X'{text}'") if IS_SQLITE else (lambda text: f"'\\x{text}'")
    sql(
        "INSERT INTO bulk_operations (seed, actor_id, kind, amount, note, selection, address, ids, total, position, "
        f"failed, created_at) VALUES ({blob('5e' * 16)}, {id_of('root')}, 'adjust balances', 7, 'not finished yet', "
        f"'2 users', '127.0.0.1', {blob(ids)}, 2, 0, 0, '2026-11-29 00:00:00')")
    # As after an import: a chat without a charge, and a password hash from Django.
    sql(
        "INSERT INTO chats (user_id, message, response, model, state, charge, origin, created_at, finished_at) VALUES "
        f"({id_of('zoë')}, 'of old', 'Response to of old', 'dummy', 'complete', 0, 'imported', '2026-11-29 00:00:00', "
        "'2026-11-29 00:00:00')")
    sql("UPDATE users SET password = 'pbkdf2_sha256$1000$5By61V7XgGTqtQX9JRyJhB$"
        "ack4TfrFxCSCQhOluGVlzTMByi533SUweuTPr+ZygN8=' WHERE username = 'zoë'")
    sql("UPDATE chats SET deadline = '2099-01-01 00:00:00' WHERE state = 'pending'")
    sql("UPDATE sessions SET expires_at = '2099-01-01 00:00:00', last_used_at = '2098-12-31 23:00:00'")
    sql("UPDATE idempotency_keys SET created_at = '2098-12-31 23:00:00'")


def expected(tokens, sessions):
    rows = lambda query: [line.split("|") for line in sql(query) if "|" in line]
    flag = (lambda name: name) if IS_SQLITE else (lambda name: f"CAST({name} AS INTEGER)")
    flags = ", ".join(flag(name) for name in ["is_active", "is_staff", "is_superuser"])
    users = rows(
        f"SELECT id, username, tokens, {flags}, coalesce(concurrent_chats, -1), coalesce(requests_per_minute, -1), "
        "(SELECT count(*) FROM ledger_entries l WHERE l.user_id = u.id), "
        "(SELECT count(*) FROM chats c WHERE c.user_id = u.id) FROM users u ORDER BY id")
    names = ["id", "username", "tokens", "active", "staff", "superuser", "chats_at_once", "requests_a_minute",
             "entries", "chats"]
    tables = ["users", "auth_tokens", "chats", "ledger_entries", "idempotency_keys", "conversations", "sessions",
              "audit_log", "bulk_operations", "bulk_failures", "models", "panel_settings", "verifications"]
    return {
        "users": [
            {name: value if name == "username" else int(value) for name, value in zip(names, user)} for user in users],
        "rows": {table: number(f"SELECT count(*) FROM {table}") for table in tables},
        "states": {state: int(count) for state, count in rows("SELECT state, count(*) FROM chats GROUP BY state")},
        "kinds": {kind: int(count) for kind, count in rows("SELECT kind, count(*) FROM ledger_entries GROUP BY kind")},
        "passwords": {"ada": PASSWORD, "Grace.Hopper": NEW_PASSWORD, "root": PASSWORD, "made.in.the.panel": PASSWORD,
                      "zoë": "correct horse"},
        "no_log_in": ["ian", "wanda"],
        "tokens": tokens,
        "sessions": sessions,
    }


def main():
    upstream = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    upstream.daemon_threads = True
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    tokens = accounts()
    server, root = upstream_chats(tokens, upstream.server_address[1])
    sessions = panel(server, root, tokens)
    time.sleep(62)  # Until last uses are stored and the follower has caught up.
    server.chat(tokens["ada"], "just before the crash")
    clients = pending(server, tokens)
    server.end(signal.SIGKILL)
    del clients
    what_needs_time()
    with open(os.path.join(FOLDER, "expected.json"), "w", encoding="utf-8") as file:
        json.dump(expected(tokens, sessions), file, indent=1, ensure_ascii=False, sort_keys=True)
        file.write("\n")


main()
