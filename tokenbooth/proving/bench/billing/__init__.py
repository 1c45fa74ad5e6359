"""The same load with money on and off: what billing adds to one call."""
