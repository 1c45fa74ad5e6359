"""Charges held against what they came from: postings, calls, and the engines' own counters."""
