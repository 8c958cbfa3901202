"""Measures the service: chaos (what kill -9 loses), load (how fast it answers), claim (a long queue)."""
