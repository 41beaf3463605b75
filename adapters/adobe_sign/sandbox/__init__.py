"""A strict server that speaks the Adobe Acrobat Sign REST v6 API, for development and tests.

It keeps agreements in memory or in a folder, lets a person or a script act as the signer, sends webhooks
in the provider's form and injects faults on request. It must never share wire, mapping or operations code
with the adapter beside it, nothing may import it, and it never talks to the real service.

Source: the provider contracts of the design documents (Acrobat Sign developer guide, 2026-04-29; swagger
1.2 of 2018-08). Where those are silent the choice is marked `own` in refusals.py.
"""
