"""Engines behind one push port; one file, or one folder, per engine."""
