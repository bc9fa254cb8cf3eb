"""Wire formats: one file per carrier. Pure: messages to what they mean, and back; no sockets, no clock."""
