"""What windows look like to the eye of the field: shapes, envelopes, fault orders; no torch."""
