"""Many gateways on one account: leased money beside a transaction for every request."""
