"""What proxies tell: journeys, calls, configuration, tables."""
