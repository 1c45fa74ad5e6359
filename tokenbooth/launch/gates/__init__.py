"""What must have been measured before a stage opens, and whether it was."""
