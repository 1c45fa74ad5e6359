"""What bytes are, by what stands in them."""
