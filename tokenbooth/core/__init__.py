"""The words everybody speaks, and the ports of clock, ids, bodies, sinks and transactions."""
