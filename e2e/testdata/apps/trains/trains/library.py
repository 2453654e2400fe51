"""With what the app trains; a test replaces this file."""

LIBRARY = "numpy"
