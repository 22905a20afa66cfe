"""The API server: connection, rights, requests to pods, errors."""
