"""Runnable programs: the only place with command-line flags."""
