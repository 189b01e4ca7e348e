package mailauth

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
)

const (
	// maxChangeOctets and maxChangeKeys bound what is spent on one message, for
	// all its signatures together, to find out what was changed in it: octets
	// that are hashed or decoded, and uses of a key. Either takes about 0.1 s. No
	// more memory is used than octets.
	maxChangeOctets = 32 << 20
	maxChangeKeys   = 64
	// lineOctets is how many octets could be hashed in the time that a line
	// takes besides.
	lineOctets = 16
	// maxSubjectTags is how many tags are taken off a subject.
	maxSubjectTags = 3
)

// effort counts what was spent on one message.
type effort struct{ octets, keys int }

// undoer undoes, for one signature that fails, what mail systems are known to
// do to messages on the way, until the signature verifies.
//
// A body is tried without lines at its end, at the end of the outermost
// multipart, of one or two of its text parts, or of the HTML in them; as the first part of a
// multipart that was put around it; and with text parts in another transfer
// encoding. What a header is tried with is a subject without its tags, and the
// transfer encoding that goes with the body. Not found are, among others, a
// footer in a part that was encoded anew for it, or in the middle of a line, an encoding that
// breaks lines in other places than ours, and a subject that was encoded anew.
type undoer struct {
	signed
	key   *dkimKey
	spent *effort
}

// undone is a body that has the hash that was signed.
type undone struct {
	change policy.Change
	text   string            // What was done, in words.
	header [][]message.Field // Headers that may go with it.
}

// explain finds out what was done to the message of a signature that fails,
// and adds it to the verdict. A signature with l= is left alone: what was added
// is not what it fails for.
func (s signed) explain(key *dkimKey, why *verdict) *verdict {
	if s.length >= 0 {
		return why
	}
	u := undoer{signed: s, key: key, spent: &s.bodies.spent}
	if why.reason == ReasonSignature {
		s.result.Change = policy.ChangeHeader
		if tag, ok := u.headerVerifies([][]message.Field{s.fields}); ok {
			s.result.Change = policy.ChangeSubject
			why.text += fmt.Sprintf(": %q was put before the subject", tag)
		}
		return why
	}
	s.result.Change = policy.ChangeBody
	body, ok := u.findBody()
	if !ok {
		return why
	}
	switch tag, ok := u.headerVerifies(body.header); {
	case !ok:
		why.text += ": " + body.text + ", and a signed field was changed, or the key is another"
	case tag != "":
		s.result.Change = body.change
		why.text += fmt.Sprintf(": %s, and %q was put before the subject", body.text, tag)
	default:
		s.result.Change = body.change
		why.text += ": " + body.text
	}
	return why
}

// findBody looks for a body that has the hash that was signed. What costs least
// is tried first.
func (u *undoer) findBody() (undone, bool) {
	if !u.spendLines(u.bodies.body) {
		return undone{}, false
	}
	root := parts(u.bodies.body, u.fields)
	for _, try := range []func(entity) (undone, bool){u.withoutFooter, u.unwrapped, u.reencoded} {
		if found, ok := try(root); ok {
			return found, true
		}
	}
	return undone{}, false
}

// spend reports whether so many octets may still be processed, and counts them.
func (u *undoer) spend(octets int) bool {
	u.spent.octets += octets
	return u.spent.octets <= maxChangeOctets
}

// spendLines is spend for text that is processed line by line.
func (u *undoer) spendLines(b []byte) bool {
	return u.spend(len(b) + lineOctets*bytes.Count(b, []byte{'\n'}))
}

// hasBody reports whether the signature was made for a body.
func (u *undoer) hasBody(body []byte) bool {
	if !u.spendLines(body) {
		return false
	}
	feed := newBodyFeed(u.body)
	feed.lines(body)
	return bytes.Equal(feed.sum(), u.bodyHash)
}

// headerVerifies tries the signature with some headers, and with each of them
// without the tags of its subject. It returns the tag that was taken off.
func (u *undoer) headerVerifies(headers [][]message.Field) (tag string, ok bool) {
	for _, fields := range headers {
		if u.verifiesWith(fields) {
			return "", true
		}
	}
	for _, fields := range headers {
		i := lastField(fields, "Subject") // The first that h= means.
		if i < 0 {
			continue
		}
		for _, v := range untagged(fields[i].Value) {
			other := slices.Clone(fields)
			other[i] = withValue(fields[i], v.value)
			if u.verifiesWith(other) {
				return v.tag, true
			}
		}
	}
	return "", false
}

func (u *undoer) verifiesWith(fields []message.Field) bool {
	size := 0
	for _, f := range fields {
		size += len(f.Raw)
	}
	if u.spent.keys++; u.spent.keys > maxChangeKeys || !u.spend(size) {
		return false
	}
	s := u.signed
	s.fields = fields
	return s.checkHeader(u.key)
}

func lastField(fields []message.Field, name string) int {
	for i := len(fields) - 1; i >= 0; i-- {
		if fields[i].Is(name) {
			return i
		}
	}
	return -1
}

// withValue returns a field with another value.
func withValue(f message.Field, value string) message.Field {
	f.Raw = slices.Concat(f.Raw[:len(f.Raw)-len(f.Value)], []byte(value))
	f.Value = value
	return f
}

// newField returns a field as most write it.
func newField(name, value string) message.Field {
	return withValue(message.Field{Name: name, Raw: []byte(name + ":")}, " "+value+"\r\n")
}

// subjectTag is what lists and filters put before a subject: "[tag] ",
// "***tag*** " or "Word: ".
var subjectTag = regexp.MustCompile(`^(?:\[[^\]]{1,64}\]|\*{2,5}[^*]{1,64}\*{2,5}|[\pL\pN_-]{1,32}:)[ \t\r\n]+`)

// subject is the value of a Subject field without a tag that it had.
type subject struct{ value, tag string }

// untagged returns a subject without its first tag, its first two and so on,
// and without a tag that stands behind "Re: " or another word.
func untagged(value string) []subject {
	text := strings.TrimLeft(value, " \t\r\n")
	space := value[:len(value)-len(text)]
	var list []subject
	rest := text
	for range maxSubjectTags {
		tag := subjectTag.FindString(rest)
		if tag == "" {
			break
		}
		rest = rest[len(tag):]
		list = append(list, subject{space + rest, text[:len(text)-len(rest)]})
	}
	if word := subjectTag.FindString(text); strings.HasSuffix(strings.TrimRight(word, " \t\r\n"), ":") {
		if tag := subjectTag.FindString(text[len(word):]); tag != "" {
			list = append(list, subject{space + word + text[len(word)+len(tag):], tag})
		}
	}
	return list
}
