"""Where ours lets something through that nginx does not, and why that is no danger."""

EXPLAINED = {
    r"length: b'\t5'": "a tab is blank space around a value (RFC 9112 5.1); the length is the same",
    r"length: b'5\t'": "a tab is blank space around a value (RFC 9112 5.1); the length is the same",
    r"coding: b'\tchunked'": "a tab is blank space around a value (RFC 9112 5.1)",
    "target: b'/outer?aaaaaaaaaaaaaaaaa...' 9007": "our bound on a head is 32 KiB, nginx's 8",
    "version: b'RTSP/1.0'": "read as HTTP/1.0: no body, one call, and the connection ends",
    "method: b'TRACE'": "refused by both; nginx also ends the connection",
}
