"""The synthetic sample patient that ships with the plugin."""
