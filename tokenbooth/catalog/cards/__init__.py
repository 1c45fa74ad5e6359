"""What the operator says of a model: its name for people, its stage, when it ends."""
