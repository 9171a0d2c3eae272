"""From a cut utterance to Redis: outbox, shipper, drafts."""
