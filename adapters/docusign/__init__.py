"""DocuSign eSignature REST v2.1. Everything that is DocuSign's own stays in this folder."""

from adapters.docusign.adapter import DocuSign
from adapters.kit.port import Adapter

ADAPTER: Adapter = DocuSign()
