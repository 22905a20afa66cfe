"""Metrics: what the proxies counted, under Istio's names, and the language in which it is asked for.

``counting`` makes Istio's standard metrics of access records, ``series`` keeps a ring of scrapes of them, ``promql``,
``operators`` and ``functions`` answer queries as Prometheus does, ``exposition`` offers the metrics to a Prometheus,
``rules`` tells when an alert would have rung, and ``played`` makes a night on which it can be tried.
"""
