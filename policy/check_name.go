package policy

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// The judgement here is on names: what a reader sees, and often all that he sees.

// name judges a display name or comment.
func (s fromJudge) name(name string) (Reason, string) {
	name = withoutFlags(name[:min(len(name), maxFieldSize)]) // A longer one is refused.
	switch {
	case strings.ContainsFunc(name, func(r rune) bool { return unicode.IsControl(r) && r != '\t' }):
		return "name-control", "the name has control characters"
	case turns(name), strings.ContainsFunc(name, isMark) && !strings.ContainsFunc(name, isRightToLeft):
		return "name-bidi", "the name has characters that turn the direction of text around"
	case strings.ContainsFunc(name, isHidden), joinsLatin(name):
		return "name-invisible", "the name has characters that are not seen"
	}
	for _, word := range nameWords(name) {
		other := s.others.word(word)
		switch {
		case other == "" || s.sameOrganisation(asciiDomain(hostOf(word))):
		case strings.Contains(word, "@"):
			return "name-other-address", "the name holds another address: " + word
		default:
			return "name-other-domain", "the name holds another sender's domain: " + word
		}
	}
	if mixed := mixedWord(clean(name), mixesScriptsOfName); mixed != "" {
		return "name-mixed-script", "a word of the name mixes letters of " + mixed
	}
	return "", ""
}

// thirdParty finds an address or the host of a URL in a name that is neither of
// From's organisation nor of anybody whom the provider knows.
func (s fromJudge) thirdParty() (Reason, string) {
	for _, name := range []string{s.from().Name, s.from().Comment} {
		text := clean(name[:min(len(name), maxFieldSize)])
		lower := strings.ToLower(text)
		for _, word := range words(text) {
			local, domain, ok := cutAddress(word)
			if !ok {
				domain = word
			}
			domain = strings.ToLower(domain)
			url := strings.HasPrefix(domain, "www.") || strings.Contains(lower, "://"+domain)
			if !strings.Contains(domain, ".") || len(domain) > maxDomain || !(ok && local != "" || url) || s.sameOrganisation(asciiDomain(domain)) {
				continue
			}
			return reasonThirdParty, "the name holds an address or a site that is not the sender's: " + word
		}
	}
	return "", ""
}

// turns says whether a text has characters that turn its direction, other than
// isolates, each closed, around text from right to left.
func turns(s string) bool {
	open, rightToLeft, isolates := 0, false, false
	for _, r := range s {
		switch {
		case '\u202a' <= r && r <= '\u202e':
			return true
		case r == '\u2069':
			if open--; open < 0 {
				return true
			}
		case isBidi(r):
			open, isolates = open+1, true
		}
		rightToLeft = rightToLeft || isRightToLeft(r)
	}
	return open != 0 || isolates && !rightToLeft
}

// withoutFlags takes the tags off a black flag, of which they make a country's
// (UTS #51 section 3.2).
func withoutFlags(s string) string {
	const flag, end = "\U0001f3f4", "\U000e007f"
	if !strings.Contains(s, flag) {
		return s
	}
	var b strings.Builder
	for {
		before, after, ok := strings.Cut(s, flag)
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		b.WriteString(flag)
		rest := strings.TrimLeftFunc(after, func(r rune) bool { return 0xe0020 <= r && r <= 0xe007e })
		if closed, ok := strings.CutPrefix(rest, end); ok {
			after = closed
		}
		s = after
	}
}

// clean makes a name comparable: compatibility forms such as full-width letters
// as plain ones, nothing invisible, every kind of dot a dot.
func clean(s string) string {
	if isASCII(s) {
		// Most are, and then there is one thing to do.
		return strings.ReplaceAll(s, "%40", "@")
	}
	// The micro and ohm signs are no Greek, whatever they are compatible with.
	s = strings.NewReplacer("\u00b5", "u", "\u2126", "w", "%40", "@",
		// Nor are these letters and digits of the word that they stand behind.
		"™", " ", "℠", " ", "ª", " ", "º", " ", "¹", " ", "²", " ", "³", " ").Replace(s)
	return strings.Map(func(r rune) rune {
		switch {
		case strings.ContainsRune("。․·‧•", r):
			return '.'
		case isHyphen(r):
			return '-'
		case isHidden(r) || isBidi(r) || isMark(r) || r == '\u00ad':
			return -1
		}
		return r
	}, norm.NFKC.String(s))
}

// nameWords are the words of a name that may be an address or a domain: as they
// stand, and with what is put around a dot taken away.
func nameWords(name string) []string {
	if name == "" {
		return nil
	}
	text := strings.ToLower(clean(name))
	list := words(text)
	if close := closeDots(text); close != text {
		list = append(list, words(close)...)
	}
	kept := list[:0]
	for _, word := range list {
		if strings.Contains(word, ".") && len(word) <= maxDomain {
			kept = append(kept, word)
		}
	}
	return kept
}

// closeDots takes white space and brackets off dots and at signs.
func closeDots(text string) string {
	around := func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune("[](){}<>", r) }
	var b strings.Builder
	b.Grow(len(text))
	pending := 0 // Where what may have to go begins, in text; -1 behind a dot.
	runes := []rune(text)
	for i := 0; i < len(runes); {
		if !around(runes[i]) {
			b.WriteRune(runes[i])
			i++
			continue
		}
		pending = i
		for i < len(runes) && around(runes[i]) {
			i++
		}
		joint := func(r rune) bool { return r == '.' || r == '@' }
		if i < len(runes) && joint(runes[i]) || pending > 0 && joint(runes[pending-1]) {
			continue
		}
		b.WriteString(string(runes[pending:i]))
	}
	return b.String()
}

// hostOf is the domain of a word that may be an address.
func hostOf(word string) string {
	if _, domain, ok := cutAddress(word); ok {
		word = domain
	}
	return strings.Trim(word, ".-+")
}

// isHidden says whether a character is not seen and has no business in a name.
func isHidden(r rune) bool {
	switch {
	case r == '\u200c', r == '\u200d', r == '\u00ad', isMark(r), isBidi(r), unicode.Is(unicode.Prepended_Concatenation_Mark, r):
		return false
	case r == '\u2028', r == '\u2029', r == '\u2800', r == '\ufffc':
		return true
	}
	return unicode.Is(unicode.Cf, r) || isInvisible(r)
}

// isMark says whether a character is a mark of direction, which text from right
// to left may need.
func isMark(r rune) bool { return r == '\u200e' || r == '\u200f' || r == '\u061c' }

func isRightToLeft(r rune) bool {
	return unicode.In(r, unicode.Hebrew, unicode.Arabic, unicode.Syriac, unicode.Thaana, unicode.Nko)
}

// joinsLatin says whether a joiner, which some scripts and pictures need, stands
// between letters or digits that cannot be joined.
func joinsLatin(s string) bool {
	runes := []rune(s)
	for i, r := range runes {
		if (r == '\u200c' || r == '\u200d') && (i == 0 || i == len(runes)-1 || unjoined(runes[i-1]) || unjoined(runes[i+1])) {
			return true
		}
	}
	return false
}

func unjoined(r rune) bool {
	return r < 0x80 || unicode.In(r, unicode.Latin, unicode.Greek, unicode.Cyrillic, unicode.Armenian)
}

// maxDomain is the longest domain (RFC 5321 4.5.3.1.2).
const maxDomain = 255

// words cuts text at whatever cannot be part of an address, decorations included.
func words(text string) []string {
	list := strings.FieldsFunc(text, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-.@+", r)
	})
	for i := range list {
		list[i] = strings.Trim(list[i], ".-+")
	}
	return list
}

// mixedWord names the scripts that one word of a text mixes; "" if none does.
func mixedWord(text string, mixes func(string) string) string {
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r) }) {
		if mixed := mixes(word); mixed != "" {
			return mixed
		}
	}
	return ""
}
