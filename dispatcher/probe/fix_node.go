package probe

// nodeSnippets use google-auth-library, in an asynchronous handler of Express.
// Each continues those before it, and declares nothing that another one does.
var nodeSnippets = map[string]string{
	"credentials": `const fields = req.headersDistinct.authorization || [];
const match = fields.length === 1 && /^Bearer ([\w.-]+)$/.exec(fields[0]);
if (!match) return res.status(401).end();
const token = match[1];
`,
	"signature": `let claims;
try {
  const ticket = await client.verifyIdToken({idToken: token, audience: 'https://shop.example'});
  claims = ticket.getPayload();
} catch (e) {
  return res.status(401).end();
}
// verifyIdToken looks neither at alg nor at crit.
const {alg, crit} = JSON.parse(Buffer.from(token.split('.')[0], 'base64url'));
if (alg !== 'RS256' || crit) return res.status(401).end();
`,
	"issuer": `// verifyIdToken compares iss, unless the client was made with other issuers.
if (!['https://accounts.google.com', 'accounts.google.com'].includes(claims.iss)) {
  return res.status(401).end();
}
`,
	"audience": `// Never give verifyIdToken an undefined audience: it would not compare it.
const audience = 'https://shop.example';
if (claims.aud !== audience) return res.status(401).end();
`,
	"authorized-party": `if (claims.azp !== 'gmail@system.gserviceaccount.com') return res.status(401).end();
`,
	"expiry": `// verifyIdToken compares iat and exp, and not nbf; it takes a text for a number.
const late = (claims.nbf || 0) > Date.now() / 1000 + 300;
if (late || ![claims.iat, claims.exp].every(Number.isInteger)) {
  return res.status(401).end();
}
`,
	"method": `app.post('/approve', approve);
app.all('/approve', (req, res) => res.status(405).end()); // HEAD, too. No method-override.
`,
	"form": `// Before the handler; a body that breaks off gets 400, one that is too long 413.
app.use('/approve', express.urlencoded({extended: false, limit: '4kb'}));

// In the handler:
if (!req.body || req.body.confirmed !== 'Approved') return res.status(400).end();
`,
	"limited-use": `const {token: limited, expense} = req.query;
if (typeof limited !== 'string' || typeof expense !== 'string') return res.status(404).end();
const hash = crypto.createHash('sha256').update(limited).digest('hex');
const {rows} = await db.query(
  'SELECT user_id FROM grants WHERE token_hash = $1 AND expense = $2', [hash, expense]);
if (rows.length !== 1) return res.status(404).end();
`,
	"once": `const bearer = crypto.createHash('sha256').update(token).digest('hex');
const {rowCount} = await tx.query(
  'UPDATE grants SET used_by = $1 WHERE token_hash = $2 AND used_by IS NULL', [bearer, hash]);
if (rowCount === 1) {
  await approveExpense(tx, expense); // This request was the first. Commit after it.
} else if (await usedBy(tx, hash) === bearer) {
  return res.status(409).end();
}
res.status(200).end(); // Also to a retry, for which nothing is done.
`,
	onceWithoutBearer: `const {rowCount} = await tx.query(
  'UPDATE grants SET used = TRUE WHERE token_hash = $1 AND NOT used', [hash]);
if (rowCount === 1) {
  await approveExpense(tx, expense); // This request was the first. Commit after it.
}
res.status(200).end(); // Also if it was done before, and nothing is done now.
`,
	"keys": `// Once, when the program starts: it fetches the certificates, and caches them
// as long as they say.
const client = new OAuth2Client();
`,
	"size": `const server = http.createServer({maxHeaderSize: 16 * 1024}, app);
app.use('/approve', express.urlencoded({extended: false, limit: '4kb'}));

// In the handler:
if (token.length > 10000) return res.status(401).end();
`,
	"user-agent": `const gmail =
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/1.0 (KHTML, like Gecko; Gmail Actions)';
if (req.get('User-Agent') !== gmail) return res.status(403).end();
`,
	"errors": `let ticket;
try {
  ticket = await client.verifyIdToken({idToken: token, audience: 'https://shop.example'});
} catch (e) { // Whatever it is that could not be read.
  return res.status(401).end();
}
`,
}
