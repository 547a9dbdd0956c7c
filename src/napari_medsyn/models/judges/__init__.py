"""Networks that measure a scan: never trained against, so that they can judge what is made."""
