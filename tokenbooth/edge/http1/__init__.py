"""Our own HTTP/1.1 server: bytes of sockets to calls of the front, and back."""
