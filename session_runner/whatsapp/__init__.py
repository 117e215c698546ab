"""The only place with neonize: the driver of a linked session, and the mapping of its protobufs to our facts.

neonize (https://github.com/krypton-byte/neonize) is whatsmeow behind ctypes. Importing this package does not load it:
only ``native`` does, so that the supervisor can use ``restore`` without paying for Go's runtime.
"""
