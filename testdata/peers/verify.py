"""Asks google-auth about tokens, as a service written in Python would.

Standard input is JSON: the URL of the certificates, a file with the authority
to trust, and cases with a token and the audience that is expected. Standard
output is JSON too: for each case the claims, or why the token was refused.
"""

import json
import sys

import google.auth.transport.requests
import google.oauth2.id_token
import requests


def main():
    job = json.load(sys.stdin)
    session = requests.Session()
    # The environment may name other authorities, and would win.
    session.trust_env = False
    session.verify = job["ca"]
    request = google.auth.transport.requests.Request(session)
    answers = []
    for case in job["cases"]:
        try:
            claims = google.oauth2.id_token.verify_token(
                case["token"], request, audience=case["audience"], certs_url=job["pem"]
            )
            answers.append({"claims": claims})
        except ValueError as refusal:
            answers.append({"refused": str(refusal)})
    json.dump(answers, sys.stdout)


main()
