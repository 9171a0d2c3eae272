"""What all roles share: the contract between them, Redis, settings, telemetry."""
