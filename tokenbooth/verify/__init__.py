"""Evidence of what a served model can do: capacity certificates and the probes behind them."""
