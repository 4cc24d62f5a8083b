"""What goes over the wire to a venue and back, recorded by a relay between the client library and the venue."""
