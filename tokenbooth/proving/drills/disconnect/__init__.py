"""The disconnect drill: clients hang up at every place of an answer."""
