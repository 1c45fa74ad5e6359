"""Several processes that serve one address as one booth."""
