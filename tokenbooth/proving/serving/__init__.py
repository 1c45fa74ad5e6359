"""Simulated servers that batch continuously, and the loads that are run against them."""
