"""The kill drill: server processes die at random points under load."""
