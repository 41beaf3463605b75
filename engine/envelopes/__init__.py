"""The engine's envelopes: made, sent, acted upon in turn, and ended; each change in one locked transaction."""
