"""What callers send besides text: fetched, looked at, and turned into what a model can take."""
