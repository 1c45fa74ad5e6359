"""The bookkeeper: a process beside a gateway that does its writing in the ledger."""
