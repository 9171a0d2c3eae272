"""What an outbox is made of: its file, its memory, its lock and its clock."""
