"""The Models dock: find, judge, install, trust and choose models."""
