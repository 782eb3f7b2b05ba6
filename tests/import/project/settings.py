"""The settings of both old services. The environment says which one, and where its database is."""

import os
from urllib.parse import urlsplit

LAYOUT = os.environ["LAYOUT"]
ADDRESS = os.environ["SOURCE"]

SECRET_KEY = "only for this test"
USE_TZ = True
TIME_ZONE = "Europe/Berlin"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "rest_framework",
    "rest_framework.authtoken",
    LAYOUT,
]
# The tables come from the models alone.
MIGRATION_MODULES = {app.rsplit(".", 1)[-1]: None for app in INSTALLED_APPS}
if LAYOUT == "second":
    AUTH_USER_MODEL = "second.Member"

if "://" in ADDRESS:
    url = urlsplit(ADDRESS)
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": url.hostname,
            "PORT": url.port,
            "USER": url.username,
            "PASSWORD": url.password or "",
            "NAME": url.path[1:],
        }
    }
else:
    DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ADDRESS}}

PASSWORD_HASHERS = [
    "django.contrib.auth.hashers." + name
    for name in [
        "PBKDF2PasswordHasher",
        "PBKDF2SHA1PasswordHasher",
        "Argon2PasswordHasher",
        "BCryptSHA256PasswordHasher",
        "BCryptPasswordHasher",
        "ScryptPasswordHasher",
        "MD5PasswordHasher",
    ]
]
