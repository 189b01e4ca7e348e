"""Declares a size (RFC 1870) to an SMTP server with Python's own client, and
prints how the server answered, as JSON. Arguments: host, port, size."""

import json
import smtplib
import sys

host, port, size = sys.argv[1:]
with smtplib.SMTP(host, int(port)) as client:
    client.ehlo("mail.shop.example")
    code, text = client.mail("bounce@shop.example", ["SIZE=" + size])
    json.dump({"limit": client.esmtp_features["size"], "code": code, "text": text.decode()}, sys.stdout)
