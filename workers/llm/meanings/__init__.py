"""What servers say, and what it means: errors, ends of replies, numbers, in the words of many."""
