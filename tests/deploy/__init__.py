"""The container files, checked by their structure: no engine runs here."""
