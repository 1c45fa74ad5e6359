"""The journal of one gateway: what its calls did, in a file that outlives the gateway."""
