"""The fronts of the ten steps."""
