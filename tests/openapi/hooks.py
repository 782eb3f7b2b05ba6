"""Gives schemathesis the auth tokens of users of the server at TOLLGATE_URL."""

import itertools
import os

import requests
import schemathesis

SERVER = os.environ["TOLLGATE_URL"]
# That of the example in the document, so that the example of a password change works.
PASSWORD = "a plain pass phrase 7"
# Requests that end auth tokens or change passwords get a user of their own each time.
ENDING = {"/logout/", "/password/", "/auth-tokens/{id}/"}

numbers = itertools.count(1)


def new_user():
    """Registers a user and returns an auth token."""
    account = {"username": f"tester{next(numbers)}", "password": PASSWORD}
    requests.post(f"{SERVER}/register/", json=account, timeout=30).raise_for_status()
    answer = requests.post(f"{SERVER}/login/", json=account, timeout=30)
    answer.raise_for_status()
    return answer.json()["token"]


usual = new_user()


@schemathesis.auth(refresh_interval=None)
class AuthTokens:
    """The auth token of a request."""

    def get(self, case, context):
        return new_user() if context.operation.path in ENDING else usual

    def set(self, case, data, context):
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {data}"}
