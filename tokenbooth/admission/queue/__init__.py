"""The bounded queue in front of each deployment."""
