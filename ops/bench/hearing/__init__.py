"""How well earshot hears: mixes with known timing, and what the ear makes of them."""
