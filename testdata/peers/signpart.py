"""Signs a mail with DKIM so that the signature covers only as much of the body
as there is now (l=), which is standard input; the signed mail is standard
output. Arguments: selector, domain, file with the key."""

import sys

import dkim

selector, domain, path = sys.argv[1:]
with open(path, "rb") as file:
    key = file.read()
mail = sys.stdin.buffer.read()
field = dkim.sign(mail, selector.encode(), domain.encode(), key, canonicalize=(b"relaxed", b"relaxed"), length=True)
sys.stdout.buffer.write(field + mail)
