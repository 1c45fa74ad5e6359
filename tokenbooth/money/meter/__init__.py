"""What was used: one record per call, and totals over them."""
