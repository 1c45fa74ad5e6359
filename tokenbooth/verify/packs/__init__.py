"""Probe packs: questions with answers that a program can check, made from a seed."""
