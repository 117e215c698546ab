"""A proxy before the AWS emulator that makes single services fail the ways AWS fails."""
