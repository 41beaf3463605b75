"""Webhooks to tenants: outbox, fan-out, mailboxes, the pump, and what tenants may see and ask.

An event is committed with the change it tells of (outbox), turned into one delivery per matching endpoint
after the commit (fanout), claimed and sent by any number of deliverers (pump), and kept until somebody has it
or says that nobody wants it (settle, replay). The files along that way: outbox, fanout, claims, mailbox,
compose, sign, guard, client, attempt, schedule, settle, sweep.
"""
