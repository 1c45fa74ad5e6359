"""The stampede: a crowd of calls runs at one limit at the same moment."""
