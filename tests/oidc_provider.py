"""A small OpenID provider over real HTTP: lets everybody in at once, checks PKCE and the client, and can misbehave."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "tower", "the tower's secret"


class Provider:
    """What it says can be changed: ``claims`` go over its own, None takes one away; ``key`` signs."""

    def __init__(self):
        self.key = self.published = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
        self.algorithm, self.claims, self.codes, self.asked = "RS256", {}, {}, []
        self.answer = {}

    def rotate(self):
        """Sign with a new key from now on, and publish it."""
        self.key = self.published = RSAKey.generate_key(2048, {"kid": "two", "use": "sig", "alg": "RS256"})

    @contextlib.contextmanager
    def serving(self):
        provider = self

        class Answer(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def told(self, value, status=200):
                body = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                parts = urlsplit(self.path)
                match parts.path:
                    case "/.well-known/openid-configuration":
                        self.told(provider.metadata())
                    case "/keys":
                        self.told({"keys": [provider.published.as_dict(private=False)]})
                    case "/authorize":
                        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                        self.send_response(302)
                        self.send_header("location", provider.authorize(query))
                        self.send_header("content-length", "0")
                        self.end_headers()
                    case _:
                        self.told({}, 404)

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                form = {name: values[0] for name, values in parse_qs(body).items()}
                self.told(*provider.token(form, self.headers.get("authorization", "")))

        server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        self.issuer = f"http://127.0.0.1:{server.server_port}"
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def metadata(self):
        places = {name: f"{self.issuer}/{place}" for name, place in PLACES.items()}
        return {"issuer": self.issuer, "response_types_supported": ["code"], **places}

    def authorize(self, query):
        self.asked.append(query)
        assert (query["response_type"], query["code_challenge_method"]) == ("code", "S256")
        code = secrets.token_hex(8)
        self.codes[code] = query
        told = {"code": code, "state": query["state"], "iss": self.issuer} | self.answer
        return f"{query['redirect_uri']}?{urlencode({k: v for k, v in told.items() if v is not None})}"

    def token(self, form, authorization):
        asked = self.codes.pop(form.get("code"), None)  # A code counts once.
        basic = base64.b64encode(f"{CLIENT}:{SECRET.replace(' ', '+')}".encode()).decode()
        plain = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if authorization not in {f"Basic {basic}", f"Basic {plain}"}:
            return {"error": "invalid_client"}, 401
        challenge = _base64(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if asked is None or challenge != asked["code_challenge"]:
            return {"error": "invalid_grant"}, 400
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT,
            "sub": "u-17",
            "name": "Anna Adams",
            "exp": now + 300,
            "iat": now,
            "nonce": asked["nonce"],
            "groups": ["everybody", "supervisors-a"],
        } | self.claims
        claims = {name: value for name, value in claims.items() if value is not None}
        if self.algorithm == "RS256":
            text = jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, self.key)
        else:
            text = self.forged(claims)
        return {"access_token": "x", "token_type": "Bearer", "id_token": text}, 200

    def forged(self, claims):
        """Sign as no provider may: not at all, or with the public key as if it were a shared secret."""
        parts = ({"alg": self.algorithm, "kid": "one"}, claims)
        text = ".".join(_base64(json.dumps(part).encode()) for part in parts)
        public = self.published.as_pem(private=False)
        return f"{text}.{_base64(hmac.digest(public, text.encode(), 'sha256')) if self.algorithm == 'HS256' else ''}"


def _base64(value):
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


PLACES = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
