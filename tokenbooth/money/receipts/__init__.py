"""What one call cost, signed: receipts, the batches that they are signed in, and statements."""
