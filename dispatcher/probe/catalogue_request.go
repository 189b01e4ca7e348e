package probe

import "github.com/doppelbox/doppelbox/dispatcher"

// With which method.
var methodProbes = group("method", "method", []Probe{
	{
		ID: "get-by-scanner", Title: "GET by a scanner of links, without a token",
		Reason: "Programs that look at mail open every URL in it. None of them must press a button.",
		Source: "gmail-actions.md 2; RFC 9110 9.2.1", Severity: Critical, Expect: MustRefuse,
		Change: Change{
			Method: "GET", Authorization: none, Drop: []string{"Content-Type"},
			Set: []dispatcher.Field{{Name: "User-Agent", Value: "Mozilla/5.0 (compatible; link preview)"}},
		},
	}, {
		ID: "method-get", Title: "GET instead of POST",
		Reason: "A GET must change nothing: browsers, caches and scanners repeat it at will.",
		Source: "gmail-actions.md 2; RFC 9110 9.2.1", Severity: High, Expect: MustRefuse,
		Change: Change{Method: "GET", Drop: []string{"Content-Type"}},
	}, {
		ID: "method-get-query", Title: "GET, the form in the query",
		Reason: "Frameworks that read query and form as one.",
		Source: "gmail-actions.md 2; RFC 9110 9.2.1", Severity: High, Expect: MustRefuse,
		Change: Change{Method: "GET", Drop: []string{"Content-Type"}, Query: []Edit{{Add, "{name}", "{value}"}}},
	}, {
		ID: "method-head", Title: "HEAD instead of POST",
		Reason: "Frameworks that answer HEAD with the code for GET, or for anything.",
		Source: "gmail-actions.md 2; RFC 9110 9.2.1, 9.3.2", Severity: High, Expect: MustRefuse,
		Change: Change{Method: "HEAD", Drop: []string{"Content-Type"}},
	}, {
		ID: "override-header", Title: "GET that says in a field that it is a POST",
		Reason: "Fields that override the method make a safe request unsafe behind the back of caches and filters.",
		Source: "RFC 9110 9.2.1", Severity: Medium, Expect: MustRefuse,
		Change: Change{Method: "GET", Query: []Edit{{Add, "{name}", "{value}"}}, Set: []dispatcher.Field{
			{Name: "X-HTTP-Method-Override", Value: "POST"}, {Name: "X-HTTP-Method", Value: "POST"}, {Name: "X-Method-Override", Value: "POST"},
		}},
	}, {
		ID: "override-query", Title: "GET that says in the query that it is a POST",
		Reason: "A link that presses the button.",
		Source: "RFC 9110 9.2.1", Severity: Medium, Expect: MustRefuse,
		Change: Change{Method: "GET", Query: []Edit{{Add, "{name}", "{value}"}, {Add, "_method", "POST"}}},
	}, {
		ID: "method-put", Title: "PUT instead of POST",
		Reason: "Routes that take any method.",
		Source: "gmail-actions.md 2; RFC 9110 15.5.6", Severity: Low, Expect: ShouldRefuse,
		Change: Change{Method: "PUT"},
	}, {
		ID: "method-patch", Title: "PATCH instead of POST",
		Reason: "Routes that take any method.",
		Source: "gmail-actions.md 2; RFC 9110 15.5.6", Severity: Low, Expect: ShouldRefuse,
		Change: Change{Method: "PATCH"},
	}, {
		ID: "method-delete", Title: "DELETE instead of POST",
		Reason: "Routes that take any method.",
		Source: "gmail-actions.md 2; RFC 9110 15.5.6", Severity: Low, Expect: ShouldRefuse,
		Change: Change{Method: "DELETE"},
	}, {
		ID: "method-unknown", Title: "A method that nobody knows",
		Reason: "Routes that take any method.",
		Source: "gmail-actions.md 2; RFC 9110 15.6.2", Severity: Low, Expect: ShouldRefuse,
		Change: Change{Method: "PRESS"},
	}, {
		ID: "method-options", Title: "OPTIONS instead of POST",
		Reason: "Routes that take any method. Many servers answer it by themselves, with success; nothing must be done then.",
		Source: "RFC 9110 9.2.1, 9.3.7", Severity: Medium, Expect: MustNotAct,
		Change: Change{Method: "OPTIONS"},
	}, {
		ID: "method-trace", Title: "TRACE instead of POST",
		Reason: "Routes that take any method. A server may answer it with what it got; nothing must be done then.",
		Source: "RFC 9110 9.2.1, 9.3.8", Severity: Medium, Expect: MustNotAct,
		Change: Change{Method: "TRACE"},
	},
})

// From whom, to whom, and on which way.
var originProbes = group("origin", "credentials", []Probe{
	{
		ID: "identity-fields", Title: "No token, but the fields by which proxies say who it is",
		Reason: "A service that believes them must not be reachable past its proxy.",
		Source: "RFC 9110 17.1; gmail-actions.md 3.1", Severity: Critical, Expect: MustRefuse,
		Change: Change{Authorization: none, Set: []dispatcher.Field{
			{Name: "X-Forwarded-User", Value: "gmail@system.gserviceaccount.com"},
			{Name: "X-Forwarded-Email", Value: "gmail@system.gserviceaccount.com"},
			{Name: "X-Remote-User", Value: "gmail@system.gserviceaccount.com"},
			{Name: "X-Goog-Authenticated-User-Email", Value: "accounts.google.com:gmail@system.gserviceaccount.com"},
			{Name: "X-Authenticated", Value: "true"},
		}},
	}, {
		ID: "forwarded-loopback", Title: "No token, but said to come from the machine itself",
		Reason: "A service that trusts its own machine, and believes the fields that say where a request is from.",
		Source: "RFC 7239 8.1; gmail-actions.md 3.1", Severity: Critical, Expect: MustRefuse,
		Change: Change{Authorization: none, Set: []dispatcher.Field{
			{Name: "X-Forwarded-For", Value: "127.0.0.1"}, {Name: "X-Real-IP", Value: "127.0.0.1"}, {Name: "Forwarded", Value: "for=127.0.0.1;proto=https"},
			{Name: "X-Forwarded-Proto", Value: "https"}, {Name: "X-Forwarded-Host", Value: "localhost"},
		}},
	}, {
		ID: "original-url", Title: "No token; the path is \"/\", and a field names the real one",
		Reason: "A filter before the service sees an innocent path, and the service takes the other.",
		Source: "RFC 9110 17.1; gmail-actions.md 3.1", Severity: High, Expect: MustRefuse,
		Change: Change{Authorization: none, Target: "/", Set: []dispatcher.Field{
			{Name: "X-Original-URL", Value: "{target}"}, {Name: "X-Rewrite-URL", Value: "{target}"},
		}},
	}, {
		ID: "path-double-slash", Title: "No token; two slashes before the path",
		Reason: "The filter that asks for tokens compares paths, and the route tidies them up.",
		Source: "RFC 3986 6.2.2, 7.3", Severity: High, Expect: MustRefuse,
		Change: Change{Authorization: none, Path: "/{path}"},
	}, {
		ID: "path-dot", Title: "No token; \"/./\" in the path",
		Reason: "The filter that asks for tokens compares paths, and the route tidies them up.",
		Source: "RFC 3986 5.2.4, 6.2.2.3", Severity: High, Expect: MustRefuse,
		Change: Change{Authorization: none, Path: "/.{path}"},
	}, {
		ID: "path-dot-dot", Title: "No token; \"/x/..\" before the path",
		Reason: "The filter that asks for tokens compares paths, and the route tidies them up.",
		Source: "RFC 3986 5.2.4, 6.2.2.3", Severity: High, Expect: MustRefuse,
		Change: Change{Authorization: none, Path: "/x/..{path}"},
	}, {
		ID: "path-encoded", Title: "No token; an encoded dot segment in the path",
		Reason: "One of the two decodes, and the other does not.",
		Source: "RFC 3986 6.2.2.2, 7.3", Severity: High, Expect: MustRefuse,
		Change: Change{Authorization: none, Path: "/%2e{path}"},
	}, {
		ID: "path-slash", Title: "No token; a slash behind the path",
		Reason: "The filter that asks for tokens compares paths, and the route tidies them up.",
		Source: "RFC 3986 6.2.3", Severity: High, Expect: MustRefuse,
		Change: Change{Authorization: none, Path: "{path}/"},
	}, {
		ID: "path-semicolon", Title: "No token; a parameter behind the path",
		Reason: "Java servers cut it off, and what stands before them does not.",
		Source: "RFC 3986 3.3", Severity: High, Expect: MustRefuse,
		Change: Change{Authorization: none, Path: "{path};x=y"},
	}, {
		ID: "host-missing", Title: "No Host field",
		Reason: "Code that makes links or decisions of it.",
		Source: "RFC 9112 3.2", Severity: Low, Expect: ShouldRefuse, Fix: "framing",
		Change: Change{Drop: []string{"Host"}},
	}, {
		ID: "user-agent-other", Title: "Another User-Agent",
		Reason: "Google's documentation says to compare it. It is no proof, but it keeps out what does not try.",
		Source: "gmail-actions.md 2.3, 2.11", Severity: Low, Expect: ShouldRefuse, Fix: "user-agent",
		Change: Change{Set: []dispatcher.Field{{Name: "User-Agent", Value: "curl/8.9.1"}}},
	}, {
		ID: "user-agent-missing", Title: "No User-Agent",
		Reason: "Google's documentation says to compare it.",
		Source: "gmail-actions.md 2.3, 2.11", Severity: Low, Expect: ShouldRefuse, Fix: "user-agent",
		Change: Change{Drop: []string{"User-Agent"}},
	}, {
		ID: "user-agent-longer", Title: "Something behind the User-Agent",
		Reason: "Google says that it is the same for every request.",
		Source: "gmail-actions.md 2.3", Severity: Low, Expect: ShouldRefuse, Fix: "user-agent",
		Change: Change{Set: []dispatcher.Field{{Name: "User-Agent", Value: dispatcher.UserAgent + " proxy/1.0"}}},
	},
})

// What stands in the form.
var formProbes = group("form", "form", []Probe{
	{
		ID: "form-missing", Title: "No form at all",
		Reason: "Code that acts on whatever comes to the URL.",
		Source: "gmail-actions.md 2.5", Severity: Medium, Expect: ShouldRefuse,
		Change: Change{Form: []Edit{{Remove, "{name}", ""}}},
	}, {
		ID: "form-value-other", Title: "Another value than the one documented",
		Reason: "Code that acts although the answer was not yes.",
		Source: "gmail-actions.md 2.5", Severity: Medium, Expect: ShouldRefuse,
		Change: Change{Form: []Edit{{Put, "{name}", "Declined"}}},
	}, {
		ID: "form-value-empty", Title: "An empty value",
		Reason: "Code that asks only whether there is a parameter.",
		Source: "gmail-actions.md 2.5", Severity: Medium, Expect: ShouldRefuse,
		Change: Change{Form: []Edit{{Put, "{name}", ""}}},
	}, {
		ID: "form-name-array", Title: "The parameter as an array",
		Reason: "Some frameworks make a list of it, and comparing a list with a text has surprised many.",
		Source: "gmail-actions.md 2.5", Severity: Low, Expect: ShouldRefuse,
		Change: Change{Form: []Edit{{Rename, "{name}", "{name}[]"}}},
	}, {
		ID: "form-twice", Title: "The parameter twice, with two values",
		Reason: "One part of a service reads the first and another the last.",
		Source: "gmail-actions.md 2.5", Severity: Low, Expect: ShouldRefuse,
		Change: Change{Form: []Edit{{Add, "{name}", "Declined"}}},
	}, {
		ID: "form-twice-bad-first", Title: "The parameter twice, the good value last",
		Reason: "One part of a service reads the first and another the last.",
		Source: "gmail-actions.md 2.5", Severity: Low, Expect: ShouldRefuse,
		Change: Change{Form: []Edit{{First, "{name}", "Declined"}}},
	}, {
		ID: "form-as-json", Title: "JSON instead of a form",
		Reason: "What is read in two ways is checked in one of them.",
		Source: "gmail-actions.md 2.5, 2.8", Severity: Low, Expect: ShouldRefuse,
		Change: Change{Body: `{"{name}": "{value}"}`, Set: []dispatcher.Field{{Name: "Content-Type", Value: "application/json"}}},
	}, {
		ID: "form-as-text", Title: "The form, said to be plain text",
		Reason: "A page of another site can have a browser send this without asking.",
		Source: "gmail-actions.md 2.5; RFC 9110 15.5.16", Severity: Low, Expect: ShouldRefuse,
		Change: Change{Set: []dispatcher.Field{{Name: "Content-Type", Value: "text/plain"}}},
	}, {
		ID: "form-as-multipart", Title: "The form as multipart",
		Reason: "Many parsers read it by themselves; it is the most costly of them.",
		Source: "gmail-actions.md 2.5; RFC 7578", Severity: Low, Expect: ShouldRefuse,
		Change: Change{
			Body: "--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n--b--\r\n",
			Set:  []dispatcher.Field{{Name: "Content-Type", Value: "multipart/form-data; boundary=b"}},
		},
	}, {
		ID: "form-oversized", Title: "A form of a megabyte",
		Reason: "Work and memory for the service that cost the sender little. The provider's form has a few dozen octets.",
		Source: "gmail-actions.md 2.5; RFC 9110 15.5.14", Severity: Medium, Expect: ShouldRefuse, Fix: "size",
		Change: Change{Form: []Edit{{Add, "pad", "{pad}"}}, Pad: 1 << 20},
	}, {
		ID: "query-parameter-twice", Title: "A parameter of the URL twice, with another value first",
		Reason: "One part of a service checks one value, and another acts on the other.",
		Source: "gmail-actions.md 2.4, 5", Severity: Medium, Expect: ShouldRefuse, Fix: "limited-use",
		Change: Change{Query: []Edit{{First, parameterName, ""}}},
	}, {
		ID: "query-parameter-twice-last", Title: "A parameter of the URL twice, with another value last",
		Reason: "One part of a service checks one value, and another acts on the other.",
		Source: "gmail-actions.md 2.4, 5", Severity: Medium, Expect: ShouldRefuse, Fix: "limited-use",
		Change: Change{Query: []Edit{{Add, parameterName, ""}}},
	},
})

// Which limited-use token.
var limitedProbes = group("limited-use", "limited-use", []Probe{
	{
		ID: "limited-use-missing", Title: "No limited-use token",
		Reason: "Who knows the shape of the URL makes the URL of another action.",
		Source: "gmail-actions.md 5", Severity: Critical, Expect: MustRefuse, Change: Change{LimitedUse: LimitedMissing},
	}, {
		ID: "limited-use-empty", Title: "An empty limited-use token",
		Reason: "It equals the one of an action that has none.",
		Source: "gmail-actions.md 5", Severity: Critical, Expect: MustRefuse, Change: Change{LimitedUse: LimitedEmpty},
	}, {
		ID: "limited-use-altered", Title: "The limited-use token with one character changed",
		Reason: "Code that looks only at its form.",
		Source: "gmail-actions.md 5", Severity: Critical, Expect: MustRefuse, Change: Change{LimitedUse: LimitedAltered},
	}, {
		ID: "limited-use-cut", Title: "The first half of the limited-use token",
		Reason: "Code that compares the beginning: it can be guessed piece by piece.",
		Source: "gmail-actions.md 5", Severity: Critical, Expect: MustRefuse, Change: Change{LimitedUse: LimitedCut},
	}, {
		ID: "limited-use-longer", Title: "The limited-use token with a character more",
		Reason: "Code that compares the beginning.",
		Source: "gmail-actions.md 5", Severity: Medium, Expect: MustRefuse, Change: Change{LimitedUse: LimitedLonger},
	}, {
		ID: "limited-use-not-equal", Title: "The limited-use token as a condition: not equal",
		Reason: "Some frameworks make an object of name[$ne], and some databases a condition of that.",
		Source: "gmail-actions.md 5", Severity: Critical, Expect: MustRefuse, Change: Change{LimitedUse: LimitedNot},
	}, {
		ID: "limited-use-wildcard", Title: "The wildcard of databases as limited-use token",
		Reason: "Code that looks for the token with LIKE: a percent sign is like every token.",
		Source: "gmail-actions.md 5", Severity: Critical, Expect: MustRefuse, Change: Change{LimitedUse: LimitedWildcard},
	}, {
		ID: "limited-use-quote", Title: "A quotation mark and a condition as limited-use token",
		Reason: "Code that makes the text of a query to a database with it: the condition is true of every token.",
		Source: "gmail-actions.md 5", Severity: Critical, Expect: MustRefuse, Change: Change{LimitedUse: LimitedQuote},
	}, {
		ID: "limited-use-of-other-user", Title: "The limited-use token of another user's action",
		Reason: "The other user has one of his own in his mail, and uses it for this action.",
		Source: "gmail-actions.md 5", Severity: Critical, Expect: MustRefuse, Change: Change{LimitedUse: LimitedOtherUser},
	}, {
		ID: "limited-use-for-other-user", Title: "Another user's action with this one's limited-use token",
		Reason: "The same the other way round: the token must name the action, and not the reverse.",
		Source: "gmail-actions.md 5", Severity: Critical, Expect: MustRefuse, Change: Change{Plan: OtherAsker},
	}, {
		ID: "limited-use-of-other-action", Title: "The limited-use token of another action of the same user",
		Reason: "What was given for a harmless action is used for another.",
		Source: "gmail-actions.md 5", Severity: High, Expect: MustRefuse, Change: Change{LimitedUse: LimitedOther},
	}, {
		ID: "limited-use-case", Title: "The limited-use token in the other case",
		Reason: "A database that compares without regard to case makes it easier to guess.",
		Source: "gmail-actions.md 5", Severity: Low, Expect: ShouldRefuse, Change: Change{LimitedUse: LimitedCase},
	}, {
		ID: "limited-use-array", Title: "The limited-use token as an array",
		Reason: "Comparing a list with a text has surprised many.",
		Source: "gmail-actions.md 5", Severity: Low, Expect: ShouldRefuse, Change: Change{LimitedUse: LimitedArray},
	}, {
		ID: "limited-use-bad-first", Title: "Two limited-use tokens, the good one last",
		Reason: "One part of a service checks one of them, and another burns the other.",
		Source: "gmail-actions.md 5", Severity: Low, Expect: ShouldRefuse, Change: Change{LimitedUse: LimitedBadFirst},
	}, {
		ID: "limited-use-bad-last", Title: "Two limited-use tokens, the good one first",
		Reason: "One part of a service checks one of them, and another burns the other.",
		Source: "gmail-actions.md 5", Severity: Low, Expect: ShouldRefuse, Change: Change{LimitedUse: LimitedBadLast},
	}, {
		ID: "limited-use-in-body", Title: "The limited-use token in the form instead of the URL",
		Reason: "Frameworks that read query and form as one.",
		Source: "gmail-actions.md 2.4, 5", Severity: Low, Expect: ShouldRefuse, Change: Change{LimitedUse: LimitedInBody},
	},
})
