"""Mails and text messages: kept in an outbox with the state they tell of, sent by a background job."""
