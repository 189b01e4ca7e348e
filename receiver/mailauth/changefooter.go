package mailauth

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"hash"
	"slices"
	"strings"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
)

const (
	// maxFooterLines and maxFooterSize bound what is cut off at one place;
	// company disclaimers have about 50 lines.
	maxFooterLines = 400
	maxFooterSize  = 64 << 10
	// maxFooterPair bounds the lines of each of two footers, because all pairs
	// are tried.
	maxFooterPair = 40
)

// withoutFooter cuts lines off at the places where footers are added.
func (u *undoer) withoutFooter(root entity) (undone, bool) {
	type try struct {
		ends  []int // Each is the end of what may be cut.
		lines int
		where string
	}
	tries := []try{{[]int{root.end}, maxFooterLines, "at the end of the body"}}
	if closing := root.closing; closing > 0 {
		tries = append(tries, try{[]int{closing}, maxFooterLines, "at the end of the last part"})
	}
	texts := slices.Collect(root.texts())
	for _, t := range texts {
		if t.end != root.end && t.end != root.closing {
			tries = append(tries, try{[]int{t.end}, maxFooterLines, "at the end of part " + t.number})
		}
		if at, ok := u.htmlEnd(t); ok {
			tries = append(tries, try{[]int{at}, maxFooterLines, "at the end of the HTML"})
		}
	}
	if len(texts) > 1 {
		a, b := texts[0], texts[1]
		tries = append(tries, try{[]int{a.end, b.end}, maxFooterPair, "at the end of parts " + a.number + " and " + b.number})
		if at, ok := u.htmlEnd(b); ok {
			tries = append(tries, try{[]int{a.end, at}, maxFooterPair, "at the end of parts " + a.number + " and " + b.number})
		}
	}
	for _, t := range tries {
		cuts := u.cut(newBodyFeed(u.body), 0, t.ends, t.lines)
		n := 0
		for _, c := range cuts {
			n += countLines(c)
		}
		if cuts != nil {
			return undone{policy.ChangeFooter, fmt.Sprintf("%s added %s", linesWere(n), t.where), [][]message.Field{u.fields}}, true
		}
	}
	return undone{}, false
}

// htmlEnd returns where the end of the document stands in HTML, before which
// footers are put: the last "</body", or else "</html", at the beginning of a
// line.
func (u *undoer) htmlEnd(t entity) (at int, ok bool) {
	if t.typ != "text/html" || !u.spend(t.end-t.start) {
		return 0, false
	}
	text := bytes.ToLower(u.bodies.body[t.start:t.end]) // Of the same length, or not ASCII and of no use.
	if len(text) != t.end-t.start {
		return 0, false
	}
	for _, tag := range []string{"\n</body", "\n</html"} {
		if i := bytes.LastIndex(text, []byte(tag)); i >= 0 {
			return t.start + i + 1, true
		}
	}
	return 0, false
}

func linesWere(n int) string {
	if n == 1 {
		return "1 line was"
	}
	return fmt.Sprintf("%d lines were", n)
}

// countLines counts the lines that are not empty: whether an empty one was
// added cannot be told.
func countLines(b []byte) int {
	n := 0
	for len(b) > 0 {
		var line []byte
		if line, b = cutLine(b); len(bytes.TrimSpace(line)) > 0 {
			n++
		}
	}
	return n
}

// cut hashes the body from pos on without some whole lines before each of the
// ends. It returns what was left out when the hash is the one that was signed,
// nil if it never is. feed has what is before pos.
func (u *undoer) cut(feed *bodyFeed, pos int, ends []int, lines int) [][]byte {
	body := u.bodies.body
	if len(ends) == 0 {
		if !u.spendLines(body[pos:]) {
			return nil
		}
		feed.lines(body[pos:])
		if bytes.Equal(feed.sum(), u.bodyHash) {
			return [][]byte{}
		}
		return nil
	}
	end := ends[0]
	if !u.spendLines(body[pos:end]) {
		return nil
	}
	at := footerStart(body, pos, end, lines)
	feed.lines(body[pos:at])
	for {
		// The copy costs as much as hashing some lines, and may have to hash the
		// empty lines that the feed still keeps.
		if !u.spend(2*flushAt + 2*feed.empty) {
			return nil
		}
		if rest := u.cut(feed.clone(), end, ends[1:], lines); rest != nil {
			return append(rest, body[at:end])
		}
		if at == end {
			return nil
		}
		_, after := cutLine(body[at:end])
		next := end - len(after)
		feed.lines(body[at:next])
		at = next
	}
}

// footerStart returns where the first of the last lines before end starts that
// may be cut off, from start on.
func footerStart(body []byte, start, end, lines int) int {
	at := end
	for range lines {
		if at <= start {
			break
		}
		line := start + bytes.LastIndexByte(body[start:at-1], '\n') + 1
		if end-line > maxFooterSize {
			break
		}
		at = line
	}
	return at
}

// unwrapped takes the first part of a multipart for the body, and its fields
// for those of the message: list servers put a multipart around what they cannot
// add a footer to.
func (u *undoer) unwrapped(root entity) (undone, bool) {
	if len(root.parts) < 2 {
		return undone{}, false
	}
	first := root.parts[0]
	if !u.hasBody(u.bodies.body[first.start:first.textEnd]) {
		return undone{}, false
	}
	fields := slices.DeleteFunc(slices.Clone(u.fields), isContentField)
	for _, f := range first.fields {
		if isContentField(f) {
			fields = append(fields, f)
		}
	}
	return undone{policy.ChangeFooter, fmt.Sprintf("the body was put into a multipart, and another part after it (%d in all)", len(root.parts)), [][]message.Field{fields}}, true
}

// isContentField reports whether a field belongs to an entity of MIME.
func isContentField(f message.Field) bool {
	return strings.HasPrefix(strings.ToLower(f.Name), "content-")
}

// bodyFeed hashes a body as canonHash.body does, but in pieces, and can tell
// the hash after each.
type bodyFeed struct {
	*canonHash
	algorithm Canonicalization
	empty     int  // Empty lines since the last other one.
	written   bool // There was another one.
}

func newBodyFeed(algorithm Canonicalization) *bodyFeed {
	return &bodyFeed{canonHash: newCanonHash(), algorithm: algorithm}
}

// lines adds whole lines, of which the last need not have an end.
func (f *bodyFeed) lines(b []byte) {
	for len(b) > 0 {
		line, rest := cutLine(b)
		whole := b[:len(b)-len(rest)]
		b = rest
		if f.algorithm == Relaxed {
			line = bytes.TrimRight(line, " \t")
		}
		if len(line) == 0 {
			f.empty++
			continue
		}
		for ; f.empty > 0; f.empty-- {
			f.newline()
			if len(f.buf) > flushAt {
				f.flush()
			}
		}
		f.body(whole, f.algorithm)
		f.written = true
	}
}

// sum returns the hash of what there is. More can be added afterwards.
func (f *bodyFeed) sum() []byte {
	if !f.written && f.algorithm == Simple {
		sum := sha256.Sum256([]byte("\r\n")) // RFC 6376 3.4.3.
		return sum[:]
	}
	return f.canonHash.sum()
}

// clone returns another feed with the same content.
func (f *bodyFeed) clone() *bodyFeed {
	f.flush()
	state, err := f.hash.(hash.Cloner).Clone()
	if err != nil {
		panic("SHA-256 cannot be copied: " + err.Error())
	}
	c := *f
	c.canonHash = newCanonHash()
	c.hash = state
	return &c
}
