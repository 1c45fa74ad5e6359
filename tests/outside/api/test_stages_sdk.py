"""Stages as the official SDK meets them: refused by name, let in by invitation, told of an end."""

