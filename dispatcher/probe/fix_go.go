package probe

// goSnippets use google.golang.org/api/idtoken. Each continues those before it,
// in a handler of net/http, and declares nothing that another one does.
var goSnippets = map[string]string{
	"credentials": `fields := r.Header.Values("Authorization")
if len(fields) != 1 || !strings.HasPrefix(fields[0], "Bearer ") {
	http.Error(w, "one bearer token, please", http.StatusUnauthorized)
	return
}
token := strings.TrimPrefix(fields[0], "Bearer ")
`,
	"signature": `payload, err := validator.Validate(r.Context(), token, "https://shop.example")
if err != nil {
	http.Error(w, "token does not verify", http.StatusUnauthorized)
	return
}
// idtoken takes RS256 and ES256 alone, but does not look at crit.
var header struct{ Crit []string }
first, _, _ := strings.Cut(token, ".")
raw, err := base64.RawURLEncoding.DecodeString(first)
if err != nil || json.Unmarshal(raw, &header) != nil || header.Crit != nil {
	http.Error(w, "token does not verify", http.StatusUnauthorized)
	return
}
`,
	"issuer": `// idtoken does not compare iss.
if payload.Issuer != "https://accounts.google.com" && payload.Issuer != "accounts.google.com" {
	http.Error(w, "wrong issuer", http.StatusUnauthorized)
	return
}
`,
	"audience": `// Never give Validate an empty audience: it would not compare it.
const audience = "https://shop.example"
if payload.Audience != audience {
	http.Error(w, "token for somebody else", http.StatusUnauthorized)
	return
}
`,
	"authorized-party": `if payload.Claims["azp"] != "gmail@system.gserviceaccount.com" {
	http.Error(w, "not from Gmail", http.StatusUnauthorized)
	return
}
`,
	"expiry": `// idtoken compares exp, and neither iat nor nbf.
now := time.Now().Unix()
notBefore, _ := payload.Claims["nbf"].(float64)
if payload.IssuedAt == 0 || payload.IssuedAt > now+300 || payload.Expires > now+86400 ||
	int64(notBefore) > now+300 {
	http.Error(w, "wrong time", http.StatusUnauthorized)
	return
}
`,
	"method": `mux.HandleFunc("POST /approve", approve) // All other methods get 405.
`,
	"form": `r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
if err := r.ParseForm(); err != nil { // Also if the body broke off.
	http.Error(w, "form cannot be read", http.StatusBadRequest)
	return
}
if v := r.PostForm["confirmed"]; len(v) != 1 || v[0] != "Approved" {
	http.Error(w, "not confirmed", http.StatusBadRequest)
	return
}
`,
	"limited-use": `q := r.URL.Query()
if len(q["token"]) != 1 || len(q["expense"]) != 1 {
	http.Error(w, "no such action", http.StatusNotFound)
	return
}
hash := sha256.Sum256([]byte(q.Get("token")))
var user string
err = db.QueryRowContext(r.Context(),
	"SELECT user_id FROM grants WHERE token_hash = $1 AND expense = $2",
	hash[:], q.Get("expense")).Scan(&user)
if err != nil {
	http.Error(w, "no such action", http.StatusNotFound)
	return
}
`,
	"once": `bearer := sha256.Sum256([]byte(token))
result, err := tx.ExecContext(r.Context(),
	"UPDATE grants SET used_by = $1 WHERE token_hash = $2 AND used_by IS NULL", bearer[:], hash[:])
if err != nil {
	http.Error(w, "try again", http.StatusInternalServerError)
	return
}
if n, err := result.RowsAffected(); err == nil && n == 1 {
	// This request was the first: act here, within tx, then commit.
} else if usedBy(tx, hash) == bearer {
	http.Error(w, "used before", http.StatusConflict)
	return
} // Otherwise it is a retry: answer 200 and do nothing.
`,
	onceWithoutBearer: `result, err := tx.ExecContext(r.Context(),
	"UPDATE grants SET used = TRUE WHERE token_hash = $1 AND NOT used", hash[:])
if err != nil {
	http.Error(w, "try again", http.StatusInternalServerError)
	return
}
if n, err := result.RowsAffected(); err == nil && n == 1 {
	// This request was the first: act here, within tx, then commit.
} // Otherwise it was done before: answer 200 and do nothing.
`,
	"keys": `// Once, when the program starts: it fetches the certificates, and caches them
// as long as they say.
validator, err := idtoken.NewValidator(ctx)
if err != nil {
	log.Fatal(err)
}
`,
	"size": `server := &http.Server{Handler: mux, MaxHeaderBytes: 16 << 10, ReadTimeout: 10 * time.Second}

// In the handler:
if len(token) > 10_000 {
	http.Error(w, "token is too long", http.StatusUnauthorized)
	return
}
r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
`,
	"user-agent": `const gmail = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/1.0 " +
	"(KHTML, like Gecko; Gmail Actions)"
if r.UserAgent() != gmail {
	http.Error(w, "not from Gmail", http.StatusForbidden)
	return
}
`,
	"errors": `azp, ok := payload.Claims["azp"].(string) // Not without ok: a list would be a panic.
if !ok || azp != "gmail@system.gserviceaccount.com" {
	http.Error(w, "not from Gmail", http.StatusUnauthorized)
	return
}
`,
}
