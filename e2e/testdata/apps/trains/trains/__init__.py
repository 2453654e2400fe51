"""Test app."""
