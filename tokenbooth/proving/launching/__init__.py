"""Launches played out on simulated clocks: programmes to forecast, builds to judge, a season."""
