"""The mic host: hears, cuts speech into utterances, and ships them."""
