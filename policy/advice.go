package policy

import (
	"net/netip"
	"slices"
	"strings"
	"unicode"
)

// The checks of this file advise: what they find is a mistake or a risk, and
// never withholds an action.

// aboutHandlers says that an advice on handlers does not concern an action.
func aboutHandlers(s subject) (conclusion, bool) {
	if s.action.Kind == KindInApp && len(s.action.Handlers) == 1 {
		return conclusion{}, true
	}
	return skip("go-to", "this is about in-app actions"), false
}

// minTokenLength is how long a value must be to count as hard to guess: 16
// characters of hex are 64 bits.
const minTokenLength = 16

func adviseToken(s subject) conclusion {
	c, ok := aboutHandlers(s)
	if !ok {
		return c
	}
	u, err := parseURL(s.action.Handlers[0].URL)
	if err == nil {
		for pair := range strings.SplitSeq(u.RawQuery, "&") {
			if name, value, _ := strings.Cut(pair, "="); looksRandom(value) {
				return pass("token-found", "the URL has a parameter that is hard to guess", fact("parameter", name))
			}
		}
		if i := slices.IndexFunc(strings.Split(u.Path, "/"), looksRandom); i >= 0 {
			return pass("token-found", "the URL's path has a part that is hard to guess", factInt("segment", i))
		}
	}
	return fail("token-missing", "whoever knows the URL's shape can make the request of another user: add a limited-use token",
		fact("url", s.action.Handlers[0].URL))
}

// looksRandom says whether a value may be a token: long, without spaces, and
// of letters and digits mixed.
func looksRandom(value string) bool {
	if len(value) < minTokenLength || strings.ContainsAny(value, " @") {
		return false
	}
	letters := strings.IndexFunc(value, unicode.IsLetter) >= 0
	digits := strings.IndexFunc(value, unicode.IsDigit) >= 0
	return letters && digits
}

func adviseURLOnce(s subject) conclusion {
	c, ok := aboutHandlers(s)
	if !ok {
		return c
	}
	own := s.action.Handlers[0].URL
	for i := range s.e.Markup.Actions {
		other := &s.e.Markup.Actions[i]
		if other.Index != s.action.Index && len(other.Handlers) == 1 && other.Handlers[0].URL == own {
			return fail("url-in-other-action", "another action of this message has the same URL", fact("url", own), factInt("action", other.Index))
		}
	}
	if slices.Contains(s.e.EarlierURLs, own) {
		return fail("url-in-other-message", "an earlier message carried the same URL: its token is not of limited use", fact("url", own))
	}
	return pass("url-unique", "the URL has not been seen before", fact("url", own))
}

// localSuffixes are top-level domains that no public resolver knows (RFC
// 6761, RFC 6762, RFC 8375).
var localSuffixes = []string{".localhost", ".local", ".internal", ".home.arpa"}

func adviseURLPublic(s subject) conclusion {
	c, ok := aboutHandlers(s)
	if !ok {
		return c
	}
	u, err := parseURL(s.action.Handlers[0].URL)
	if err != nil {
		return skip("url-malformed", "the URL cannot be read")
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	local := host == "localhost" || slices.ContainsFunc(localSuffixes, func(suffix string) bool { return strings.HasSuffix(host, suffix) })
	if ip, err := netip.ParseAddr(host); err == nil {
		local = !ip.IsGlobalUnicast() || ip.IsPrivate()
	}
	if local {
		return fail("url-local", "the real provider cannot reach this host: take care that production mail names another", fact("host", host))
	}
	return pass("url-public", "the host may be public", fact("host", host))
}

func adviseMethod(s subject) conclusion {
	c, ok := aboutHandlers(s)
	if !ok {
		return c
	}
	switch method := s.action.Handlers[0].Method; method {
	case "POST":
		return pass("method-post", "the handler states POST")
	case "GET":
		return fail("method-get", "the handler asks for GET: mail scanners that follow links will press this button too", fact("method", method))
	case "":
		return fail("method-missing", "the handler states no method; one page of the documentation says GET, another shows POST",
			fact("assumed", s.e.Dials.Get(DialMethod)))
	default:
		return fail("method-unknown", "the handler's method is neither POST nor GET", fact("method", method))
	}
}

func adviseNames(s subject) conclusion {
	if len(s.action.Legacy) > 0 {
		return fail("legacy-names", "the action uses names that today's documentation does not have", fact("names", strings.Join(s.action.Legacy, ", ")))
	}
	return pass("current-names", "all names are current")
}

// maxLabel is our reading of "short" (gmail-actions.md 6.2 gives no number).
const maxLabel = 30

func adviseLabel(s subject) conclusion {
	name := s.action.Name
	got := fact("label", name)
	switch {
	case name == "":
		return fail("label-missing", "the action has no name, and so the button no label", got)
	case len([]rune(name)) > maxLabel:
		return fail("label-long", "the label is long", got)
	case strings.ContainsFunc(name, func(r rune) bool { return unicode.IsPunct(r) && r != '\'' && r != '’' && r != '-' }):
		return fail("label-punctuation", "the label has punctuation", got)
	case name == strings.ToUpper(name) && name != strings.ToLower(name):
		return fail("label-capitals", "the label is all capitals", got)
	}
	return pass("label-good", "the label is short and plain", got)
}

func adviseIntended(s subject) conclusion {
	c, ok := aboutHandlers(s)
	if !ok {
		return c
	}
	if h := s.action.Handlers[0]; h.Link {
		return fail("visible-link", "the handler's URL is that of a visible link: browsers open it with GET, the provider would POST to it",
			fact("url", h.URL))
	}
	return pass("handler-only", "the handler's URL is not a visible link")
}
