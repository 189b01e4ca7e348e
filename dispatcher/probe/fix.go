package probe

// Fix says how a service is mended.
type Fix struct {
	ID    string
	Title string
	Text  string // What to do, in two or three sentences.
	// Code has a short example by language: go, node, python, java. It is empty
	// where no code mends it.
	Code map[string]string
	// bearer says that the fault is one of the bearer token, for which 401 is
	// the documented answer.
	bearer bool
}

// FixOf returns the fix of an id, and false if there is none.
func FixOf(id string) (Fix, bool) {
	f, ok := fixes[id]
	f.ID, f.Code = id, make(map[string]string)
	for language, code := range snippets {
		if text := code[id]; text != "" {
			f.Code[language] = text
		}
	}
	return f, ok
}

// Languages returns the languages of examples in the order in which they are
// shown.
func Languages() []string { return []string{"go", "node", "python", "java"} }

var snippets = map[string]map[string]string{"go": goSnippets, "node": nodeSnippets, "python": pythonSnippets, "java": javaSnippets}

// onceWithoutBearer is what the fix "once" is for a service that gets no bearer
// tokens. No probe names it.
const onceWithoutBearer = "once-without-bearer"

var fixes = map[string]Fix{
	"credentials": {
		Title: "Take the token from one place",
		Text: "Read exactly one Authorization field of the form \"Bearer TOKEN\" and answer 401 to everything else. Nothing else in a request says who sent it: " +
			"no other field, no cookie, no parameter, no address. Verify in the handler itself, so that no odd path leads past it.",
		bearer: true,
	},
	"signature": {
		Title: "Verify the signature by the provider's published keys",
		Text: "Use Google's library: it looks for the key among those that are published, and takes no key and no URL out of the token. " +
			"Some of its versions look neither at alg nor at crit: do that yourself. Answer 401 if it finds fault, whatever the fault.",
		bearer: true,
	},
	"issuer": {
		Title: "Compare the issuer",
		Text: "iss must be https://accounts.google.com or accounts.google.com, character for character. Google's library for Go does not look, nor does verify_token for Python. " +
			"If you trust other providers, keep their keys apart, and look for a key only among those of the issuer.",
		bearer: true,
	},
	"audience": {
		Title:  "Compare the audience",
		Text:   "aud must be a text, and equal to \"https://\" and the domain of your From address, character for character, without a slash behind. An empty audience switches the comparison off in some libraries, and one made of a field of the request lets the client choose it.",
		bearer: true,
	},
	"authorized-party": {
		Title:  "Compare azp",
		Text:   "azp must be gmail@system.gserviceaccount.com. No library compares it, and anybody can have Google sign a token for your audience: this is what tells Gmail from everybody.",
		bearer: true,
	},
	"expiry": {
		Title:  "Compare the times",
		Text:   "exp must be there and a number, and not have passed; iat must be there and not lie ahead; a token of Google's is good for an hour. What the library leaves out is a few lines.",
		bearer: true,
	},
	"method": {
		Title: "Take POST alone",
		Text:  "Bind the route to POST and answer 405 to all other methods, HEAD and those that a field or a parameter asks for included.",
	},
	"form": {
		Title: "Read the form, and believe nothing else",
		Text:  "Read the body whole, as application/x-www-form-urlencoded; have no part of it missing. Act if confirmed is there once, in the body and with the value Approved. Answer 400 otherwise.",
	},
	"limited-use": {
		Title: "Bind the limited-use token to the action and the user",
		Text: "Put a random value of 128 bits into the URL and store its hash with the action and the user. Look all three up together, compare whole values, and take no parameter that is there twice. " +
			"Burn it only when the action is carried out, and after everything else was verified.",
	},
	"once": {
		Title: "Carry an action out once",
		Text: "Mark the limited-use token as used and act in one transaction, by an update that changes a row only if it is unused. Keep a hash of the bearer token with it: to the same token again answer 409, " +
			"and to another one, which is the provider's retry, 200 without acting.",
	},
	onceWithoutBearer: {
		Title: "Carry an action out once",
		Text: "Mark the limited-use token as used and act in one transaction, by an update that changes a row only if it is unused. " +
			"Answer 200 without acting to every further request: without bearer tokens the provider's retry cannot be told from a repetition.",
	},
	"keys": {
		Title:  "Fetch the keys, and keep them no longer than they say",
		Text:   "Let the library fetch the certificates, cache them as Cache-Control says, and fetch again for a kid that it does not know. Put no key into the configuration.",
		bearer: true,
	},
	"size": {
		Title: "Draw a line under what you read",
		Text:  "Refuse a body of more than a few KiB with 413 before reading it, a header of more than 16 KiB with 431, and a token of more than 10,000 characters with 401.",
	},
	"framing": {
		Title: "Let no two servers read a request differently",
		Text: "Keep the servers that read HTTP up to date, the service's and those before it, and let none of them mend a bad request: RFC 9112 has them answer 400. " +
			"Act only when the body was read to its end without an error.",
	},
	"user-agent": {
		Title: "Compare the User-Agent",
		Text:  "Google's documentation says to compare the whole of it. It is no proof of anything; do it last.",
	},
	"errors": {
		Title: "Answer what you do not understand with 400 or 401",
		Text:  "A request that makes the service fail is one that nobody has thought about. Catch the library's errors around the verification, and answer 401.",
	},
}
