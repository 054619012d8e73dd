"""Ice: the recorded definitions, servants, the endpoint, the router and the service factory."""
