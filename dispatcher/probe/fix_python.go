package probe

// pythonSnippets use google-auth, in a view of Flask.
var pythonSnippets = map[string]string{
	"credentials": `fields = request.headers.getlist("Authorization")
match = re.fullmatch(r"Bearer ([\w.-]+)", fields[0]) if len(fields) == 1 else None
if match is None:
    abort(401)
token = match.group(1)
`,
	"signature": `try:
    # jwt is google.auth.jwt. Some of its versions look neither at alg nor at crit.
    header = jwt.decode_header(token)
    claims = id_token.verify_oauth2_token(token, google_request, "https://shop.example")
except Exception:  # Whatever it is that could not be read.
    abort(401)
if header.get("alg") != "RS256" or "crit" in header:
    abort(401)
`,
	"issuer": `# verify_oauth2_token compares iss; verify_token and oauth2client do not.
if claims.get("iss") not in ("https://accounts.google.com", "accounts.google.com"):
    abort(401)
`,
	"audience": `# Never give verify_oauth2_token None for the audience: it would not compare it.
AUDIENCE = "https://shop.example"
if claims.get("aud") != AUDIENCE:
    abort(401)
`,
	"authorized-party": `if claims.get("azp") != "gmail@system.gserviceaccount.com":
    abort(401)
`,
	"expiry": `# verify_oauth2_token compares iat and exp, and not nbf, nor how long the token is good.
now = time.time()
if claims["exp"] > now + 86400 or claims.get("nbf", 0) > now + 300:
    abort(401)
`,
	"method": `# Without GET, Flask does not add HEAD. It answers 405 to all other methods.
@app.route("/approve", methods=["POST"])
`,
	"form": `if request.mimetype != "application/x-www-form-urlencoded":
    abort(415)
if request.form.getlist("confirmed") != ["Approved"]:
    abort(400)
`,
	"limited-use": `limited, expense = request.args.getlist("token"), request.args.getlist("expense")
if len(limited) != 1 or len(expense) != 1:
    abort(404)
token_hash = hashlib.sha256(limited[0].encode()).hexdigest()
row = db.execute(
    "SELECT user_id FROM grants WHERE token_hash = ? AND expense = ?",
    (token_hash, expense[0])).fetchone()
if row is None:
    abort(404)
`,
	"once": `bearer = hashlib.sha256(token.encode()).hexdigest()
with db:  # One transaction.
    cursor = db.execute(
        "UPDATE grants SET used_by = ? WHERE token_hash = ? AND used_by IS NULL",
        (bearer, token_hash))
    if cursor.rowcount == 1:
        approve_expense(db, expense[0])  # This request was the first.
    elif used_by(db, token_hash) == bearer:
        abort(409)
return "", 200  # Also to a retry, for which nothing is done.
`,
	onceWithoutBearer: `with db:  # One transaction.
    cursor = db.execute(
        "UPDATE grants SET used = TRUE WHERE token_hash = ? AND NOT used", (token_hash,))
    if cursor.rowcount == 1:
        approve_expense(db, expense[0])  # This request was the first.
return "", 200  # Also if it was done before, and nothing is done now.
`,
	"keys": `# Once, when the program starts. google-auth fetches the certificates for each token;
# a session that caches as Cache-Control says saves that (such as CacheControl's).
google_request = google.auth.transport.requests.Request()
`,
	"size": `app.config["MAX_CONTENT_LENGTH"] = 4096  # More gets 413 when the form is read.

# In the view:
if len(token) > 10000:
    abort(401)
`,
	"user-agent": `GMAIL = ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/1.0 "
         "(KHTML, like Gecko; Gmail Actions)")
if request.headers.get("User-Agent") != GMAIL:
    abort(403)
`,
	"errors": `try:
    claims = id_token.verify_oauth2_token(token, google_request, "https://shop.example")
except Exception:  # Not ValueError alone: a claim of another type is a TypeError.
    abort(401)
`,
}
