"""Makes the recording that `earshot demo` plays."""
