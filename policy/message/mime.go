package message

import (
	"bytes"
	"iter"
	"mime"
	"strconv"
	"strings"

	"github.com/doppelbox/doppelbox/policy"
)

const (
	// maxDepth bounds nested multiparts; real mail has about five.
	maxDepth = 20
	// maxParts bounds the leaves of a message; real mail has some dozens.
	maxParts = 1000
	// maxDecoded bounds the octets of all leaves together: twice the 50 MB that
	// Gmail takes from outside, because conversion to UTF-8 lets text grow.
	maxDecoded = 100 << 20
	// maxContentType is what Gmail takes as one field (gmail-inbound.md 1.5).
	maxContentType = 32 << 10
)

// Part is one leaf of a message's MIME tree.
type Part struct {
	// Number is the part as IMAP numbers it (RFC 9051 6.4.5).
	Number string
	// Within are the media types of the multiparts that the part is in, the
	// outermost first.
	Within []string
	// Type is the media type in lower case, such as "text/html". It is
	// "application/octet-stream" if the transfer encoding is unknown (RFC 2045
	// 6.4).
	Type string
	// Stated is the media type that Content-Type states: Type, whatever the
	// transfer encoding.
	Stated string
	Params map[string]string // Parameters of Content-Type, names in lower case.
	// Disposition is that of Content-Disposition in lower case, without
	// parameters; empty if absent.
	Disposition string
	// Text is the content, transfer-decoded, and for text/* converted to UTF-8.
	// What cannot be decoded is left out, or is U+FFFD, and has a problem. It
	// may be a slice of Message.Raw.
	Text     []byte
	Problems []policy.Problem
}

// Parts returns the leaves of the MIME tree in order, and the problems of the
// tree itself. What is inside a message/rfc822 part is not walked: its sender's
// message is another one, which Parse reads from the part's Text. Text before
// the first and after the last delimiter of a multipart belongs to no part (RFC
// 2046 5.1.1).
func (m *Message) Parts() ([]Part, []policy.Problem) {
	w := walker{room: maxDecoded}
	w.entity(m, "", 0, "text/plain")
	return w.parts, w.problems.List()
}

// countedAttachments is from how many parts on attachments are counted: it is the
// provider's limit (gmail-inbound.md 1.5), and most mail need not be taken apart.
const countedAttachments = 500

// attachments counts the parts that are not the text; zero if there cannot be
// more than countedAttachments.
func (m *Message) attachments() int {
	if bytes.Count(m.Body, []byte("\n--")) <= countedAttachments {
		return 0
	}
	parts, _ := m.Parts()
	n := 0
	for _, p := range parts {
		if p.Disposition == "attachment" || !strings.HasPrefix(p.Stated, "text/") {
			n++
		}
	}
	return n
}

// walker goes through a MIME tree.
type walker struct {
	parts    []Part
	problems policy.Problems
	room     int // Decoded octets that may still come.
	within   []string
}

// entity reads a message or a part. A multipart's number is the prefix of its
// parts' numbers; fallback is the media type of an entity that states none.
func (w *walker) entity(e *Message, number string, depth int, fallback string) {
	place := policy.Place{Part: number}
	var p policy.Problems
	typ, params := mediaType(e, fallback, place, &p)
	if !strings.HasPrefix(typ, "multipart/") {
		w.leaf(e, number, typ, params, &p)
		return
	}
	boundary := params["boundary"]
	if boundary == "" {
		p.Add(place, BoundaryMissing, "%s without a boundary", clip(typ))
		w.leaf(e, number, typ, params, &p)
		return
	}
	if depth == maxDepth {
		p.Add(place, TooDeep, "multiparts are nested more than %d deep", maxDepth)
		w.leaf(e, number, typ, params, &p)
		return
	}
	if enc := encoding(e); isOpaque(enc) {
		p.Add(place, MultipartEncoded, "%s with transfer encoding %q, which is not applied", clip(typ), clip(enc))
	}
	w.problems.Join(p.List())
	outside := w.within
	w.within = append(outside[:len(outside):len(outside)], typ) // Parts keep it.
	defer func() { w.within = outside }()
	fallback = "text/plain"
	if typ == "multipart/digest" {
		fallback = "message/rfc822" // RFC 2046 5.1.5
	}
	w.multipart(e.Body, boundary, number, func(child *Message, number string) {
		w.entity(child, number, depth+1, fallback)
	})
}

// multipart calls visit with each part of a multipart.
func (w *walker) multipart(body []byte, boundary, number string, visit func(child *Message, number string)) {
	place := policy.Place{Part: number}
	n, terminated := 0, false
	for raw := range split(body, boundary, &terminated) {
		if len(w.parts) == maxParts {
			w.problems.Add(place, TooManyParts, "only the first %d parts are read", maxParts)
			return
		}
		n++
		child := strconv.Itoa(n)
		if number != "" {
			child = number + "." + child
		}
		var p policy.Problems
		visit(parsePart(raw, &p), child)
		w.problems.Join(inPart(p.List(), child))
	}
	switch {
	case n == 0:
		w.problems.Add(place, NoParts, "the boundary %q does not occur", clip(boundary))
	case !terminated:
		w.problems.Add(place, Unterminated, "the last delimiter of boundary %q is missing", clip(boundary))
	}
}

// parsePart reads the header of a part. The lines of its problems are those of
// an encoded text that nobody sees, and are no places.
func parsePart(raw []byte, p *policy.Problems) *Message {
	m := parse(raw, p)
	for _, name := range []string{"Content-Type", "Content-Transfer-Encoding", "Content-Disposition"} {
		if len(m.All(name)) > 1 {
			p.Add(policy.Place{}, Duplicate, "%s stands again; it may stand once", name)
		}
	}
	return m
}

// inPart gives problems a part as their place.
func inPart(list []policy.Problem, number string) []policy.Problem {
	for i := range list {
		list[i].Place = policy.Place{Part: number}
	}
	return list
}

// split yields the parts of a multipart (RFC 2046 5.1.1), without the line end
// that belongs to the delimiter after them.
func split(body []byte, boundary string, terminated *bool) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		delimiter := []byte("--" + boundary)
		start := -1 // Of the current part; -1 is before the first.
		for pos := 0; pos < len(body); {
			line, size := nextLine(body[pos:])
			after, ok := bytes.CutPrefix(line, delimiter)
			last := false
			if ok {
				var rest []byte
				if rest, last = bytes.CutPrefix(after, []byte("--")); last {
					after = rest
				}
				ok = len(bytes.TrimLeft(after, " \t")) == 0
			}
			if !ok {
				pos += size
				continue
			}
			if start >= 0 && !yield(body[start:max(start, beforeLineEnd(body, pos))]) {
				return
			}
			pos += size
			start = pos
			if last {
				*terminated = true
				return
			}
		}
		if start >= 0 {
			yield(body[start:])
		}
	}
}

// beforeLineEnd returns where the line end before pos starts.
func beforeLineEnd(b []byte, pos int) int {
	switch {
	case pos > 1 && b[pos-1] == '\n' && b[pos-2] == '\r':
		return pos - 2
	case pos > 0 && b[pos-1] == '\n':
		return pos - 1
	}
	return pos
}

func (w *walker) leaf(e *Message, number, typ string, params map[string]string, p *policy.Problems) {
	if number == "" {
		number = "1" // RFC 9051 6.4.5: the only part of a message has a number too.
	}
	part := Part{Number: number, Within: w.within, Type: typ, Stated: typ, Params: params}
	if f, ok := e.Get("Content-Disposition"); ok {
		word, _, _ := strings.Cut(stripComments(f.Unfolded()), ";")
		part.Disposition = strings.ToLower(strings.TrimSpace(word))
	}
	place := policy.Place{Part: number}
	enc := encoding(e)
	text, ok := decodeTransfer(e.Body, enc, place, p)
	if !ok {
		part.Type = "application/octet-stream"
	}
	if strings.HasPrefix(part.Type, "text/") {
		text = toUTF8(text, params["charset"], w.room, place, p)
	}
	if len(text) > w.room {
		p.Add(place, TooLarge, "the parts have more than %d octets together; this one is left out", maxDecoded)
		text = nil
	}
	w.room -= len(text)
	part.Text, part.Problems = text, inPart(p.List(), number)
	w.parts = append(w.parts, part)
}

// mediaType reads Content-Type. A malformed one is read as far as it goes.
func mediaType(e *Message, fallback string, place policy.Place, p *policy.Problems) (string, map[string]string) {
	f, ok := e.Get("Content-Type")
	if !ok {
		return fallback, nil
	}
	if len(f.Value) > maxContentType {
		p.Add(place, ContentType, "Content-Type is longer than %d octets and is not read", maxContentType)
		return fallback, nil
	}
	value := stripComments(f.Unfolded())
	typ, params, err := mime.ParseMediaType(value)
	if err != nil || !strings.Contains(typ, "/") {
		p.Add(place, ContentType, "malformed Content-Type: %q", clip(f.Unfolded()))
		typ, params = lenientMediaType(value)
	}
	if !strings.Contains(typ, "/") {
		return fallback, params
	}
	return typ, params
}

// lenientMediaType reads what [mime.ParseMediaType] refuses. The type ends at
// white space, as before a parameter whose semicolon is missing. Of two
// parameters of one name the first counts.
func lenientMediaType(s string) (string, map[string]string) {
	params := make(map[string]string)
	typ := ""
	for i, piece := range splitOutsideQuotes(s, ';') {
		if i == 0 {
			if words := strings.Fields(piece); len(words) > 0 {
				typ = strings.ToLower(words[0])
			}
			continue
		}
		name, value, _ := strings.Cut(piece, "=")
		name = strings.ToLower(strings.TrimSpace(name))
		if _, ok := params[name]; !ok && name != "" {
			params[name] = unquote(strings.TrimSpace(value))
		}
	}
	return typ, params
}

func encoding(e *Message) string {
	f, ok := e.Get("Content-Transfer-Encoding")
	if !ok {
		return "7bit"
	}
	return strings.ToLower(strings.TrimSpace(stripComments(f.Unfolded())))
}
