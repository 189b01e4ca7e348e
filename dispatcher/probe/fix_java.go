package probe

// javaSnippets use google-api-client, in doPost of a servlet. Each continues those
// before it, and declares nothing that another one does.
var javaSnippets = map[string]string{
	"credentials": `List<String> fields = Collections.list(request.getHeaders("Authorization"));
if (fields.size() != 1 || !fields.get(0).startsWith("Bearer ")) {
    response.sendError(401);
    return;
}
String token = fields.get(0).substring("Bearer ".length());
`,
	"signature": `GoogleIdToken idToken = null;
try {
    idToken = verifier.verify(token); // null if it does not verify.
} catch (GeneralSecurityException | RuntimeException | IOException e) {
    // What cannot be read does not verify either.
}
if (idToken == null || !"RS256".equals(idToken.getHeader().getAlgorithm())
        || idToken.getHeader().getCritical() != null) {
    response.sendError(401);
    return;
}
GoogleIdToken.Payload payload = idToken.getPayload();
`,
	"issuer": `// The verifier compares iss, unless it was built with other issuers.
if (!Arrays.asList("https://accounts.google.com", "accounts.google.com")
        .contains(payload.getIssuer())) {
    response.sendError(401);
    return;
}
`,
	"audience": `// Without setAudience the verifier compares nothing.
if (!"https://shop.example".equals(payload.getAudience())) { // Nor is a list good.
    response.sendError(401);
    return;
}
`,
	"authorized-party": `if (!"gmail@system.gserviceaccount.com".equals(payload.getAuthorizedParty())) {
    response.sendError(401);
    return;
}
`,
	"expiry": `// The verifier compares iat and exp, and not nbf, nor how long the token is good.
long now = System.currentTimeMillis() / 1000;
Long notBefore = payload.getNotBeforeTimeSeconds();
if (payload.getExpirationTimeSeconds() > now + 86400
        || notBefore != null && notBefore > now + 300) {
    response.sendError(401);
    return;
}
`,
	"method": `// Override doPost alone: HttpServlet answers 405 to GET and HEAD by itself.
@Override
protected void doPost(HttpServletRequest request, HttpServletResponse response)
        throws IOException {
`,
	"form": `String[] confirmed = request.getParameterValues("confirmed"); // From query and form.
String query = request.getQueryString();
boolean inQuery = query != null && query.contains("confirmed");
if (confirmed == null || confirmed.length != 1 || inQuery || !confirmed[0].equals("Approved")) {
    response.sendError(400);
    return;
}
`,
	"limited-use": `String[] limited = request.getParameterValues("token");
String[] expense = request.getParameterValues("expense");
if (limited == null || limited.length != 1 || expense == null || expense.length != 1) {
    response.sendError(404);
    return;
}
byte[] hash = sha256(limited[0]);
PreparedStatement find = db.prepareStatement(
    "SELECT user_id FROM grants WHERE token_hash = ? AND expense = ?");
find.setBytes(1, hash);
find.setString(2, expense[0]);
if (!find.executeQuery().next()) {
    response.sendError(404);
    return;
}
`,
	"once": `db.setAutoCommit(false);
byte[] bearer = sha256(token);
PreparedStatement use = db.prepareStatement(
    "UPDATE grants SET used_by = ? WHERE token_hash = ? AND used_by IS NULL");
use.setBytes(1, bearer);
use.setBytes(2, hash);
if (use.executeUpdate() == 1) {
    approveExpense(db, expense[0]); // This request was the first.
} else if (Arrays.equals(usedBy(db, hash), bearer)) {
    db.rollback();
    response.sendError(409);
    return;
}
db.commit();
response.setStatus(200); // Also to a retry, for which nothing is done.
`,
	onceWithoutBearer: `db.setAutoCommit(false);
PreparedStatement use = db.prepareStatement(
    "UPDATE grants SET used = TRUE WHERE token_hash = ? AND NOT used");
use.setBytes(1, hash);
if (use.executeUpdate() == 1) {
    approveExpense(db, expense[0]); // This request was the first.
}
db.commit();
response.setStatus(200); // Also if it was done before, and nothing is done now.
`,
	"keys": `// Once, when the program starts: it fetches the certificates, and caches them
// as long as they say.
GoogleIdTokenVerifier verifier = new GoogleIdTokenVerifier.Builder(
    new NetHttpTransport(), GsonFactory.getDefaultInstance())
    .setAudience(Collections.singletonList("https://shop.example"))
    .build();
`,
	"size": `if (token.length() > 10000) {
    response.sendError(401);
    return;
}
if (request.getContentLengthLong() < 0 || request.getContentLengthLong() > 4096) {
    response.sendError(413);
    return;
}
`,
	"user-agent": `String gmail = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/1.0 "
    + "(KHTML, like Gecko; Gmail Actions)";
if (!gmail.equals(request.getHeader("User-Agent"))) {
    response.sendError(403);
    return;
}
`,
	"errors": `GoogleIdToken read = null;
try {
    read = verifier.verify(token); // null if it does not verify.
} catch (GeneralSecurityException | RuntimeException | IOException e) {
    // Parsing throws many kinds.
}
if (read == null) {
    response.sendError(401);
    return;
}
`,
}
