"""The powercut drill: servers die, and what their journals had not made durable dies with them."""
