"""The second old service: Django's own users with a balance, and auth tokens in tables."""

from django.contrib.auth.models import AbstractUser
from django.db import models


class Member(AbstractUser):
    tokens = models.IntegerField(default=4000)


class AuthToken(models.Model):
    user = models.ForeignKey(Member, on_delete=models.CASCADE)
    key = models.CharField(max_length=64, unique=True)
    created = models.DateTimeField(auto_now_add=True)


class Chat(models.Model):
    user = models.ForeignKey(Member, on_delete=models.CASCADE)
    message = models.TextField()
    response = models.TextField(null=True)
    created_at = models.DateTimeField()
