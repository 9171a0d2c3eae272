"""What all roles share: their contract, Redis, settings, telemetry."""
