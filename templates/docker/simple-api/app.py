"""A JSON API with nothing but Python's standard library: add a route to ROUTES."""

import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LARGEST_BODY = 1024 * 1024


class BadRequest(Exception):
    """What was sent can't be used; the text says why."""


def health(_body):
    return {"status": "ok"}


def index(_body):
    routes = [f"{method} {path}" for method, path in ROUTES]
    return {"title": os.environ.get("TITLE", "Simple API"), "routes": routes}


def echo(body):
    return {"echo": body}


ROUTES = {
    ("GET", "/"): index,
    ("GET", "/health"): health,
    ("POST", "/echo"): echo,
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self):
        self.handle_request("GET")

    def do_POST(self):
        self.handle_request("POST")

    def handle_request(self, method):
        path = self.path.split("?", 1)[0]
        try:
            # Read in any case: what is left would be taken for the next request.
            body = self.read_body()
            route = ROUTES.get((method, path))
            if route is None:
                self.answer(404, {"error": f"there is no {method} {path}"})
            else:
                self.answer(200, route(body))
        except BadRequest as error:
            self.close_connection = True
            self.answer(400, {"error": str(error)})

    def read_body(self):
        try:
            length = int(self.headers.get("Content-Length") or 0)
        except ValueError:
            raise BadRequest("Content-Length is no number") from None
        if not 0 <= length <= LARGEST_BODY:
            raise BadRequest(f"the body may have {LARGEST_BODY} bytes at most")
        data = self.rfile.read(length)
        try:
            return json.loads(data) if data else None
        except ValueError:
            raise BadRequest("the body is not JSON") from None

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
    port = int(os.environ.get("PORT", "8080"))
    server = ThreadingHTTPServer(("", port), Handler)
    # As the first process of a container, Python would not end by a signal of its own accord.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print(f"listening on port {port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
