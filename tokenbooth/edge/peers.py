"""Who is at the other end of a connection."""

from ipaddress import IPv6Address, ip_address


def on_this_machine(host: object) -> bool:
    """Whether the address of a peer is a loopback one; False for what is no address."""
    try:
        address = ip_address(str(host).partition("%")[0])
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback
