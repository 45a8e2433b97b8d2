"""Says on standard output that a server is ready, which frameworks that run the server themselves have no hook for."""

import threading
import time
import urllib.request


def announce_when_ready(port, health_path):
    """Returns at once. A thread asks `health_path` until it answers, and then prints the address of `/predict`."""
    threading.Thread(target=_announce, args=(f"http://127.0.0.1:{port}", health_path), daemon=True).start()


def _announce(origin, health_path):
    while True:
        try:
            urllib.request.urlopen(origin + health_path).read()
            break
        except OSError:
            time.sleep(0.05)
    print(f"ready {origin}/predict", flush=True)
