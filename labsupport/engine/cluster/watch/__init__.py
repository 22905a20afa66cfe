"""What a cluster tells: pods, logs, proxies, rules in force."""
