"""The head template that registration and brain extraction use."""
