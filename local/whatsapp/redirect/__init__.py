"""Turning an unmodified client towards the simulator.

Nothing in the client's process is configured in code: the environment it is started with makes its Go
runtime dial the simulator (proxy) and trust its TLS authority, and the directory of this package, first on
PYTHONPATH, makes ``sitecustomize`` exchange the Noise root when the client's library is loaded.
"""

from __future__ import annotations

from pathlib import Path

from local.whatsapp.certificates import TlsFiles

_DIRECT = "localhost,127.0.0.1,::1,169.254.169.254,169.254.170.2,.amazonaws.com"


def client_environment(port: int, state: Path, *, python_path: str = "", host: str = "127.0.0.1") -> dict[str, str]:
    """Environment variables for a process that runs the client; they must be set when it is started.

    The client's Go runtime reads the environment of the process's start only: setting ``os.environ`` later
    has no effect.

    Args:
        port: the simulator's port.
        state: the simulator's state directory (it has been started there once).
        python_path: the PYTHONPATH the process would otherwise have.
        host: the simulator's address.
    """
    directory = str(Path(__file__).parent.resolve())
    proxy = f"http://{host}:{port}"
    bundle = str(TlsFiles(state.resolve()).bundle)
    return {
        "HTTPS_PROXY": proxy,
        "https_proxy": proxy,
        "NO_PROXY": _DIRECT,
        "no_proxy": _DIRECT,
        "SSL_CERT_FILE": bundle,
        "PYTHONPATH": f"{directory}:{python_path}" if python_path else directory,
        "NEONIZE_BOT_TAG": "off",
    }
