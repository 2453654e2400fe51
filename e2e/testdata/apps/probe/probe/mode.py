"""What goes wrong; a test replaces this file."""

MODE = "ok"
