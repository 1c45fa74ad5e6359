"""How far each model, and each thing that it can do, is open."""
