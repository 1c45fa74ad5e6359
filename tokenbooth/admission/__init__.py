"""Rate limits and the bounded queue in front of each deployment."""
