"""A strict development server that speaks DocuSign's eSignature REST API v2.1, OAuth and Connect.

It is started by name (`python -m adapters.docusign.sandbox`), never imported: it shares no wire, mapping or
operations code with the adapter, so that a mistake in one cannot hide the same mistake in the other.
"""
