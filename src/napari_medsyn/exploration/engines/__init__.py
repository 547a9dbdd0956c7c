"""Engines: where a request is computed.  All keep the contract of `base.Engine`."""
