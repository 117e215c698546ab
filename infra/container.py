"""What the runner's image, its task definition and its health check agree on."""

# session_runner/Dockerfile makes both, and gives the folder to the user; nothing else can be written.
USER = "10001:10001"
WRITABLE_FOLDER = "/var/lib/recado"
HEALTH_PORT = 8081
# The image has no curl. -I and -S: nothing is imported but the standard library, which keeps a probe cheap.
HEALTH_CHECK = (
    "python",
    "-I",
    "-S",
    "-c",
    "from http.client import HTTPConnection as C; "
    f"c = C('127.0.0.1', {HEALTH_PORT}, timeout=4); c.request('GET', '/health'); "
    "raise SystemExit(c.getresponse().status != 200)",
)
