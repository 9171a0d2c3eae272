"""Redis: addresses and clients, what its errors mean, scripts, the store."""
