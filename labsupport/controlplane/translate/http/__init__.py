"""From VirtualService ``http`` rules to Envoy routes: one module per part of a route."""
