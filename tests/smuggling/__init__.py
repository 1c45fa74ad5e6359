"""Bytes that two servers in a row could read differently, and what nginx and ours make of them."""
