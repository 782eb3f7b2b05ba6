"""Fills the database of an old service by Django's own code. Prints as JSON what it contains."""

import json
import os
import secrets
import sys
from datetime import datetime, timedelta, timezone

os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
import django

django.setup()

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.core.management import call_command
from rest_framework.authtoken.models import Token

HASHERS = [
    "pbkdf2_sha256",
    "pbkdf2_sha1",
    "argon2",
    "bcrypt_sha256",
    "bcrypt",
    "scrypt",
    "pbkdf2_sha256",
    "argon2",
    "bcrypt_sha256",
    "scrypt",
]
NAMES = ["ada", "Grace.H", "old-timer+1@example.com", "Ünal", "李雷", "user_6", "adа", "h" * 50, "Élodie", "x"]
FIRST_DAY = datetime(2019, 5, 4, 3, 2, 1, 123456, tzinfo=timezone.utc)

call_command("migrate", run_syncdb=True, verbosity=0)
users, is_first = [], settings.LAYOUT == "first"
if is_first:
    from first.models import Chat, User
else:
    from second.models import AuthToken, Chat
    from second.models import Member as User

for number, (name, hasher) in enumerate(zip(NAMES, HASHERS)):
    password, token = f"pass wörd {number} of {name}", secrets.token_hex(20)
    fields = {"username": name, "password": make_password(password, hasher=hasher), "tokens": 4000 - 100 * number}
    if is_first:
        user = User.objects.create(auth_token=token, **fields)
    else:
        user = User.objects.create(date_joined=FIRST_DAY + timedelta(days=number), **fields)
        if number % 2:
            AuthToken.objects.create(user=user, key=token)
        else:
            Token.objects.create(user=user, key=token)
    users.append(
        {"name": name, "password": password, "hash": user.password, "token": token, "tokens": fields["tokens"], "chats": []}
    )

# The ids of chats are not in the order of their times.
times = [FIRST_DAY + timedelta(hours=7 * number) for number in range(40)]
for number in list(range(20, 40)) + list(range(20)):
    user = users[number % 10]
    chat = {"message": f"Grüße {number}\n'\"\\", "response": "" if number == 7 else f"Response to Grüße {number}"}
    time = {"timestamp" if is_first else "created_at": times[number]}
    Chat.objects.create(user=User.objects.get(username=user["name"]), **chat, **time)
    user["chats"].append({**chat, "at": times[number].strftime("%Y-%m-%dT%H:%M:%S.%fZ")})
for user in users:
    user["chats"].sort(key=lambda chat: chat["at"], reverse=True)

administrator = get_user_model().objects.create_superuser("root", password="a password of root")
token = Token.objects.create(user=administrator)
staff = get_user_model().objects.create_user("helper", password="a password of staff", is_staff=True)
# A password that nobody can use, one of a hasher that Tollgate does not know, and an inactive user.
others = [("nobody", "!"), ("md5", make_password("md5 password", hasher="md5"))]
for name, password in others:
    User.objects.create(username=name, password=password)
if not is_first:
    User.objects.create(username="gone", password=make_password("gone password"), is_active=False)

json.dump({"users": users, "administrator": {"password": "a password of root", "token": token.key}}, sys.stdout)
