"""Drives MCP servers and clients that nobody here wrote against the router."""
