"""Runs the providers of an agent behind a small HTTP API.

A provider is a file providers/NAME.py with a function run(request) that takes and gives what JSON can
say. POST /providers/NAME runs it, GET /providers lists them, and GET /health answers once all have been
loaded.
"""

import importlib.util
import json
import os
import signal
import sys
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HERE = Path(__file__).resolve().parent
LARGEST_BODY = 8 * 1024 * 1024


def load_providers(folder):
    """The providers by name; the program ends with the reason if one can't be loaded."""
    providers = {}
    for file in sorted(folder.glob("*.py")):
        if file.name.startswith("_"):
            continue
        spec = importlib.util.spec_from_file_location(f"providers.{file.stem}", file)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        if not callable(getattr(module, "run", None)):
            sys.exit(f"{file} has no function run(request)")
        providers[file.stem] = module.run
    return providers


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    providers = {}

    def do_GET(self):
        path = self.path.split("?", 1)[0]
        if path == "/health":
            self.answer(200, {"status": "ok"})
        elif path == "/":
            title = os.environ.get("TITLE", "Python agent")
            self.answer(200, {"title": title, "providers": sorted(self.providers)})
        elif path == "/providers":
            self.answer(200, sorted(self.providers))
        else:
            self.answer(404, {"error": f"there is no {path}"})

    def do_POST(self):
        problem, request = self.read_body()
        path = self.path.split("?", 1)[0]
        name = path.removeprefix("/providers/")
        run = self.providers.get(name) if name != path else None
        if problem is not None:
            # What was not read would be taken for the next request.
            self.close_connection = True
            self.answer(400, {"error": problem})
        elif run is None:
            self.answer(404, {"error": f"there is no provider at {path}"})
        else:
            self.run_provider(name, run, request)

    def run_provider(self, name, run, request):
        try:
            answer = run(request)
            json.dumps(answer)
        except Exception:
            # To the log alone: a traceback may say what the caller should not know.
            traceback.print_exc()
            self.answer(500, {"error": f"the provider {name} failed"})
        else:
            self.answer(200, answer)

    def read_body(self):
        """What is wrong with the body, and its value."""
        try:
            length = int(self.headers.get("Content-Length") or 0)
            if not 0 <= length <= LARGEST_BODY:
                return f"the body may have {LARGEST_BODY} bytes at most", None
            data = self.rfile.read(length)
            return None, json.loads(data) if data else None
        except ValueError:
            return "the body is not JSON", None

    def answer(self, status, value):
        data = json.dumps(value).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format, *args):
        # Probes come every few seconds and say nothing.
        if self.path != "/health":
            super().log_message(format, *args)


def main():
    # A provider may import its neighbours and what lies beside this file.
    sys.path[:0] = [str(HERE), str(HERE / "providers")]
    Handler.providers = load_providers(HERE / "providers")
    port = int(os.environ.get("PORT", "8080"))
    server = ThreadingHTTPServer(("", port), Handler)
    # As the first process of a container, Python would not end by a signal of its own accord.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print(f"listening on port {port}, providers: {', '.join(sorted(Handler.providers)) or 'none'}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
