"""An engine in a process of its own: frames, both ends of the socket, and its supervisor."""
