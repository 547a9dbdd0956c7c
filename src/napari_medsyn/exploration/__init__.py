"""What a user is doing, without Qt: the session, its requests, the engines."""
