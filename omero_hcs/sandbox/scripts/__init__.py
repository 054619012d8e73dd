"""Scripts: the official ones, their parameters, and the real Processor that runs them."""
