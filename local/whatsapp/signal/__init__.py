"""The Signal protocol, as far as a one-to-one chat needs it, in plain Python on ``cryptography``.

Pure functions and values: nothing here does input or output. A party encrypts and decrypts on a copy of
its session and keeps the copy only on success.
"""
