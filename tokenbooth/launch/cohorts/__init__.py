"""Groups of organizations that are let in before the public, with caps of their own."""
