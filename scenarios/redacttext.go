package scenarios

import (
	"regexp"
	"strings"
)

// jws finds what may be a token in compact serialization: its header is a JSON
// object, which in base64url begins so.
var jws = regexp.MustCompile(`eyJ[A-Za-z0-9_-]+=*\.[A-Za-z0-9_-]+=*(?:\.[A-Za-z0-9_-]*=*)*`)

// What ends the parts of a URL in a text, be it JSON or HTML.
const (
	endsText     = " \t\n\f\r\"<>\\"
	endsLocation = "?#" + endsText
	endsName     = "?&#=" + endsText
	endsValue    = "&#" + endsText
)

// RedactText makes a text, which may be JSON, fit for a log. Of what looks like
// a bearer token nothing is left; of the values in URLs, where limited-use
// tokens travel, the first characters. All that serve prints goes through it, so
// it looks only at the few places that may have something to hide.
func RedactText(s string) string {
	if mayHaveJWS(s) {
		s = jws.ReplaceAllLiteralString(s, hiddenToken)
	}
	s = redactLocations(s, '/')
	s = redactLocations(s, '\\') // As some write it in JSON.
	return redactParameters(s)
}

// mayHaveJWS says whether a text has the beginning of what jws finds. It looks
// for the rarest of its letters, which is much faster than the pattern.
func mayHaveJWS(s string) bool {
	for {
		i := strings.IndexByte(s, 'J')
		if i < 0 {
			return false
		}
		if strings.HasSuffix(s[:i], "ey") {
			return true
		}
		s = s[i+1:]
	}
}

// redactLocations cuts the segments that look like tokens in the part of a URL
// that comes before parameters, which begins behind the scheme with a slash.
func redactLocations(s string, slash byte) string {
	var b strings.Builder
	done := 0
	for at := 0; ; {
		i := strings.IndexByte(s[at:], slash)
		if i < 0 {
			break
		}
		first := at + i
		at = first + 1
		start := schemeBefore(s[:first])
		if start < done {
			continue
		}
		for at < len(s) && (s[at] == '/' || s[at] == '\\') {
			at++
		}
		at += length(s[at:], endsLocation)
		if text := s[start:at]; len(text) > minRandom {
			if cut := cutSegments(text); cut != text {
				b.Grow(len(s))
				b.WriteString(s[done:start])
				b.WriteString(cut)
				done = at
			}
		}
	}
	if done == 0 {
		return s
	}
	b.WriteString(s[done:])
	return b.String()
}

// schemeBefore is where the scheme http or https begins that a text ends with, with
// its colon, or -1.
func schemeBefore(s string) int {
	s, ok := strings.CutSuffix(s, ":")
	if !ok {
		return -1
	}
	for _, scheme := range []string{"http", "https"} {
		start := len(s) - len(scheme)
		if start >= 0 && strings.EqualFold(s[start:], scheme) && (start == 0 || !isWord(s[start-1])) {
			return start
		}
	}
	return -1
}

func isWord(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// redactParameters cuts the values of the parameters of URLs, or of what looks
// like some, whatever stands before them; a fragment may have some, too.
func redactParameters(s string) string {
	var b strings.Builder
	done := 0
	marks := marksIn(s)
	for at := 0; ; {
		i := marks.next(at)
		if i == len(s) {
			break
		}
		value, named := i+1, false
		if strings.HasPrefix(s[value:], "amp;") {
			value += len("amp;")
		}
		if n := value + length(s[value:], endsName); n < len(s)-1 && s[n] == '=' && length(s[n+1:], endsValue) > 0 {
			value, named = n+1, true
		}
		at = value + length(s[value:], endsValue)
		// What ends so is cut already.
		if text := s[value:at]; !strings.HasSuffix(text, cutOff) && (named && len(text) >= minSecret || looksRandom(text)) {
			b.Grow(len(s))
			b.WriteString(s[done:value])
			b.WriteString(cutSecret(text))
			done = at
		}
	}
	if done == 0 {
		return s
	}
	b.WriteString(s[done:])
	return b.String()
}

// marks finds what parameters begin with. An octet is searched for much faster
// than one of several, so each is for itself.
type marks struct {
	text  string
	found [3]int // Where each is next.
}

func marksIn(s string) marks { return marks{s, [3]int{-1, -1, -1}} }

// next is where the next mark is, from a place on, or where the text ends.
func (m *marks) next(from int) int {
	nearest := len(m.text)
	for i, c := range [3]byte{'?', '&', '#'} {
		if m.found[i] < from {
			m.found[i] = from + length(m.text[from:], string(c))
		}
		nearest = min(nearest, m.found[i])
	}
	return nearest
}

// length is how much of a text there is before one of the octets that end it.
func length(s, ends string) int {
	if i := strings.IndexAny(s, ends); i >= 0 {
		return i
	}
	return len(s)
}

// cutSegments cuts the segments of a path that look like tokens.
func cutSegments(s string) string {
	i, found := 0, false
	for segment := range strings.SplitSeq(s, "/") {
		found = found || i > 2 && looksRandom(segment) // Behind "https:", "" and the host.
		i++
	}
	if !found {
		return s
	}
	segments := strings.Split(s, "/")
	for i, segment := range segments {
		if i > 2 && looksRandom(segment) {
			segments[i] = cutSecret(segment)
		}
	}
	return strings.Join(segments, "/")
}
