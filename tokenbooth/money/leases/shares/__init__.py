"""What each replica has leased of each balance, for operators."""
