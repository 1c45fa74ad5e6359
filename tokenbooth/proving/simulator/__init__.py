"""A seeded world of gateways, disks, clocks and one database, over the real rules of money."""
