"""Webhooks from providers: verified over their exact bytes, kept, answered, and then given their effect once.

receive: who posts, is it authentic, keep it, answer in the provider's form. process: what it says, which
envelope it is about, apply it or park it. replay and read: for people. Must never parse before verifying, and
never answer 2xx before the message is durable.
"""
