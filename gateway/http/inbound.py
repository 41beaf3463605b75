"""Provider webhooks over HTTP."""
