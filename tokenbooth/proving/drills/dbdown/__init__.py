"""The dbdown drill: the database goes away under load and comes back."""
