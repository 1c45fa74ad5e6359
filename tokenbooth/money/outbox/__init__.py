"""Events for others, written in the transaction that made them true."""
