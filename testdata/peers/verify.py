"""Asks google-auth about tokens, as a service written in Python would.

Each line of standard input is a case in JSON: a token, and the audience that is
expected. Each is answered by a line on standard output, in JSON too: the claims,
or why the token was refused.
"""

import json
import sys

from google.auth.transport import requests
from google.oauth2 import id_token


def verify(token, audience):
    try:
        return {"claims": id_token.verify_oauth2_token(token, requests.Request(), audience)}
    except Exception as refusal:
        return {"refused": "%s: %s" % (type(refusal).__name__, refusal)}


for line in sys.stdin:
    print(json.dumps(verify(**json.loads(line))), flush=True)
