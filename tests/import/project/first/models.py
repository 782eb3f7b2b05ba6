"""The first old service: users of its own with their auth token, beside Django's administrators."""

from django.db import models


class User(models.Model):
    username = models.CharField(max_length=150, unique=True)
    password = models.CharField(max_length=128)
    tokens = models.IntegerField(default=4000)
    auth_token = models.CharField(max_length=64, null=True, blank=True)


class Chat(models.Model):
    user = models.ForeignKey(User, on_delete=models.CASCADE)
    message = models.TextField()
    response = models.TextField()
    timestamp = models.DateTimeField()
