"""Asks oauth2client about tokens, as Google's page on bearer tokens shows.

What it reads and writes is what verify.py does.
"""

import json
import sys

from oauth2client import client


def verify(token, audience):
    try:
        return {"claims": client.verify_id_token(token, audience)}
    except Exception as refusal:
        return {"refused": "%s: %s" % (type(refusal).__name__, refusal)}


for line in sys.stdin:
    print(json.dumps(verify(**json.loads(line))), flush=True)
